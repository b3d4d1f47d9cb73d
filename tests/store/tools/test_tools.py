"""Linking, exporting, pruning and copying runs, and reading them from object storage."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import hdf5plugin  # noqa: F401 - lets h5py read the linked chunks
import numpy as np
import pandas as pd
import pytest

import store.tools.copy
from store import DamagedFile, NotInRun, RunExists, RunNotFound, StoreError, open_run
from store.check.verify import verify_run
from store.tools.copy import copy_run
from store.tools.export import export_maps, export_tables
from store.tools.link import link_run
from store.tools.prune import prune_run


@pytest.fixture(scope="module")
def run(tiny_run):
    return open_run(tiny_run)


@pytest.fixture
def copy(tiny_run, tmp_path):
    """A run of one's own."""
    return Path(shutil.copytree(tiny_run, tmp_path / "copy"))


def same_answers(one, other):
    assert one.epochs == other.epochs
    for epoch in one.epochs:
        at = {"epoch": epoch, "variant": "bgr"}
        assert one.predictions(**at).equals(other.predictions(**at))
        assert np.array_equal(one.maps(images=[3, 17], **at), other.maps(images=[3, 17], **at))
        assert np.array_equal(one.true_class_maps(**at), other.true_class_maps(**at))
    assert np.array_equal(one.pixels([5], "gray"), other.pixels([5], "gray"))


def test_a_linked_run_is_one_array_for_any_tool_also_after_a_move(copy, run, tmp_path):
    assert link_run(open_run(copy)) == copy / "all.h5"
    moved = copy.rename(tmp_path / "elsewhere")
    code = f"""
import h5py, hdf5plugin, numpy as np
with h5py.File({str(moved / "all.h5")!r}) as file:
    print(file["maps"].shape, file["epoch"][:].tolist(), file["pixels"].shape, file["images/confidence"].shape)
    np.save({str(tmp_path / "maps.npy")!r}, file["maps"][1, 3, 7, 2] * file["map_scale"][1, 3, 7, 2])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "(3, 8, 20, 5, 8, 8) [1, 2, 3] (8, 20, 16, 16, 3) (3, 8, 20)"
    mine = run.maps(epoch=2, variant=run.variants[3], images=[7], classes=[2])[0, 0]
    np.testing.assert_allclose(np.load(tmp_path / "maps.npy"), mine, rtol=1e-6)
    assert verify_run(moved) == []


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_exported_tables_hold_what_the_run_says(run, tmp_path, file_format):
    paths = export_tables(run, tmp_path / "out", file_format=file_format, epochs=[1, 3], variants=("clean", "gray"))
    read = pd.read_parquet if file_format == "parquet" else pd.read_csv
    predictions, classes, metrics = (read(path) for path in paths)
    assert len(predictions) == 2 * 2 * 20 and len(classes) == 2 * 2 * 5 and metrics["epoch"].tolist() == [1, 3]
    part = predictions[(predictions["epoch"] == 3) & (predictions["variant"] == "gray")].reset_index(drop=True)
    expected = run.predictions(epoch=3, variant="gray")
    assert part["predicted_class"].tolist() == expected["predicted_class"].tolist()
    np.testing.assert_allclose(part["confidence"], expected["confidence"], rtol=1e-6)
    with pytest.raises(StoreError, match="is there already"):
        export_tables(run, tmp_path / "out", file_format=file_format)


def test_an_export_that_fails_leaves_nothing_half_written(run, tmp_path, monkeypatch):
    with pytest.raises(NotInRun, match=r"Epochs \[9\] cannot be exported: the run holds \[1, 2, 3\]"):
        export_tables(run, tmp_path / "out", epochs=[1, 9])
    said = run.class_table

    def damaged_at_two(*, epoch, variant):
        if epoch == 2:
            raise DamagedFile("epoch 2")
        return said(epoch=epoch, variant=variant)

    monkeypatch.setattr(run, "class_table", damaged_at_two)
    for file_format in ("parquet", "csv"):
        with pytest.raises(DamagedFile, match="epoch 2"):
            export_tables(run, tmp_path / file_format, file_format=file_format)
        assert [path.name for path in (tmp_path / file_format).iterdir()] == [f"predictions.{file_format}"]


def test_exported_maps_hold_what_the_run_says(run, tmp_path):
    path = export_maps(run, tmp_path / "out" / "maps.npz", epoch=2, variant="bgr", images=[4, 9])
    with np.load(path) as found:
        assert np.array_equal(found["maps"], run.maps(epoch=2, variant="bgr", images=[4, 9]))
        assert found["image_names"].tolist() == ["val_4.png", "val_9.png"] and found["classes"][1] == "school bus"
        assert (found["error"] > 0).all() and found["labels"].tolist() == [1, 2]


def test_pruning_epochs_makes_a_new_complete_run_and_leaves_the_old(run, tmp_path):
    target = prune_run(run, tmp_path / "small", epochs=[3, 1])
    small = open_run(target)
    assert small.epochs == (1, 3) and small.complete and small.id != run.id
    assert small.provenance["pruned_from"]["run"] == run.id
    assert verify_run(target) == [] and verify_run(run.path) == []
    assert small.predictions(epoch=3, variant="gray").equals(run.predictions(epoch=3, variant="gray"))
    with pytest.raises(RunExists, match="There is something at"):
        prune_run(run, target)
    with pytest.raises(NotInRun, match=r"Epochs \[9\] cannot be kept"):
        prune_run(run, tmp_path / "none", epochs=[1, 9])


def test_pruning_maps_keeps_the_strongest_and_the_truths(run, tmp_path):
    small = open_run(prune_run(run, tmp_path / "small", top=2))
    assert verify_run(small.path) == [] and small.kept_maps == 2
    at = {"epoch": 1, "variant": "gray", "images": None}
    kept, whole = small.maps(**at), run.maps(**at)
    lit = kept.any((2, 3))
    assert np.array_equal(kept[lit], whole[lit])
    order = np.argsort(-run.probabilities(epoch=1, variant="gray"), axis=1)[:, :2]
    expected = np.zeros(lit.shape, bool)
    np.put_along_axis(expected, order, True, axis=1)
    expected[np.arange(20), run.labels] = True
    assert np.array_equal(lit, expected)
    assert small.predictions(epoch=1, variant="gray").equals(run.predictions(epoch=1, variant="gray"))
    assert np.array_equal(small.true_class_maps(epoch=1, variant="gray"), run.true_class_maps(epoch=1, variant="gray"))


def test_a_run_never_says_that_it_keeps_more_maps_than_it_does(run, tmp_path):
    small = open_run(prune_run(run, tmp_path / "small", top=2))
    assert open_run(prune_run(small, tmp_path / "no more", top=4)).kept_maps == 2
    less = open_run(prune_run(small, tmp_path / "less", top=1))
    assert less.kept_maps == 1 and verify_run(less.path) == []
    assert open_run(prune_run(run, tmp_path / "all", top=5)).kept_maps == 0


def test_a_copy_is_the_same_run_and_can_be_taken_up(run, tmp_path):
    target = tmp_path / "copy"
    names = copy_run(str(run.path), str(target))
    assert names[-1] == "run.h5" and len(names) == 8
    assert verify_run(target) == []
    same_answers(run, open_run(target))
    (target / "epochs" / "0002.h5").unlink()
    again = copy_run(str(run.path), str(target))
    assert [name for name in again if name.endswith(".h5")] == ["epochs/0002.h5"]
    assert verify_run(target) == []


def test_a_copy_that_is_stopped_shows_nothing_half_and_is_taken_up(run, tmp_path, monkeypatch):
    target, transfer = tmp_path / "copy", store.tools.copy._transfer

    def stop(read, origin, write, there, tell):
        transfer(read, origin, write, there, tell)
        if origin.endswith("0002.h5"):
            raise KeyboardInterrupt
        return transfer(read, origin, write, there, tell)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("store.tools.copy._transfer", stop)
        copy_run(str(run.path), str(target))
    assert sorted(path.name for path in target.rglob("*.*")) == ["0001.h5", "0001.json"]
    (target / "epochs").rename(tmp_path / "epochs")
    (target / "run.h5.part").write_bytes(b"of a copy that was killed")
    copy_run(str(run.path), str(target))
    assert verify_run(target) == []


def test_a_damaged_run_is_not_copied_on(copy, run, tmp_path):
    data = bytearray((copy / "epochs" / "0002.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "epochs" / "0002.h5").write_bytes(data)
    with pytest.raises(DamagedFile, match=r"0002.h5 is not what was sealed"):
        copy_run(str(copy), str(tmp_path / "target"))
    with pytest.raises(RunNotFound, match="There is no run at"):
        open_run(tmp_path / "target")
    (copy / "epochs" / "0002.h5").unlink()
    with pytest.raises(DamagedFile, match=r"0002.h5 was sealed, but the file is gone"):
        copy_run(str(copy), str(tmp_path / "other"))
    with pytest.raises(RunNotFound, match="There is no run at"):
        copy_run(str(tmp_path / "nowhere"), str(tmp_path / "other"))


def test_a_copy_never_overwrites_another_run(run, copy, tmp_path):
    other = prune_run(run, tmp_path / "other", epochs=[1])
    with pytest.raises(RunExists, match="Another run is at"):
        copy_run(str(run.path), str(other))


def test_a_copy_into_a_folder_of_other_things_is_refused_with_a_better_place(run, tmp_path):
    stick = tmp_path / "stick"
    stick.mkdir()
    assert copy_run(str(run.path), str(stick / "first"))
    with pytest.raises(RunExists, match=rf"stick' holds other things. .* such as '{stick}/{run.path.name}'"):
        copy_run(str(run.path), str(stick))
    assert [path.name for path in stick.iterdir()] == ["first"]
    (stick / "begun" / "epochs").mkdir(parents=True)  # what a copy that was stopped early leaves
    assert copy_run(str(run.path), str(stick / "begun"))[-1] == "run.h5"


@pytest.mark.parametrize("target", [".", "..", "epochs", "../link"])
def test_a_run_is_never_copied_onto_itself(copy, target):
    (copy.parent / "link").symlink_to(copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(RunExists, match="is the run itself, or lies in it or around it"):
        copy_run(str(copy), str(copy / target))
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_run_is_not_pruned_into_itself_and_a_stopped_pruning_leaves_nothing(copy, tmp_path, monkeypatch):
    with pytest.raises(RunExists, match="or it lies in the run"):
        prune_run(open_run(copy), copy / "smaller")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("store.tools.prune.seal_file", stop)
        prune_run(open_run(copy), tmp_path / "smaller")
    assert not (tmp_path / "smaller").exists()
    assert verify_run(prune_run(open_run(copy), tmp_path / "smaller")) == []
