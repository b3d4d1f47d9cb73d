"""Learning: the matrix of classes and epochs, confused pairs, the best epochs, ensembles."""

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard import data
from dashboard.components.matrix import Matrix, payload
from dashboard.views.learning import parts as learning_parts
from dashboard.views.learning.charts import ensemble_gains
from store import open_run


def test_a_class_pattern_is_compared_with_its_final_form(tiny_run):
    run = open_run(tiny_run)
    final = [run.patterns(epoch=epoch, variant="gray").reshape(5, -1) for epoch in (1, 3)]
    lengths = [np.linalg.norm(patterns, axis=1) for patterns in final]
    expected = (final[0] * final[1]).sum(1) / (lengths[0] * lengths[1])
    similarity = data.similarity_to_final(run, "gray")
    np.testing.assert_allclose(similarity[0], expected, rtol=1e-5)
    np.testing.assert_allclose(similarity[-1], 1, rtol=1e-5)


def test_the_accuracy_of_every_class_at_every_epoch_is_recorded(tiny_run):
    run = open_run(tiny_run)
    expected = [run.class_table(epoch=epoch, variant="gray")["accuracy"] for epoch in run.epochs]
    assert np.array_equal(data.accuracy_grid(run, "gray"), expected)


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
        [
            ("Accuracy", "top1", "max", 2, 0.6, 0.6, 0.9),
            ("Robust accuracy", "robust_top1", "max", 1, 0.35, 0.2, np.nan),
        ],
        columns=["criterion", "metric", "direction", "epoch", "value", "last_value", "selection_share"],
    )
    figures = pd.DataFrame({"epoch": [1, 1, 1, 2, 2, 2], "variant": ["clean", "gray", "bgr"] * 2})
    figures["top1"] = [0.5, 0.4, 0.3, 0.6, 0.2, 0.2]
    figures["unchanged_consistency"] = [1.0, 0.9, 0.8, 1.0, 0.7, 0.6]
    rows = learning_parts.criterion_rows(best, figures)
    assert rows["curve"].tolist() == [[0.5, 0.6], pytest.approx([0.35, 0.2])]
    assert rows["better"].tolist() == ["high", "high"]
    assert rows["again"].tolist() == pytest.approx([90, np.nan], nan_ok=True)


def test_only_gains_whose_interval_excludes_zero_are_coloured():
    frame = pd.DataFrame(
        {"label": ["a", "b"], "gain": [0.02, 0.0], "gain_low": [0.01, -0.01], "gain_high": [0.03, 0.01]}
        | {"top1": [0.5, 0.5], "nll": [1.0, 1.0], "ece": [0.1, 0.1]}
    )
    chart = ensemble_gains(frame)
    assert chart.tables["ensembles"]["significant"].tolist() == [True, False]
    assert chart.tables["ensembles"]["gain_high"].tolist() == [3, 1]  # in points
    alt.Chart.from_dict(chart.to_dict())  # against the schema
