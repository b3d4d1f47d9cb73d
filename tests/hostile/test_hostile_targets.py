"""Nothing is written through what lies in the way: a link, a second name, a pipe or a folder where a file is to be."""

import os
import shutil

import pytest

from dashboard.paper.folder import INDEX, write_figures
from dashboard.report import write_report
from store import StoreError, open_run
from store.analysis.analysis_file import ANALYSIS_FILE
from store.format.receipts import write_missing_receipts
from store.synthetic import record_synthetic_epoch, write_synthetic_run
from store.tools.copy import copy_run
from store.tools.export import export_maps, export_tables
from store.tools.link import link_run
from store.tools.neighbours import EXPORTS
from store.tools.prune import prune_run
from store.write.run_writer import resume_run


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "run"
    write_synthetic_run(path, epochs=1, classes=3, images_per_class=2)
    return path


@pytest.fixture
def run(good_run, tmp_path):
    """A copy of a small run, beside a folder `outside` with a file that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "victim").write_text("not to be touched")
    return shutil.copytree(good_run, tmp_path / "run")


def link(place, outside):
    place.symlink_to(outside / "victim")


def dangling_link(place, outside):
    place.symlink_to(outside / "new")


def second_name(place, outside):
    os.link(outside / "victim", place)


def pipe(place, outside):
    os.mkfifo(place)


def folder(place, outside):
    place.mkdir()


IN_THE_WAY = (link, dangling_link, second_name, pipe, folder)


def _resume(run):
    writer = resume_run(run)
    record_synthetic_epoch(writer, 2)


# What writes, and the place of the unfinished file, relative to the run.
WRITERS = {
    "link": (lambda run: link_run(open_run(run)), "all.h5.part"),
    "export": (lambda run: export_tables(open_run(run), run.parent / "x", file_format="csv"), "../x/metrics.csv.part"),
    "export of maps": (
        lambda run: export_maps(open_run(run), run.parent / "x" / "m.npz", epoch=1, variant="clean", images=[0]),
        "../x/m.npz.part",
    ),
    "export for others": (lambda run: EXPORTS["gzip"](open_run(run), run.parent / "x"), "../x/record.h5.part"),
    "figures": (lambda run: write_figures(open_run(run), run.parent / "x", formats=["svg"]), f"../x/{INDEX}.part"),
    "resume": (_resume, "epochs/0002.h5.part"),
    "receipts": (lambda run: write_missing_receipts(run, open_run(run).id), "epochs/0001.json.part"),
}


def _outside(run):
    """Names and contents beside the run."""
    return {path.name: path.read_bytes() for path in (run.parent / "outside").iterdir()}


@pytest.mark.parametrize("obstacle", IN_THE_WAY, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", WRITERS)
def test_no_command_writes_through_an_unfinished_file(run, name, obstacle):
    write, place = WRITERS[name]
    (run / "epochs" / "0001.json").unlink()
    (run / place).parent.mkdir(exist_ok=True)
    obstacle(run / place, run.parent / "outside")
    before = _outside(run)
    with pytest.raises(StoreError, match="remove it"):
        write(run)
    assert _outside(run) == before


def _train_into(run, place):
    from compute.cli import main

    if main(["train", "--data", "phantom", "--runs-dir", str(place), "--run", "x"]):
        raise StoreError("Too many levels of symbolic links")  # as the command has said on the terminal


INTO_A_PLACE = {
    "copy": lambda run, place: copy_run(str(run), str(place)),
    "prune": lambda run, place: prune_run(open_run(run), place, epochs=[1]),
    "export": lambda run, place: export_tables(open_run(run), place),
    "export for others": lambda run, place: EXPORTS["gzip"](open_run(run), place),
    "figures": lambda run, place: write_figures(open_run(run), place, formats=["svg"]),
    "report": lambda run, place: write_report(open_run(run), place),
    "train": _train_into,
}


@pytest.mark.parametrize("inside", ["", "inside/it"], ids=["itself", "inside"])
@pytest.mark.parametrize("name", INTO_A_PLACE)
def test_a_target_that_is_a_circle_of_links_is_refused_in_words(run, name, inside):
    one, other = run.parent / "one", run.parent / "other"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(StoreError, match=r"symbolic links|Symlink loop|exists already|File exists") as refused:
        INTO_A_PLACE[name](run, one / inside)
    assert ".. " not in str(refused.value) and "Restore" not in str(refused.value)
    assert one.is_symlink() and other.is_symlink()


@pytest.mark.parametrize("name", ["epochs", "checkpoints"])
def test_a_folder_of_a_run_that_is_a_link_is_not_written_into(run, name):
    from compute.training.checkpoints import CheckpointFolder

    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).symlink_to(run.parent / "outside")
    (run.parent / "outside" / "0009.h5.part").touch()
    before = _outside(run)
    with pytest.raises(StoreError, match="symbolic link"):
        if name == "epochs":
            _resume(run)
        else:
            CheckpointFolder(run / name, run_id="x").save_weights(1, {}, {})
    assert _outside(run) == before


@pytest.mark.parametrize("obstacle", IN_THE_WAY, ids=lambda each: each.__name__)
@pytest.mark.parametrize("place", ["run.h5", "epochs", "epochs/0001.h5"])
def test_a_copy_refuses_what_is_in_its_way(run, obstacle, place):
    target = run.parent / "copy"
    (target / place).parent.mkdir(parents=True)
    obstacle(target / place, run.parent / "outside")
    if place == "epochs" and obstacle is folder:
        return  # a folder belongs there
    before = _outside(run)
    if obstacle is second_name and place == "epochs/0001.h5":  # replaced, not written into
        copy_run(str(run), str(target))
        assert open_run(target).epochs == (1,)
    else:
        with pytest.raises(StoreError):
            copy_run(str(run), str(target))
    assert _outside(run) == before


@pytest.mark.parametrize("obstacle", (link, dangling_link, second_name, pipe), ids=lambda each: each.__name__)
def test_a_copy_replaces_what_lies_under_the_name_of_an_unfinished_file(run, obstacle):
    target = run.parent / "copy"
    (target / "epochs").mkdir(parents=True)
    obstacle(target / "epochs" / "0001.h5.part", run.parent / "outside")
    before = _outside(run)
    copy_run(str(run), str(target))
    assert _outside(run) == before and open_run(target).epochs == (1,)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_copy_refuses_a_folder_that_it_may_not_look_into(run):
    (run / "epochs").chmod(0)
    try:
        with pytest.raises(StoreError, match="permissions"):
            copy_run(str(run), str(run.parent / "copy"))
    finally:
        (run / "epochs").chmod(0o755)


def test_an_analysis_that_is_a_link_is_replaced(run):
    from store.analysis.analyse import analyse

    (run / ANALYSIS_FILE).unlink(missing_ok=True)
    (run / ANALYSIS_FILE).symlink_to(run.parent / "outside" / "victim")
    before = _outside(run)
    analyse(open_run(run))
    assert _outside(run) == before and not (run / ANALYSIS_FILE).is_symlink()
