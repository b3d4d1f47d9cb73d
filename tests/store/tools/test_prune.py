"""Smaller runs: chosen epochs, or the strongest maps of each image."""

import h5py
import hdf5plugin  # noqa: F401 - lets h5py read the maps
import numpy as np
import pytest

from store import NotInRun, RunExists, open_run
from store.check.verify import verify_run
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description, write_synthetic_run
from store.tools.prune import prune_run
from tests.store.contents import digests


@pytest.fixture(params=[0, 2], ids=["all maps", "few maps"])
def run_in_parts(tmp_path, request):
    """A run of one epoch that two ranks recorded, with the maps of all or of few classes."""
    description = synthetic_description("parts", 4, 4, epochs=1, options={"kept_maps": request.param})
    writer = create_synthetic_run(tmp_path / "parts", description)
    for rank, images in enumerate((range(7), range(7, 16))):
        record_synthetic_epoch(writer, 1, part=(rank, 2), images=images)
    return open_run(writer.path)


def test_pruning_epochs_makes_a_new_complete_run_and_leaves_the_old(run, tmp_path):
    target = prune_run(run, tmp_path / "small", epochs=[3, 1])
    small = open_run(target)
    assert small.epochs == (1, 3) and small.complete and small.id != run.id
    assert small.provenance["pruned_from"]["run"] == run.id
    assert verify_run(target) == [] and verify_run(run.path) == []
    assert small.predictions(epoch=3, variant="gray").equals(run.predictions(epoch=3, variant="gray"))
    with pytest.raises(RunExists, match="exists already"):
        prune_run(run, target)
    with pytest.raises(NotInRun, match=r"Epochs \[9\] are not in the run"):
        prune_run(run, tmp_path / "none", epochs=[1, 9])


@pytest.mark.parametrize("signed", [False, True])
def test_a_pruned_run_is_as_if_recorded_with_fewer_maps(tmp_path, signed):
    whole = open_run(write_synthetic_run(tmp_path / "whole", signed=signed))
    small = open_run(prune_run(whole, tmp_path / "small", top=2))
    recorded = open_run(write_synthetic_run(tmp_path / "recorded", signed=signed, kept_maps=2))
    assert verify_run(small.path) == [] and small.kept_maps == 2
    for epoch in (1, 3):
        at = {"epoch": epoch, "variant": "gray", "images": None}
        assert np.array_equal(small.maps(**at), recorded.maps(**at), equal_nan=True)
        np.testing.assert_allclose(small.logits(**at), recorded.logits(**at), rtol=1e-5, atol=1e-5)
        kept = small.has_map(**at)
        assert np.array_equal(small.maps(**at)[kept], whole.maps(**at)[kept])
        assert kept[np.arange(20), small.labels].all()
    assert digests(small)["predictions 1 gray"] == digests(whole)["predictions 1 gray"]
    assert digests(small)["true_class_maps 1 gray"] == digests(whole)["true_class_maps 1 gray"]


def test_a_run_that_ranks_recorded_in_parts_is_pruned_part_by_part(run_in_parts, tmp_path):
    small = open_run(prune_run(run_in_parts, tmp_path / "small", top=1))
    assert verify_run(small.path) == [] and small.kept_maps == 1
    copied = open_run(prune_run(run_in_parts, tmp_path / "copied"))
    assert verify_run(copied.path) == []
    kept = small.has_map(epoch=1, variant="gray", images=None)
    maps = [run.maps(epoch=1, variant="gray", images=None) for run in (small, run_in_parts)]
    assert np.array_equal(maps[0][kept], maps[1][kept]) and (kept.sum(1) == 2).all()
    logits = [run.logits(epoch=1, variant="gray") for run in (small, run_in_parts)]
    bound = np.nanmax(run_in_parts.map_error(epoch=1, variant="gray", images=None))
    np.testing.assert_allclose(*logits, rtol=0, atol=bound)
    assert kept[np.arange(16), small.labels].all()
    with h5py.File(small.path / "epochs" / "0001.h5", locking=False) as joined:  # what other tools see of it
        shown = joined["maps"][1] * joined["map_scale"][1][..., None, None]
        each = np.arange(16)[:, None]
        assert np.array_equal(shown, maps[0][each, joined["map_classes"][1]])
    for name in ("predictions 1 gray", "confusion 1 gray", "layers 1", "stages 1"):
        assert digests(small)[name] == digests(copied)[name] == digests(run_in_parts)[name]


def test_a_run_never_says_that_it_keeps_more_maps_than_it_does(run, tmp_path):
    small = open_run(prune_run(run, tmp_path / "small", top=2))
    assert open_run(prune_run(small, tmp_path / "no more", top=4)).kept_maps == 2
    less = open_run(prune_run(small, tmp_path / "less", top=1))
    assert less.kept_maps == 1 and verify_run(less.path) == []
    assert open_run(prune_run(run, tmp_path / "all", top=5)).kept_maps == 0


def test_a_run_is_not_pruned_into_itself_and_a_stopped_pruning_leaves_nothing(copy, tmp_path, monkeypatch):
    with pytest.raises(RunExists, match="or is inside the run"):
        prune_run(open_run(copy), copy / "smaller")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("store.tools.prune.write_receipt", stop)
        prune_run(open_run(copy), tmp_path / "smaller")
    assert not (tmp_path / "smaller").exists()
    assert verify_run(prune_run(open_run(copy), tmp_path / "smaller")) == []


@pytest.mark.parametrize("factor", [0, 1e-37, 1e-5, 1, 1e30])
def test_maps_of_any_strength_are_pruned_to_a_run_that_verifies(tmp_path, factor):
    options = {"variants": ("clean",), "signed": True, "layers": {}, "stages": {}}
    description = synthetic_description("strength", 6, 3, epochs=1, options=options)
    writer = create_synthetic_run(tmp_path / "run", description)
    maps = np.random.default_rng(0).normal(0, factor, (18, 6, 8, 8)).astype(np.float32)
    with writer.epoch(1) as recording:
        recording.write("clean", 0, maps)
    assert verify_run(tmp_path / "run") == []
    assert verify_run(prune_run(open_run(tmp_path / "run"), tmp_path / "small", top=2)) == []
