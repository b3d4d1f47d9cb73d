"""Charts are tested through `to_dict`: what is drawn, with which words, colours and values."""

from __future__ import annotations

import json

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard.charts import training
from dashboard.charts.histogram import value_bins
from dashboard.charts.rendering import rendered
from dashboard.shared import downloads
from dashboard.shared.theme import DARK, LIGHT
from dashboard.views.confusion import charts as confusion_charts
from dashboard.views.image import charts as image_charts
from dashboard.views.overview import charts as overview_charts

METRICS = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [3.0, 2.0, 1.0],
        "validation_loss": [3.2, 2.5, 2.0],
        "validation_top1": [0.1, 0.3, np.nan],
        "validation_top5": [0.3, 0.6, 0.7],
        "learning_rate": [1e-3, 1e-3, 1e-4],
    }
)


def layers(chart):
    alt.Chart.from_dict(chart.to_dict())  # raises where the schema does not hold
    return chart.to_dict()["layer"]


def drawn(chart):
    """All rows of all data sets of a chart, validated against the schema."""
    alt.Chart.from_dict(chart.to_dict())
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_training_series_keeps_what_was_measured_and_nothing_else():
    series = training.training_series(METRICS)
    assert set(series.part) == {"training", "validation", "validation top-5"}
    assert len(series) == 3 + 3 + 2 + 3
    assert series[(series.quantity == "loss") & (series.part == "training")].value.tolist() == [3.0, 2.0, 1.0]


def test_training_series_of_a_run_without_metrics_is_empty_and_still_draws():
    series = training.training_series(pd.DataFrame({"epoch": [1]}))
    assert series.empty
    assert training.training_curve(series, "loss").to_dict()["title"] == "Loss"


def test_the_loss_chart_draws_only_losses_and_marks_the_chosen_epoch():
    chart = training.training_curve(training.training_series(METRICS), "loss", epoch=2)
    values = [row["value"] for row in drawn(chart) if "value" in row]
    assert sorted(values) == [1.0, 2.0, 2.0, 2.5, 3.0, 3.2]
    assert layers(chart)[0]["mark"]["type"] == "rule" and {"epoch": 2} in drawn(chart)


def test_the_accuracy_chart_shows_percent_from_zero_and_can_be_clicked():
    spec = training.training_curve(training.training_series(METRICS), "accuracy").to_dict()
    axis = spec["layer"][0]["encoding"]["y"]
    assert axis["axis"]["format"] == ".0%" and axis["scale"]["zero"] is True
    assert [param["name"] for param in spec["params"]] == ["point"]


def test_the_probability_chart_tells_right_from_wrong_by_colour_and_by_shape():
    frame = pd.DataFrame(
        {"epoch": [1, 2], "probability": [0.2, 0.9], "predicted_class": ["bison", "bear"], "correct": [False, True]}
    )
    points = layers(image_charts.probability_curve(frame, name="bear", palette=DARK))[1]["encoding"]
    assert points["color"]["scale"] == {"domain": ["correct", "wrong"], "range": [DARK.correct, DARK.wrong]}
    assert points["shape"]["scale"]["range"] == ["circle", "cross"]
    assert points["y"]["title"] == "P(bear)" and points["y"]["scale"]["domain"] == [0, 1]


def test_variants_keep_their_order_and_carry_their_names():
    frame = pd.DataFrame(
        {"variant_label": ["clean", "[B,G,R]"], "top1": [0.8, 0.4], "top5": [0.9, 0.6], "mean_confidence": [0.7, 0.5]}
    )
    chart = overview_charts.accuracy_by_variant(frame)
    assert layers(chart)[0]["encoding"]["y"]["sort"] == ["clean", "[B,G,R]"]
    assert {row["value"] for row in drawn(chart) if "value" in row} == {0.8, 0.4, 0.9, 0.6}


def test_the_figure_of_a_low_accuracy_stands_clear_of_the_variants_names():
    frame = pd.DataFrame({"variant_label": ["clean"], "top1": [0.8], "top5": [0.9], "mean_confidence": [0.7]})
    before, behind = layers(overview_charts.accuracy_by_variant(frame))[2:]
    assert before["transform"] == [{"filter": "(datum.top1 >= 0.25)"}] and before["mark"]["align"] == "right"
    assert behind["transform"] == [{"filter": "(datum.top1 < 0.25)"}] and behind["mark"]["align"] == "left"
    assert behind["encoding"]["x"]["field"] == "top5"


def test_bins_count_every_prediction_once():
    bins = value_bins(
        np.array([0.0, 0.04, 0.99, 1.0, 0.51]), np.array([True, False, True, True, False]), limits=(0, 1), bins=2
    )
    assert bins["count"].tolist() == [1, 2, 1, 1]
    assert bins["prediction"].tolist() == ["correct", "correct", "wrong", "wrong"]


def test_a_pair_is_drawn_both_ways():
    table = pd.DataFrame({"epoch": [1, 2], "count": [3, 1], "reverse": [0, 2]})
    chart = confusion_charts.pair_curve(table, "camel", "gazelle")
    ways = ["camel predicted as gazelle", "gazelle predicted as camel"]
    assert chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"] == ways
    rows = [row for row in drawn(chart) if "way" in row]
    assert {(row["epoch"], row["way"]): row["images"] for row in rows} == {
        (1, "camel predicted as gazelle"): 3,
        (2, "camel predicted as gazelle"): 1,
        (1, "gazelle predicted as camel"): 0,
        (2, "gazelle predicted as camel"): 2,
    }


@pytest.mark.parametrize(("form", "starts"), [("png", b"\x89PNG"), ("svg", b"<svg")])
def test_a_chart_can_be_downloaded_as_a_image(form, starts):
    chart = training.training_curve(training.training_series(METRICS), "loss", palette=LIGHT)
    assert rendered(chart, form).startswith(starts)


def test_the_csv_holds_exactly_the_values_drawn():
    assert downloads.csv(pd.DataFrame({"a": [1], "b": ["é"]})).decode() == "a,b\n1,é\n"


def test_every_chart_is_plain_json():
    chart = training.training_curve(training.training_series(METRICS), "accuracy", epoch=1)
    assert json.loads(json.dumps(chart.to_dict()))["title"] == "Accuracy"
