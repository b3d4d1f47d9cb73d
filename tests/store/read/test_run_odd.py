"""Runs and moments that nobody plans for: odd sizes and names, two writers at once, a run that moves, few files."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from bench.store_queries import all_queries
from store import DamagedFile, RunExists, RunNotFound, WriteFailed, open_run, resume_run
from store.check.verify import verify_run
from store.format.hdf5_file import claim
from store.synthetic import (
    create_synthetic_run,
    record_synthetic_epoch,
    synthetic_description,
    synthetic_maps,
    write_synthetic_run,
)

ODD = {
    "one class, one image": {"classes": 1, "images_per_class": 1},
    "one cell": {"classes": 2, "images_per_class": 1, "map_shape": (1, 1)},
    "oblong maps": {"classes": 3, "images_per_class": 2, "map_shape": (7, 9)},
    "oblong signed maps": {"classes": 3, "images_per_class": 2, "map_shape": (7, 9), "signed": True},
    "a chunk for each image": {"classes": 17, "images_per_class": 1, "map_shape": (96, 96)},
    "few maps": {"kept_maps": 2},
    "few signed maps": {"kept_maps": 1, "signed": True},
    "many classes": {"classes": 1100, "images_per_class": 1, "map_shape": (2, 2), "layers": {}, "stages": {}},
}


@pytest.mark.parametrize("sizes", ODD.values(), ids=ODD.keys())
def test_a_run_of_odd_sizes_is_recorded_whole_and_every_query_answers(sizes, tmp_path):
    path = write_synthetic_run(tmp_path / "run", epochs=2, variants=("clean", "gray"), **sizes)
    assert verify_run(path) == []
    run = open_run(path)
    assert run.complete
    given = synthetic_maps(run.description, 2, "gray")
    at = {"epoch": 2, "variant": "gray", "images": None}
    off, kept = np.abs(run.maps(**at) + run.mean_maps(**at)[:, None] - given), run.has_map(**at)
    assert (kept.sum(1) == run.description.sizes["K"]).all()
    assert (off <= run.map_error(**at)[..., None, None])[kept].all()
    random = np.random.default_rng(0)
    for name, query in all_queries(run).items():
        if len(run.classes) < 1000 or "like" not in name:  # all pairs of so many patterns take seconds
            query(random)


def test_names_in_any_script_and_a_folder_with_spaces_behind_a_link_are_kept(tmp_path):
    names = ("a b.png", "日本語.png", "x\u0301 🙂.png")
    folder = tmp_path / "my runs" / "Läufe 🙂"
    write_synthetic_run(
        folder, epochs=1, classes=3, images_per_class=1, variants=("clean", "grün"), image_names=names, name="ü"
    )
    (tmp_path / "link").symlink_to(folder)
    run = open_run(tmp_path / "link")
    assert (run.image_names, run.variants, run.name) == (names, ("clean", "grün"), "ü")
    assert run.predictions(epoch=1, variant="grün")["name"].tolist() == list(names)
    assert verify_run(tmp_path / "link") == []


def test_a_setting_that_is_not_a_number_does_not_stop_a_run_from_being_resumed(tmp_path):
    settings = {"clip": float("nan"), "limit": float("inf")}
    path = write_synthetic_run(tmp_path / "run", epochs=1, configuration=settings)
    assert resume_run(path, configuration=settings).complete_epochs == (1,)


def new_run(path):
    """The writer of a run without epochs at `path`."""
    options = {"variants": ("clean",), "layers": {}, "stages": {}}
    return create_synthetic_run(path, synthetic_description("two", 3, 2, epochs=2, options=options))


def test_of_two_writers_of_an_epoch_one_is_refused_and_the_other_is_not_disturbed(tmp_path):
    one, two = new_run(tmp_path / "run"), resume_run(tmp_path / "run")
    first = one.epoch(1)
    with pytest.raises(WriteFailed, match=r"0001.h5.part' is being written by another process"):
        two.epoch(1)
    third = resume_run(tmp_path / "run")  # must not clean the first one's unfinished file away
    first.write("clean", 0, synthetic_maps(one.facts.description, 1, "clean"))
    first.finish()
    with pytest.raises(RunExists, match="is complete already and is never written again"):
        third.epoch(1)
    assert verify_run(tmp_path / "run") == []


def test_an_epoch_that_another_process_completes_in_between_is_not_overwritten(tmp_path, monkeypatch):
    path = write_synthetic_run(tmp_path / "run", epochs=1, variants=("clean",))
    before = (path / "epochs" / "0001.h5").read_bytes()
    monkeypatch.setattr("store.write.run_writer.RunWriter.complete_epochs", ())
    with pytest.raises(RunExists, match="was completed by another process meanwhile"):
        resume_run(path).epoch(1)
    assert (path / "epochs" / "0001.h5").read_bytes() == before
    assert not list(path.glob("**/*.part"))


def test_a_claim_is_on_the_file_that_is_there_and_not_on_one_that_was_moved(tmp_path, monkeypatch):
    part = tmp_path / "0001.h5.part"
    part.write_bytes(b"")
    opened = os.open

    def complete_meanwhile(path, flags, mode=0o777):
        descriptor = opened(path, flags, mode)
        monkeypatch.setattr(os, "open", opened)
        part.rename(tmp_path / "0001.h5")
        return descriptor

    monkeypatch.setattr(os, "open", complete_meanwhile)
    with claim(part) as ours, claim(part, wait=False) as others:
        assert ours and not others and part.exists()


def test_a_run_that_moves_while_it_is_open_is_reported_and_reads_on_from_its_new_place(tiny_run, tmp_path):
    path = write_synthetic_run(tmp_path / "run", epochs=2, variants=("clean",))
    run = open_run(path)
    path.rename(tmp_path / "moved")
    with pytest.raises(RunNotFound, match="was moved or deleted since it was opened"):
        run.refresh()
    with pytest.raises(DamagedFile, match=r"0001.h5' is gone"):
        run.confusion(epoch=1, variant="clean")
    assert open_run(tmp_path / "moved").epochs == (1, 2)


def test_a_run_that_moves_while_it_is_written_loses_the_epoch_in_progress_only(tmp_path):
    writer = new_run(tmp_path / "run")
    record_synthetic_epoch(writer, 1)
    recording = writer.epoch(2)
    recording.write("clean", 0, synthetic_maps(writer.facts.description, 2, "clean"))
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(WriteFailed, match=r"0002.h5' could not be written: No such file or directory"):
        recording.finish()
    resume_run(tmp_path / "moved")
    assert open_run(tmp_path / "moved").epochs == (1,) and verify_run(tmp_path / "moved") == []


def test_a_process_that_may_open_few_files_reads_all_epochs(tmp_path):
    path = write_synthetic_run(tmp_path / "run", epochs=22, classes=2, images_per_class=1, variants=("clean",))
    code = f"""
import resource
from store import open_run
import zoneinfo, pandas, numpy
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
run = open_run({str(path)!r})
print(len(run.epochs), run.damaged, run.columns("prediction", variant="clean").shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False
    )
    assert done.stdout == "22 {} (22, 2)\n", done.stderr


def test_a_file_is_no_folder_of_runs(tmp_path):
    (tmp_path / "passwd").write_text("mine")
    with pytest.raises(RunNotFound, match=r"There is no run at '.*passwd'"):
        open_run(tmp_path / "passwd")


def test_a_denied_permission_is_reported_as_that(tmp_path, monkeypatch):
    path, opened = write_synthetic_run(tmp_path / "run", epochs=2), h5py.File

    def forbidden(name, *arguments, **options):
        if Path(name).name == closed:
            raise PermissionError(13, "Permission denied")
        return opened(name, *arguments, **options)

    monkeypatch.setattr("h5py.File", forbidden)
    closed = "0001.h5"
    run = open_run(path)
    assert run.epochs == (2,) and "permission denied. Change its permissions" in run.damaged[1]
    closed = "run.h5"
    with pytest.raises(DamagedFile, match=r"run.h5': permission denied"):
        open_run(path)
