"""Runs at the edge of what a run can be: analysed without a warning, and without a claim that they cannot carry."""

from __future__ import annotations

import numpy as np
import pytest

from bench.findings import SECTIONS
from bench.findings_table import AnalysedRun
from store import open_run, queries
from store.analysis import from_table, read_analysis
from store.analysis.analyse import analyse
from store.analysis.findings import TESTED
from store.tools.prune import prune_run
from tests.store.crafted_run import CELLS, craft, one_cell

HALVES = [0, 0, 0, 1, 1, 1]


def silent(epoch, variant, image):
    return np.zeros(CELLS, np.float32)


def signed(epoch, variant, image):
    return one_cell(0) * (-1 if image % 2 else 1)


def masked(cover):
    """Masks of six images, each the same."""
    return np.broadcast_to(cover, (6, 16, 16))


CORNER = np.arange(256).reshape(16, 16) % 16 < 4

ODD = {
    "a single image": ([[[0]]], [0], {}),
    "a single class": ([[[0] * 6]] * 2, [0] * 6, {}),
    "a class without images": (
        [[[0, 0, 0, 2, 2, 2], [0, 2, 0, 2, 2, 0]]] * 2,
        [0, 0, 0, 2, 2, 2],
        {"variants": ("clean", "gray")},
    ),
    "one image a class": ([[[0, 1, 2, 1]]] * 3, [0, 1, 2, 3], {}),
    "all wrong": ([[[1, 1, 1, 0, 0, 0]]] * 3, HALVES, {}),
    "all right": ([[HALVES]] * 3, HALVES, {}),
    "silent maps": ([[HALVES]] * 3, HALVES, {"own": silent}),
    "signed maps": ([[[0, 1, 0, 1, 1, 1]]] * 3, HALVES, {"own": signed, "signed": True}),
    "one epoch of two classes": ([[[0, 1, 0, 1, 0, 1]]], HALVES, {}),
    "objects in one place": ([[[0, 1, 0, 1, 1, 1]]] * 2, HALVES, {"masks": masked(CORNER)}),
    "objects everywhere": ([[[0, 1, 0, 1, 1, 1]]] * 2, HALVES, {"masks": masked(True)}),
    "no object anywhere": ([[[0, 1, 0, 1, 1, 1]]] * 2, HALVES, {"masks": masked(False)}),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", ODD)
def test_an_odd_run_is_analysed_and_claims_nothing_that_needs_a_test(tmp_path, name):
    predictions, labels, options = ODD[name]
    run = craft(tmp_path / "odd", np.array(predictions), labels=labels, **options)
    analyse(run)
    analysis = read_analysis(run)
    reported = from_table(analysis.table("findings"))
    kinds = {entry.kind for entry in reported}
    assert not kinds & {*TESTED, "failure_ranking", "localisation"}  # a handful of images shows neither
    assert all(np.isfinite([entry.value, entry.low, entry.high]).all() for entry in reported)
    assert len(analysis.table("images")) == len(labels)
    assert len(queries.accuracy_by_variant(run)) == len(run.epochs) * len(run.variants)
    analysed = AnalysedRun(run, analysis, seconds=1.0)
    for name, section in SECTIONS.items():
        written = section.figures([analysed])
        assert "nan" not in written and "inf]" not in written, f"{name}: {written}"


def test_a_run_that_kept_only_the_strongest_map_has_no_score_that_needs_the_second(tmp_path):
    predictions = np.tile(np.repeat([0, 1, 2], 12), (2, 1, 1))
    predictions[:, 0, ::5] = 1
    run = craft(tmp_path / "whole", predictions, labels=np.repeat([0, 1, 2], 12).tolist())
    scores = {}
    for kept in (1, 2):
        pruned = open_run(prune_run(run, tmp_path / f"top{kept}", top=kept))
        analyse(pruned)
        scores[kept] = set(read_analysis(pruned).table("failure_ranking")["score"])
    assert scores[2] - scores[1] == {"cells_to_flip"}
