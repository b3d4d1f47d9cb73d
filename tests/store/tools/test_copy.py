"""Copies of runs, in folders; for object storage see tests/store/remote."""

import pytest

from store import DamagedFile, RunExists, RunNotFound, open_run
from store.check.verify import verify_run
from store.tools.copy import copy_run
from store.tools.prune import prune_run
from tests.store.contents import digests

EPOCHS = (1, 2, 3)


def test_a_copy_is_the_same_run_and_can_be_resumed(run, tmp_path):
    target = tmp_path / "copy"
    names = copy_run(str(run.path), str(target))
    assert names[-1] == "run.h5" and len(names) == 8
    assert verify_run(target) == []
    assert digests(target, EPOCHS) == digests(run.path, EPOCHS)
    (target / "epochs" / "0002.h5").unlink()
    receipt = target / "epochs" / "0003.json"  # no receipt says what a receipt should be: the two are compared
    receipt.write_bytes(receipt.read_bytes().swapcase())
    assert copy_run(str(run.path), str(target)) == ["epochs/0002.h5", "epochs/0003.json"]
    assert copy_run(str(run.path), str(target)) == []
    assert verify_run(target) == []


def test_a_copy_that_is_stopped_shows_nothing_half_and_can_be_resumed(run, tmp_path):
    target = tmp_path / "copy"

    def stop_in_third_file(count):
        if (target / "epochs" / "0002.h5.part").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_run(str(run.path), str(target), progress=stop_in_third_file)
    assert sorted(path.name for path in target.rglob("*.*")) == ["0001.h5", "0001.json"]
    (target / "epochs").rename(tmp_path / "epochs")
    (target / "run.h5.part").write_bytes(b"of a copy that was killed")
    copy_run(str(run.path), str(target))
    assert verify_run(target) == []


def test_a_damaged_run_is_not_copied_on(copy, run, tmp_path):
    data = bytearray((copy / "epochs" / "0002.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "epochs" / "0002.h5").write_bytes(data)
    with pytest.raises(DamagedFile, match=r"0002.h5 is not what was recorded"):
        copy_run(str(copy), str(tmp_path / "target"))
    with pytest.raises(RunNotFound, match="There is no run at"):
        open_run(tmp_path / "target")
    (copy / "epochs" / "0002.h5").unlink()
    with pytest.raises(DamagedFile, match=r"0002.h5 was recorded, but the file is gone"):
        copy_run(str(copy), str(tmp_path / "other"))
    with pytest.raises(RunNotFound, match="There is no run at"):
        copy_run(str(tmp_path / "nowhere"), str(tmp_path / "other"))


def test_a_copy_never_overwrites_another_run(run, copy, tmp_path):
    other = prune_run(run, tmp_path / "other", epochs=[1])
    with pytest.raises(RunExists, match="There is another run at"):
        copy_run(str(run.path), str(other))


def test_a_copy_into_a_folder_of_other_files_is_refused_with_a_better_place(run, tmp_path):
    stick = tmp_path / "stick"
    stick.mkdir()
    assert copy_run(str(run.path), str(stick / "first"))
    with pytest.raises(RunExists, match=rf"stick' contains other files. .* such as '{stick}/{run.path.name}'"):
        copy_run(str(run.path), str(stick))
    assert [path.name for path in stick.iterdir()] == ["first"]
    (stick / "begun" / "epochs").mkdir(parents=True)  # what a copy that was stopped early leaves
    assert copy_run(str(run.path), str(stick / "begun"))[-1] == "run.h5"


@pytest.mark.parametrize("target", [".", "..", "epochs", "../link"])
def test_a_run_is_never_copied_onto_itself(copy, target):
    (copy.parent / "link").symlink_to(copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(RunExists, match="is the run itself, or inside it or around it"):
        copy_run(str(copy), str(copy / target))
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
