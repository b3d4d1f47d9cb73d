"""Failures: filters, sorting, and the measure on each tile."""

import pandas as pd
import pytest

from dashboard.views.failures import parts as failures_parts
from store import queries
from store.queries import FailureFilter


@pytest.mark.parametrize(
    ("where", "column", "holds"),
    [
        ({"margin": (0.0, 0.2)}, "margin", lambda values: (values <= 0.2).all()),
        ({"cells": (2, 64)}, "correction_cells", lambda values: (values >= 2).all()),
        ({"sort": "margin", "ascending": True}, "margin", lambda values: values.is_monotonic_increasing),
        ({"sort": "margin"}, "margin", lambda values: values.is_monotonic_decreasing),
    ],
)
def test_failures_are_filtered_and_sorted_from_a_table(run, where, column, holds):
    table = run.predictions(epoch=1, variant="bgr")
    rows = queries.select_failures(table, FailureFilter(**where))
    assert holds(rows[column]) and not rows["correct"].any()
    everything = queries.failures(run, epoch=1, variant="bgr")
    assert set(rows["image"]) <= set(everything["image"])


def test_a_tile_shows_the_measure_that_it_is_sorted_by():
    row = pd.Series({"correction_cells": 3, "then": "car", "margin": 0.12345, "error_run": 4, "persistence": 1.5})
    assert failures_parts.extra_line(row, "fewest_cells", symbol="k*") == "k* 3, then car"
    assert failures_parts.extra_line(row, "most_cells", symbol="k* (estimate)") == "k* (estimate) 3, then car"
    assert failures_parts.extra_line(row, "smallest_margin", symbol="k*") == "margin 0.123"
    assert failures_parts.extra_line(row, "persistence", symbol="k*") == "4 epochs, persistence 1.50"
    assert failures_parts.extra_line(row, "confidence", symbol="k*") == ""
