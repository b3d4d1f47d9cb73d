"""Smaller runs: chosen epochs, or the strongest maps of each image."""

from __future__ import annotations

import numpy as np
import pytest

from store import NotInRun, RunExists, open_run
from store.check.verify import verify_run
from store.tools.prune import prune_run


def test_pruning_epochs_makes_a_new_complete_run_and_leaves_the_old(run, tmp_path):
    target = prune_run(run, tmp_path / "small", epochs=[3, 1])
    small = open_run(target)
    assert small.epochs == (1, 3) and small.complete and small.id != run.id
    assert small.provenance["pruned_from"]["run"] == run.id
    assert verify_run(target) == [] and verify_run(run.path) == []
    assert small.predictions(epoch=3, variant="gray").equals(run.predictions(epoch=3, variant="gray"))
    with pytest.raises(RunExists, match="There is something at"):
        prune_run(run, target)
    with pytest.raises(NotInRun, match=r"Epochs \[9\] are not in the run"):
        prune_run(run, tmp_path / "none", epochs=[1, 9])


def test_pruning_maps_keeps_the_strongest_and_those_of_the_true_class(run, tmp_path):
    small = open_run(prune_run(run, tmp_path / "small", top=2))
    assert verify_run(small.path) == [] and small.kept_maps == 2
    at = {"epoch": 1, "variant": "gray", "images": None}
    kept, whole = small.maps(**at), run.maps(**at)
    present = small.has_map(**at)
    assert np.array_equal(kept[present], whole[present]) and np.isnan(kept[~present]).all()
    order = np.argsort(-run.probabilities(epoch=1, variant="gray"), axis=1)
    assert (present.sum(1) == 3).all() and present[np.arange(20), run.labels].all()
    assert np.take_along_axis(present, order[:, :2], axis=1).all()
    np.testing.assert_allclose(small.logits(**at), run.logits(**at), atol=1e-2)
    assert small.predictions(epoch=1, variant="gray").equals(run.predictions(epoch=1, variant="gray"))
    assert np.array_equal(small.true_class_maps(epoch=1, variant="gray"), run.true_class_maps(epoch=1, variant="gray"))


def test_a_run_never_says_that_it_keeps_more_maps_than_it_does(run, tmp_path):
    small = open_run(prune_run(run, tmp_path / "small", top=2))
    assert open_run(prune_run(small, tmp_path / "no more", top=4)).kept_maps == 2
    less = open_run(prune_run(small, tmp_path / "less", top=1))
    assert less.kept_maps == 1 and verify_run(less.path) == []
    assert open_run(prune_run(run, tmp_path / "all", top=5)).kept_maps == 0


def test_a_run_is_not_pruned_into_itself_and_a_stopped_pruning_leaves_nothing(copy, tmp_path, monkeypatch):
    with pytest.raises(RunExists, match="or it lies in the run"):
        prune_run(open_run(copy), copy / "smaller")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("store.tools.prune.publish", stop)
        prune_run(open_run(copy), tmp_path / "smaller")
    assert not (tmp_path / "smaller").exists()
    assert verify_run(prune_run(open_run(copy), tmp_path / "smaller")) == []
