"""Runs at the edge of what a run can be: analysed without a warning, and without a claim that they cannot carry."""

from __future__ import annotations

import numpy as np
import pytest
from crafted_run import CELLS, craft, one_cell

from store import queries
from store.analysis import from_table, read_analysis
from store.analysis.findings import TESTED
from store.analysis.work import analyse

HALVES = [0, 0, 0, 1, 1, 1]


def silent(epoch, variant, image):
    return np.zeros(CELLS, np.float32)


def signed(epoch, variant, image):
    return one_cell(0) * (-1 if image % 2 else 1)


ODD = {
    "a single picture": ([[[0]]], [0], {}),
    "a single class": ([[[0] * 6]] * 2, [0] * 6, {}),
    "a class without pictures": (
        [[[0, 0, 0, 2, 2, 2], [0, 2, 0, 2, 2, 0]]] * 2,
        [0, 0, 0, 2, 2, 2],
        {"variants": ("clean", "gray")},
    ),
    "one picture a class": ([[[0, 1, 2, 1]]] * 3, [0, 1, 2, 3], {}),
    "all wrong": ([[[1, 1, 1, 0, 0, 0]]] * 3, HALVES, {}),
    "all right": ([[HALVES]] * 3, HALVES, {}),
    "silent maps": ([[HALVES]] * 3, HALVES, {"own": silent}),
    "signed maps": ([[[0, 1, 0, 1, 1, 1]]] * 3, HALVES, {"own": signed, "signed": True}),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", ODD)
def test_an_odd_run_is_analysed_and_claims_nothing_that_needs_a_test(tmp_path, name):
    answers, labels, options = ODD[name]
    run = craft(tmp_path / "odd", np.array(answers), labels=labels, **options)
    analyse(run)
    analysis = read_analysis(run)
    told = from_table(analysis.table("findings"))
    assert not {entry.kind for entry in told} & set(TESTED)
    assert all(np.isfinite([entry.figure, entry.low, entry.high]).all() for entry in told)
    assert len(analysis.table("images")) == len(labels)
    assert len(queries.accuracy_by_variant(run)) == len(run.epochs) * len(run.variants)
