"""Learning: the matrix of classes and epochs, confused pairs, the best epochs, ensembles."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard.components.matrix import Matrix, payload
from dashboard.views.learning import parts as learning_parts
from dashboard.views.learning.charts import ensemble_gains
from dashboard.views.learning.parts import class_matrix_values


def test_a_class_pattern_is_compared_with_its_final_form():
    last = np.array([[1.0, 0], [0, 0]])
    patterns = np.stack([np.array([[0.0, 1], [0, 0]]), np.array([[1.0, 1], [0, 0]]), last])[:, None]
    assert class_matrix_values(patterns, np.zeros((1, 3)), "similarity")[0] == pytest.approx([0, np.sqrt(0.5), 1])


def test_an_opposite_pattern_has_no_similarity():
    patterns = np.stack([-np.eye(2), np.eye(2)])[:, None]
    assert class_matrix_values(patterns, np.zeros((1, 2)), "similarity")[0] == pytest.approx([0, 1])


def test_the_accuracy_needs_no_patterns():
    accuracy = np.array([[0.0, 0.5], [1.0, 1.0]])
    assert class_matrix_values(None, accuracy, "accuracy") is accuracy


def test_a_matrix_says_how_tall_it_may_become():
    matrix = Matrix(np.ones((3, 2)), ["a", "b", "c"], ["1", "2"], tallest=620)
    assert payload(matrix, title="t")["tallest"] == 620


@pytest.mark.parametrize("cell", ["accuracy", "similarity"])
@pytest.mark.parametrize("order", ["group", "name", "accuracy"])
def test_the_class_matrix_is_on_the_learning_page_in_every_order(opened, tiny_run, cell, order):
    app = opened(tiny_run.parent, "learning", values=cell, order=order, **{"class": "n00000002"})
    assert not app.exception and not app.warning
    assert "All classes over the epochs" in [part.value for part in app.subheader]


PAIRS = pd.DataFrame({"resolved": [-1, 3, -1], "slope": [1.0, -2.0, -0.5]})


@pytest.mark.parametrize(
    ("chosen", "expected"), [("all", [0, 1, 2]), ("growing", [0]), ("lasting", [0, 2]), ("overcome", [1])]
)
def test_pairs_are_filtered_by_outcome(chosen, expected):
    assert np.flatnonzero(learning_parts.has_outcome(PAIRS, chosen)).tolist() == expected


def test_a_criterion_comes_with_its_measure_over_the_epochs():
    best = pd.DataFrame(
        {
            "criterion": ["Accuracy", "Robust accuracy"],
            "metric": ["top1", "robust_top1"],
            "direction": ["max", "max"],
            "epoch": [2, 1],
            "value": [0.6, 0.35],
            "last_value": [0.6, 0.2],
        }
    )
    figures = pd.DataFrame(
        {
            "epoch": [1, 1, 1, 2, 2, 2],
            "variant": ["clean", "gray", "bgr"] * 2,
            "top1": [0.5, 0.4, 0.3, 0.6, 0.2, 0.2],
            "unchanged_consistency": [1.0, 0.9, 0.8, 1.0, 0.7, 0.6],
        }
    )
    rows = learning_parts.criterion_rows(best, figures)
    assert rows["curve"].tolist() == [[0.5, 0.6], pytest.approx([0.35, 0.2])]
    assert rows["better"].tolist() == ["high", "high"]


def test_only_gains_whose_interval_excludes_zero_are_coloured():
    frame = pd.DataFrame(
        {"label": ["a", "b"], "gain": [0.02, 0.0], "gain_low": [0.01, -0.01], "gain_high": [0.03, 0.01]}
        | {"top1": [0.5, 0.5], "nll": [1.0, 1.0], "ece": [0.1, 0.1]}
    )
    chart = ensemble_gains(frame)
    assert chart.tables["ensembles"]["significant"].tolist() == [True, False]
    alt.Chart.from_dict(chart.to_dict())  # against the schema
