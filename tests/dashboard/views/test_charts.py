"""The pages' charts: what is drawn, with which words, colours and values, and against the schema of Vega-Lite."""

import json

import altair as alt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dashboard.shared.theme import DARK, LIGHT
from dashboard.views.compare import charts as compare_charts
from dashboard.views.confusion import charts as confusion_charts
from dashboard.views.image import charts as image_charts
from dashboard.views.learning import charts as learning_charts
from dashboard.views.overview import charts as overview_charts
from dashboard.views.patterns.charts import pairs_and_means, similarity_chart
from dashboard.views.robustness import charts as robustness_charts
from dashboard.views.trust import charts as trust_charts


def table(columns, *rows):
    """A table from the names of its columns and its rows."""
    return pd.DataFrame(rows, columns=columns.split())


METRICS = table(
    "epoch train_loss validation_loss validation_top1 validation_top5 learning_rate",
    (1, 3.0, 3.2, 0.1, 0.3, 1e-3),
    (2, 2.0, 2.5, 0.3, 0.6, 1e-3),
    (3, 1.0, 2.0, np.nan, 0.7, 1e-4),
)
VARIANT_METRICS = table(
    "epoch variant_label top1 nll",
    (1, "clean", 0.5, 2.0),
    (1, "[B,G,R]", 0.2, 3.0),
    (2, "clean", 0.8, 1.0),
    (2, "[B,G,R]", 0.4, np.nan),
)
CLASSES = table(
    "class_index name group before after accuracy image_formation stabilisation",
    (0, "bear", "animals", 0.2, 0.6, 0.6, 2.0, 3.0),
    (1, "bus", "vehicles", 0.5, 0.5, 0.5, 3.0, 2.0),
    (2, "sock", "clothing", 0.7, 0.1, 0.1, -1.0, 4.0),
)
PAIRS = table("first second first_index second_index similarity rate count", ("bear", "bus", 0, 1, 0.4, 0.1, 3))
BINS = table(
    "lower upper count confidence accuracy low high",
    (0.0, 0.5, 0, np.nan, np.nan, 0.0, 1.0),
    (0.5, 1.0, 10, 0.8, 0.7, 0.4, 0.9),
)
RANKING = table(
    "label kind auroc auroc_low auroc_high",
    ("Maximum softmax", "softmax", 0.8, 0.75, 0.85),
    ("Sharpness of the map", "map", 0.5, 0.45, 0.55),
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
RISK = table(
    "coverage risk score key percent",
    (0.5, 0.0, "Maximum softmax", "max_softmax", 50),
    (1.0, 0.2, "Maximum softmax", "max_softmax", 100),
)
TREND = pd.DataFrame({"similarity": [0.2, 0.4], "rate": [0.0, 0.1], "pairs": [2, 1]})


def layers(chart):
    alt.Chart.from_dict(chart.to_dict())  # raises where the schema does not hold
    return chart.to_dict()["layer"]


def rows(chart):
    """All rows of all data sets of a chart, validated against the schema."""
    alt.Chart.from_dict(chart.to_dict())
    return [row for part in chart.to_dict()["datasets"].values() for row in part]


def test_training_series_keeps_what_was_measured_and_nothing_else():
    series = overview_charts.training_series(METRICS)
    assert set(series.part) == {"training", "validation", "validation top-5"}
    assert len(series) == 3 + 3 + 2 + 3
    assert series[(series.quantity == "loss") & (series.part == "training")].value.tolist() == [3.0, 2.0, 1.0]


def test_training_series_of_a_run_without_metrics_is_empty_and_still_draws():
    series = overview_charts.training_series(pd.DataFrame({"epoch": [1]}))
    assert series.empty
    assert overview_charts.training_curve(series, quantity="loss", epoch=1).to_dict()["title"] == "Loss"


def test_the_loss_chart_draws_only_losses_and_marks_the_chosen_epoch():
    chart = overview_charts.training_curve(overview_charts.training_series(METRICS), quantity="loss", epoch=2)
    values = [row["value"] for row in rows(chart) if "value" in row]
    assert sorted(values) == [1.0, 2.0, 2.0, 2.5, 3.0, 3.2]
    assert layers(chart)[0]["mark"]["type"] == "rule" and {"epoch": 2} in rows(chart)


def test_the_accuracy_chart_shows_percent_from_zero_and_can_be_clicked():
    series = overview_charts.training_series(METRICS)
    spec = overview_charts.training_curve(series, quantity="accuracy", epoch=1).to_dict()
    axis = spec["layer"][1]["encoding"]["y"]
    assert axis["axis"]["format"] == "~%" and axis["scale"]["zero"] is True
    assert [param["name"] for param in spec["params"]] == ["point"]


def test_the_probability_chart_marks_wrong_predictions_by_colour_and_shape():
    frame = pd.DataFrame(
        {"epoch": [1, 2], "probability": [0.2, 0.9], "predicted_class": ["bison", "bear"], "correct": [False, True]}
    )
    points = layers(image_charts.probability_curve(frame, name="bear", epoch=1, palette=DARK))[2]["encoding"]
    assert points["color"]["scale"] == {"domain": ["correct", "wrong"], "range": [DARK.correct, DARK.wrong]}
    assert points["shape"]["scale"]["range"] == ["circle", "cross"]
    assert points["y"]["title"] == "P(bear)" and points["y"]["scale"]["domain"] == [0, 1]


def test_variants_keep_their_order_and_carry_their_names():
    frame = pd.DataFrame(
        {"variant_label": ["clean", "[B,G,R]"], "top1": [0.8, 0.4], "top5": [0.9, 0.6], "mean_confidence": [0.7, 0.5]}
    )
    chart = overview_charts.accuracy_by_variant(frame)
    assert layers(chart)[0]["encoding"]["y"]["sort"] == ["clean", "[B,G,R]"]
    assert {row["value"] for row in rows(chart) if "value" in row} == {0.8, 0.4, 0.9, 0.6}


def test_the_label_of_a_low_accuracy_stands_clear_of_the_variants_names():
    frame = pd.DataFrame({"variant_label": ["clean"], "top1": [0.8], "top5": [0.9], "mean_confidence": [0.7]})
    before, behind = layers(overview_charts.accuracy_by_variant(frame))[2:]
    assert before["transform"] == [{"filter": "(datum.top1 >= 0.25)"}] and before["mark"]["align"] == "right"
    assert behind["transform"] == [{"filter": "(datum.top1 < 0.25)"}] and behind["mark"]["align"] == "left"
    assert behind["encoding"]["x"]["field"] == "top5"


def test_a_pair_is_drawn_both_ways():
    table = pd.DataFrame({"epoch": [1, 2], "count": [3, 1], "reverse": [0, 2]})
    chart = confusion_charts.pair_curve(table, true_class="camel", prediction="gazelle", epoch=1)
    ways = ["camel predicted as gazelle", "gazelle predicted as camel"]
    assert chart.to_dict()["layer"][1]["encoding"]["color"]["scale"]["domain"] == ways
    ways_drawn = [row for row in rows(chart) if "way" in row]
    assert {(row["epoch"], row["way"]): row["images"] for row in ways_drawn} == {
        (1, "camel predicted as gazelle"): 3,
        (2, "camel predicted as gazelle"): 1,
        (1, "gazelle predicted as camel"): 0,
        (2, "gazelle predicted as camel"): 2,
    }


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("draw", "arguments"),
    [
        (robustness_charts.variant_curves, (VARIANT_METRICS,)),
        (learning_charts.formation_scatter, (CLASSES,)),
        (learning_charts.history_bars, (HISTORY,)),
        (trust_charts.reliability_diagram, (BINS,)),
        (trust_charts.acceptance_chart, (RISK,)),
        (trust_charts.failure_ranking_chart, (RANKING,)),
        (similarity_chart, (pairs_and_means(PAIRS, TREND),)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_chart_is_valid_vega_lite_and_what_is_sent_is_the_same(draw, arguments, palette):
    more = {"figure": "top1", "title": "top-1", "epoch": 1} if draw is robustness_charts.variant_curves else {}
    chart = draw(*arguments, palette=palette, **more)
    checked, sent = chart.to_dict(), chart.specification()
    alt.Chart.from_dict(checked)  # raises where the schema does not hold
    plain, tables = checked.pop("datasets"), sent.pop("datasets")
    row_counts = [pa.ipc.open_stream(content).read_all().num_rows for content in tables.values()]
    assert row_counts == [len(part) for part in plain.values()]
    text = json.dumps(checked)
    for name, content in zip(plain, tables, strict=True):
        assert f'{{"name": "{name}"}}' in text
        text = text.replace(f'{{"name": "{name}"}}', f'{{"name": "{content}"}}')
    assert json.loads(text) == {name: value for name, value in sent.items() if name != "padding"}


def test_variants_are_drawn_with_their_names_and_without_what_was_not_measured():
    drawn = rows(robustness_charts.variant_curves(VARIANT_METRICS, figure="nll", title="NLL", epoch=1))
    assert [(row["epoch"], row["variant_label"], row["nll"]) for row in drawn if "nll" in row] == [
        (1, "clean", 2.0),
        (1, "[B,G,R]", 3.0),
        (2, "clean", 1.0),
    ]


def test_accuracy_curves_average_groups_and_highlight_one():
    drawn = rows(learning_charts.accuracy_curves(RACE, highlight="a", epoch=1))
    values = {(row["epoch"], row["group"]): (row["accuracy"], row["highlighted"]) for row in drawn if "group" in row}
    assert values == {(1, "a"): (0.5, True), (1, "b"): (0.2, False), (2, "a"): (1.0, True), (2, "b"): (0.4, False)}


def test_classes_that_never_formed_are_left_out_of_the_scatter():
    points = learning_charts.formation_scatter(CLASSES).tables["classes"]
    assert list(points["name"]) == ["bear", "bus"]
    assert (abs(points["x"] - points["image_formation"]) <= 0.2).all()


def test_an_empty_bin_has_no_point_in_the_reliability_diagram():
    assert [row["count"] for row in rows(trust_charts.reliability_diagram(BINS)) if "count" in row] == [10]


def test_the_ranking_shows_intervals_and_chance():
    drawn = rows(trust_charts.failure_ranking_chart(RANKING))
    assert {"auroc": 0.5} in drawn
    assert [(row["auroc_low"], row["auroc_high"]) for row in drawn if "label" in row] == [(0.75, 0.85), (0.45, 0.55)]


def test_a_class_that_gains_is_marked_by_shape_as_well_as_colour():
    chart = compare_charts.accuracy_change(CLASSES, before="epoch 1", after="epoch 2")
    assert [row["change"] for row in rows(chart) if "change" in row] == ["gained", "same", "lost"]
    points = chart.to_dict()["layer"][1]["encoding"]
    assert points["shape"]["scale"]["range"] == ["triangle-up", "triangle-down", "circle"]
    assert points["x"]["title"] == "accuracy: epoch 1"


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_curves_of_removed_cells_and_measures_over_the_epochs_hold_the_schema(palette):
    curves = table(
        "measure order share probability",
        *[(measure, order, share, share) for measure in ("deletion", "insertion") for order in ("map", "random")
          for share in (0.0, 0.5, 1.0)],
    )  # fmt: skip
    drawn = rows(trust_charts.removal_chart(curves, palette=palette))
    assert {row["order"] for row in drawn} == {"strongest cells first", "random order"}
    measures = table("epoch line value", (1, "encoder", 2.0), (2, "encoder", 1.0), (2, "class maps", 0.5))
    nc1 = learning_charts.epoch_lines(measures, title="NC1", epoch=2, palette=palette)
    assert len(layers(nc1)) == 3 and {"epoch": 2} in rows(nc1)
    share = learning_charts.epoch_lines(measures, title="share of the images", epoch=1, palette=palette)
    assert layers(share)[1]["encoding"]["y"]["axis"]["format"] == "~%"
    almost = table("epoch line value", (1, "encoder", 0.9999))
    assert rows(learning_charts.epoch_lines(almost, title="share", epoch=1, palette=palette))[0]["text"] == "99.99 %"
