"""The charts of Patterns, Compare, Robustness, Learning and Trust: by content, and against the schema of Vega-Lite."""

from __future__ import annotations

import json

import altair as alt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard.charts import classes
from dashboard.charts.figure import Figure
from dashboard.charts.rendering import digest
from dashboard.shared.theme import DARK, LIGHT
from dashboard.views.compare import charts as compare_charts
from dashboard.views.learning import charts as learning_charts
from dashboard.views.robustness import charts as robustness_charts
from dashboard.views.trust import charts as trust_charts
from dashboard.views.trust.charts import acceptance_chart

VARIANT_METRICS = pd.DataFrame(
    {
        "epoch": [1, 1, 2, 2],
        "variant_label": ["clean", "[B,G,R]", "clean", "[B,G,R]"],
        "top1": [0.5, 0.2, 0.8, 0.4],
        "nll": [2.0, 3.0, 1.0, np.nan],
    }
)
CLASSES = pd.DataFrame(
    {
        "class_index": [0, 1, 2],
        "name": ["bear", "bus", "sock"],
        "group": ["animals", "vehicles", "clothing"],
        "before": [0.2, 0.5, 0.7],
        "after": [0.6, 0.5, 0.1],
        "accuracy": [0.6, 0.5, 0.1],
        "image_formation": [2.0, 3.0, -1.0],
        "stabilisation": [3.0, 2.0, 4.0],
    }
)
PAIRS = pd.DataFrame(
    {
        "first": ["bear"],
        "second": ["bus"],
        "first_index": [0],
        "second_index": [1],
        "similarity": [0.4],
        "rate": [0.1],
        "count": [3],
    }
)
BINS = pd.DataFrame(
    {
        "lower": [0.0, 0.5],
        "upper": [0.5, 1.0],
        "count": [0, 10],
        "confidence": [np.nan, 0.8],
        "accuracy": [np.nan, 0.7],
        "low": [0.0, 0.4],
        "high": [1.0, 0.9],
    }
)
LEAGUE = pd.DataFrame(
    {
        "label": ["Maximum softmax", "Sharpness of the map"],
        "kind": ["softmax", "map"],
        "auroc": [0.8, 0.5],
        "auroc_low": [0.75, 0.45],
        "auroc_high": [0.85, 0.55],
    }
)
RACE = pd.DataFrame(
    {
        "epoch": [1, 1, 1, 2, 2, 2],
        "group": ["a", "a", "b"] * 2,
        "name": list("xyz") * 2,
        "accuracy": [0, 1, 0.2, 1, 1, 0.4],
    }
)
HISTORY = pd.DataFrame({"history": ["always correct", "never correct"], "images": [7, 2]})
RISK = pd.DataFrame(
    {
        "coverage": [0.5, 1.0],
        "risk": [0.0, 0.2],
        "score": ["Maximum softmax"] * 2,
        "key": "max_softmax",
        "percent": [50, 100],
    }
)


def rows(chart):
    """All rows of all data sets of a chart, validated against the schema."""
    alt.Chart.from_dict(chart.to_dict())
    return [row for part in chart.to_dict()["datasets"].values() for row in part]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("draw", "arguments"),
    [
        (robustness_charts.variant_curves, (VARIANT_METRICS, "top1")),
        (learning_charts.formation_scatter, (CLASSES,)),
        (learning_charts.history_bars, (HISTORY,)),
        (trust_charts.reliability_diagram, (BINS,)),
        (acceptance_chart, (RISK,)),
        (trust_charts.failure_ranking_chart, (LEAGUE,)),
        (classes.similarity_scatter, (PAIRS,)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_chart_is_valid_vega_lite_and_what_is_sent_is_the_same(draw, arguments, palette):
    more = {"title": "top-1"} if draw is robustness_charts.variant_curves else {}
    chart = draw(*arguments, palette=palette, **more)
    checked, sent = chart.to_dict(), chart.specification()
    alt.Chart.from_dict(checked)  # raises where the schema does not hold
    plain, tables = checked.pop("datasets"), sent.pop("datasets")
    held = [pa.ipc.open_stream(content).read_all().num_rows for content in tables.values()]
    assert held == [len(part) for part in plain.values()]
    text = json.dumps(checked)
    for name, content in zip(plain, tables, strict=True):
        assert f'{{"name": "{name}"}}' in text
        text = text.replace(f'{{"name": "{name}"}}', f'{{"name": "{content}"}}')
    assert json.loads(text) == {name: value for name, value in sent.items() if name != "padding"}


def test_a_drawing_is_made_once_and_its_values_each_time():
    first, second = (trust_charts.reliability_diagram(BINS.assign(accuracy=value)) for value in (0.5, 0.7))
    assert first.drawing is second.drawing
    assert first.drawing is not trust_charts.reliability_diagram(BINS, palette=DARK).drawing
    named = [set(figure.specification()["datasets"]) for figure in (first, second)]
    assert len(named[0] & named[1]) == 1 and len(named[0] | named[1]) == 3  # the diagonal is the same
    assert first.specification() == trust_charts.reliability_diagram(BINS.assign(accuracy=0.5)).specification()


def test_naming_the_tables_leaves_the_shared_drawing_alone():
    layers = [{"data": {"name": "a"}, "title": "c"}, {"layer": [{"data": {"name": "b"}}]}]
    figure = Figure({"layer": layers}, {"a": HISTORY, "b": RISK}, words={"c": "name of a class"})
    sent = figure.specification()
    names = [sent["layer"][0]["data"]["name"], sent["layer"][1]["layer"][0]["data"]["name"]]
    assert names == list(sent["datasets"])
    assert sent["layer"][0]["title"] == figure.to_dict()["layer"][0]["title"] == "name of a class"
    assert figure.drawing["layer"][0] == {"data": {"name": "a"}, "title": "c"}


def test_tables_with_the_same_values_are_one_to_the_memory_and_others_are_not():
    same = RACE.copy()
    assert digest(RACE) == digest(same)
    assert digest(RACE) == digest(RACE.set_axis(RACE.index + 1))
    assert digest(RACE) != digest(RACE.rename(columns={"name": "other"}))
    assert digest(RACE) != digest(RACE.iloc[::-1])
    assert digest(RACE) != digest(RACE.astype({"epoch": float}))


def test_variants_are_drawn_with_their_names_and_without_what_was_not_measured():
    drawn = rows(robustness_charts.variant_curves(VARIANT_METRICS, "nll", title="NLL"))
    assert [(row["epoch"], row["variant_label"], row["nll"]) for row in drawn] == [
        (1, "clean", 2.0),
        (1, "[B,G,R]", 3.0),
        (2, "clean", 1.0),
    ]


def test_accuracy_curves_average_groups_and_highlight_one():
    drawn = rows(learning_charts.accuracy_curves(RACE, highlight="a"))
    values = {(row["epoch"], row["group"]): (row["accuracy"], row["highlighted"]) for row in drawn if "group" in row}
    assert values == {(1, "a"): (0.5, True), (1, "b"): (0.2, False), (2, "a"): (1.0, True), (2, "b"): (0.4, False)}


def test_classes_that_never_formed_are_left_out_of_the_scatter():
    points = learning_charts.formation_scatter(CLASSES).tables["classes"]
    assert list(points["name"]) == ["bear", "bus"]
    assert (abs(points["x"] - points["image_formation"]) <= 0.2).all()


def test_an_empty_bin_has_no_point_in_the_reliability_diagram():
    assert [row["count"] for row in rows(trust_charts.reliability_diagram(BINS)) if "count" in row] == [10]


def test_the_league_shows_intervals_and_chance():
    drawn = rows(trust_charts.failure_ranking_chart(LEAGUE))
    assert {"auroc": 0.5} in drawn
    assert [(row["auroc_low"], row["auroc_high"]) for row in drawn if "label" in row] == [(0.75, 0.85), (0.45, 0.55)]


def test_a_class_that_gains_is_told_by_shape_as_well_as_colour():
    chart = compare_charts.accuracy_change(CLASSES, before="epoch 1", after="epoch 2")
    assert [row["change"] for row in rows(chart) if "change" in row] == ["gained", "same", "lost"]
    points = chart.to_dict()["layer"][1]["encoding"]
    assert points["shape"]["scale"]["range"] == ["triangle-up", "triangle-down", "circle"]
    assert points["x"]["title"] == "accuracy: epoch 1"
