"""Findings in words, search by pattern, anatomy of a prediction, histograms, lifetimes: the parts without a page."""

from __future__ import annotations

import base64
import math

import altair as alt
import numpy as np
import pandas as pd
import pytest

from dashboard.charts.histogram import value_bins, value_histogram
from dashboard.charts.intervals import interval_svg, scale_limits
from dashboard.components.correction import CorrectionPanels, payload, strongest_other
from dashboard.components.painter import pattern_text, text_pattern
from dashboard.images.maps import COMMON, scale_maps
from dashboard.images.sheet import atlas
from dashboard.shared import finding_cards
from dashboard.shared.theme import escape_markdown
from dashboard.views.failures import parts as failures_parts
from dashboard.views.image import parts as image_parts
from dashboard.views.learning import parts as learning_parts
from dashboard.views.learning.charts import ensemble_gains
from dashboard.views.robustness.charts import OUTCOME_NAMES, outcome_bars
from store import open_run, queries
from store.analysis import Finding
from store.analysis.findings import TESTED
from store.metrics.correction import correction_cells, difference, logits_after_removal, removal_order
from store.queries import FailureFilter, MinimalCorrection, search_index
from store.queries.perturbation import OUTCOMES


@pytest.fixture(scope="module")
def run(tiny_run):
    return open_run(tiny_run)


# Maps of 2x2 cells of three classes: "bus" wins with S 3; without one cell "van" is level, "car" ahead.
MAPS = np.array([[[6, 4], [2, 0]], [[0, 2], [2, 2]], [[0, 0], [4, 3.5]]], np.float32)


def anatomy_of(maps, prediction=0, true_class=1):
    """The anatomy of a prediction from its maps, without a run."""
    d = difference(maps[prediction], maps[true_class])
    order = removal_order(d)
    scores = np.stack([logits_after_removal(maps, order, k) for k in range(d.size + 1)])
    best = scores.argmax(1)
    winners = np.where(scores[np.arange(len(best)), best] > scores[:, true_class], best, true_class)
    cells = int(correction_cells(maps[prediction], maps[true_class]))
    return MinimalCorrection(
        0, prediction, true_class, true_class, d, order, cells, cells, cells, scores, winners, 0.001, 0.01
    )


def shown(correction, names=("bus", "van", "car")):
    """What travels to the browser for an anatomy."""
    pair = MAPS[[correction.prediction, correction.against]]
    photograph = atlas(np.zeros((1, 4, 4, 3), np.uint8), exact=True)
    return payload(
        CorrectionPanels(correction, photograph, scale_maps(pair, kind=COMMON), names, "magma", correction.cells)
    )


def test_the_words_name_the_fewest_cells_and_the_third_class_that_wins():
    correction = anatomy_of(MAPS)
    assert correction.cells == 1  # D = 6, 2, 0, -2: without the largest nothing is left
    reported = image_parts.minimal_correction_text(correction, ["bus", "van", "car"])
    assert "The logit of **bus** is 1.5 above that of **van**" in reported
    assert "**1 cell** of 4" in reported and "**van** catches up, but **car** then wins" in reported
    assert "certain in spite of quantisation" in reported


def test_the_codecs_doubt_about_the_fewest_cells_is_told():
    sure = anatomy_of(MAPS)
    unsure = MinimalCorrection(**{**vars(sure), "low": 1, "high": 3})
    assert "between 1 and 3 because of quantisation" in image_parts.minimal_correction_text(unsure, ["a", "b", "c"])
    broken = MinimalCorrection(**{**vars(sure), "logit_error": 0.5})
    assert "do not trust this section" in image_parts.consistency_text(broken)
    assert "✓" in image_parts.consistency_text(sure)


def test_the_browser_gets_every_step_of_the_anatomy():
    correction = anatomy_of(MAPS)
    data = shown(correction)
    scores = np.frombuffer(base64.b64decode(data["logits"]), "<f4").reshape(5, 3)
    np.testing.assert_allclose(scores[0], [3, 1.5, 1.875])  # bus, van and the strongest other, car
    np.testing.assert_allclose(scores[2], [0.5, 1.0, 1.875])
    assert [data["names"][number] for number in data["winners"]] == ["bus", "car", "car", "car", "van"]
    assert data["order"] == [0, 1, 2, 3] and data["fewest"] == 1
    other, _ = strongest_other(correction)
    assert set(other) == {2}


def test_with_two_classes_there_is_no_third():
    correction = anatomy_of(MAPS[:2])
    other, score = strongest_other(correction)
    assert set(other) == {-1} and not score.any()
    assert set(shown(correction, ("bus", "van"))["other"]) == {-1}


def test_where_the_slider_rests_is_no_reason_to_draw_again():
    correction = anatomy_of(MAPS)
    photograph, pair = atlas(np.zeros((1, 4, 4, 3), np.uint8), exact=True), scale_maps(MAPS[:2], kind=COMMON)
    first, second = (
        payload(CorrectionPanels(correction, photograph, pair, ("a", "b", "c"), "magma", start))["identity"]
        for start in (0, 3)
    )
    assert first == second


@pytest.mark.parametrize("signed", [False, True])
def test_a_painted_pattern_survives_the_link(signed):
    pattern = np.array([[0, 0.4, 1], [0.2, 1, 0]], np.float32) * (-1 if signed else 1)
    text = pattern_text(pattern, signed=signed)
    back = text_pattern(text, (2, 3), signed=signed)
    assert back is not None
    np.testing.assert_allclose(back, pattern, atol=1 / 14)
    assert pattern_text(back, signed=signed) == text
    assert not text_pattern("8" * 6 if signed else "0" * 6, (2, 3), signed=signed).any()


@pytest.mark.parametrize("text", ["", "0" * 63, "g" * 64, "<script>"])
def test_a_text_that_is_no_pattern_is_refused(text):
    assert text_pattern(text, (8, 8), signed=False) is None


def test_a_search_among_some_images_finds_only_these_and_the_most_alike_first(run):
    index = queries.pattern_index(run, epoch=3, kind="true_class")
    pattern = run.true_class_maps(epoch=3, variant="clean", images=[7])[0]
    found = search_index(index, pattern, k=4)
    assert found["similarity"].is_monotonic_decreasing and found["similarity"].iloc[0] == pytest.approx(1)
    assert set(found["label"]) == {run.labels[7]}
    among = np.flatnonzero(run.labels != run.labels[7])
    others = search_index(index, pattern, k=50, among=among)
    assert set(others["image"]) == set(among)


@pytest.mark.parametrize(
    ("where", "column", "holds"),
    [
        ({"margin": (0.0, 0.2)}, "margin", lambda values: (values <= 0.2).all()),
        ({"cells": (2, 64)}, "correction_cells", lambda values: (values >= 2).all()),
        ({"sort": "margin", "ascending": True}, "margin", lambda values: values.is_monotonic_increasing),
        ({"sort": "margin"}, "margin", lambda values: values.is_monotonic_decreasing),
    ],
)
def test_failures_are_chosen_and_sorted_from_a_table_that_is_there(run, where, column, holds):
    table = run.predictions(epoch=1, variant="bgr")
    rows = queries.select_failures(table, FailureFilter(**where))
    assert holds(rows[column]) and not rows["correct"].any()
    everything = queries.failures(run, epoch=1, variant="bgr")
    assert set(rows["image"]) <= set(everything["image"])


def test_every_answer_is_in_one_bin_and_whole_numbers_have_bins_of_their_own():
    values, right = np.array([0, 1, 1, 5, np.nan]), np.array([True, False, False, False, True])
    bins = value_bins(values, right, limits=(0, 5), whole=True)
    wrong = bins[bins["prediction"] == "wrong"].set_index("low")["count"]
    assert wrong.to_dict() == {-0.5: 0, 0.5: 2, 1.5: 0, 2.5: 0, 3.5: 0, 4.5: 1}
    assert bins[bins["prediction"] == "correct"]["count"].sum() == 1  # the one without a figure is left out
    beyond = value_bins(np.array([-3.0, 9.0]), np.zeros(2, bool), limits=(0, 1), bins=2)
    assert beyond[beyond["prediction"] == "wrong"]["count"].tolist() == [1, 1]


def test_the_histogram_pales_what_is_outside_the_range_and_drops_answers_that_are_not_there():
    bins = value_bins(np.linspace(0, 1, 20), np.zeros(20, bool), limits=(0, 1), bins=10)
    drawn = value_histogram(bins, title="margin", chosen=(0.0, 0.5)).to_dict()
    rows = next(iter(drawn["datasets"].values()))
    assert [row["chosen"] for row in rows] == [True] * 5 + [False] * 5
    assert {row["prediction"] for row in rows} == {"wrong"}
    assert drawn["encoding"]["color"]["legend"] is None


@pytest.mark.parametrize(
    ("finding", "figure", "caveat"),
    [
        (
            Finding("cue", "t", 2.57, 2.0, 3.13, "sd", "robustness", 0.3, 1e-9, 1400),
            "2.57 sd (2 to 3.13)",
            "1\u202f400",
        ),
        (
            Finding("cluster", "t", 1.0, 0.49, 1.0, "share", "gallery", 0.3, 0.002, 304),
            "100 % (49 % to 100 %)",
            "p = 0.002",
        ),
        (
            Finding("failure_ranking", "t", -0.077, -0.09, -0.06, "AUROC", "trust", 0.1, comparisons=15),
            "−0.077",
            "15 scores",
        ),
        (Finding("persistence", "t", 3.0, 3.0, 3.0, "epochs", "image", 0.4), "3 epochs", "nothing was tested"),
        (
            Finding("formation before prediction", "t", 0.96, 0.95, 0.97, "share", "learning", 0.9, 0.0),
            "96 %",
            "A single test",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Finding) else "",
)
def test_a_finding_says_its_figure_and_how_it_was_tested(finding, figure, caveat):
    assert figure in finding_cards.figure(finding)
    assert caveat in finding_cards.caveat(finding)


def test_every_kind_of_statement_that_is_tested_is_among_the_questions():
    assert set(TESTED) <= set(finding_cards.QUESTIONS)
    reported = finding_cards.questions_table([Finding("cue", "t", 1, 0, 2, "sd", "robustness", 1.0)])
    assert reported["reported"].sum() == 1 and len(reported) == len(finding_cards.QUESTIONS)


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "limits"),
    [
        (0.3, 0.2, 0.4, "share", (0, 1)),
        (-0.1, -0.2, 0.0, "share", (-1, 1)),
        (5.0, 4.0, 6.0, "sd", (0, 6.72)),
        (3.0, math.nan, math.nan, "epochs", (0, 3.36)),
        (0.0, 0.0, 0.0, "sd", (0, 0.12)),
    ],
)
def test_the_scale_of_a_figure_holds_zero_and_the_interval(value, low, high, unit, limits):
    assert scale_limits(value, low, high, unit) == pytest.approx(limits)
    drawn = interval_svg(value, low, high, unit=unit)
    assert drawn.count("<circle") == 1
    assert drawn.count("stroke-opacity") == (1 if math.isfinite(low) and high > low else 0)


PAIRS = pd.DataFrame({"resolved": [-1, 3, -1], "slope": [1.0, -2.0, -0.5]})


@pytest.mark.parametrize(
    ("chosen", "kept"), [("all", [0, 1, 2]), ("growing", [0]), ("lasting", [0, 2]), ("overcome", [1])]
)
def test_the_fate_of_a_pair(chosen, kept):
    assert np.flatnonzero(learning_parts.has_outcome(PAIRS, chosen)).tolist() == kept


def test_a_purpose_comes_with_its_figure_over_the_epochs():
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


def test_only_gains_whose_interval_leaves_zero_out_are_coloured():
    frame = pd.DataFrame(
        {"label": ["a", "b"], "gain": [0.02, 0.0], "gain_low": [0.01, -0.01], "gain_high": [0.03, 0.01]}
        | {"top1": [0.5, 0.5], "nll": [1.0, 1.0], "ece": [0.1, 0.1]}
    )
    chart = ensemble_gains(frame)
    assert chart.tables["ensembles"]["significant"].tolist() == [True, False]
    alt.Chart.from_dict(chart.to_dict())  # against the schema


def test_every_outcome_of_the_evidence_has_a_name_and_its_share_is_drawn():
    assert set(OUTCOME_NAMES) == set(OUTCOMES)
    frame = pd.DataFrame(
        {
            "variant": ["gray", "gray"],
            "variant_label": ["gray", "gray"],
            "outcome": ["stable", "different reason"],
            "images": [3, 1],
            "share": [0.75, 0.25],
        }
    )
    rows = next(iter(outcome_bars(frame).to_dict()["datasets"].values()))
    assert [row["outcome_name"] for row in rows] == ["correct both times, same map", "correct for a different reason"]


def test_a_tile_says_the_figure_that_it_is_sorted_by():
    row = pd.Series({"correction_cells": 3, "then": "car", "margin": 0.12345, "error_run": 4, "persistence": 1.5})
    assert failures_parts.extra_line(row, "fewest_cells") == "k* 3, then car"
    assert failures_parts.extra_line(row, "smallest_margin") == "margin 0.123"
    assert failures_parts.extra_line(row, "persistence") == "4 epochs, persistence 1.50"
    assert failures_parts.extra_line(row, "confidence") == ""


def test_markdown_in_a_name_is_taken_as_text():
    assert escape_markdown("a_b*c [d](e) <i> $x$") == r"a\_b\*c \[d\](e) \<i\> \$x\$"


def test_a_count_on_an_axis_is_a_whole_number_in_digits():
    bins = value_bins(np.full(150, 0.5), np.zeros(150, bool), limits=(0, 1), bins=10)
    axis = value_histogram(bins, title="margin", chosen=(0.0, 1.0)).to_dict()["encoding"]["y"]["axis"]
    assert axis["format"] == ",d" and axis["tickMinStep"] == 1
