"""Findings as cards: the figure with its interval, and how it was tested."""

import math
import re

import pytest

from dashboard.charts.intervals import interval_svg, scale_limits
from dashboard.shared import finding_cards
from store.analysis import Finding
from store.analysis.findings import TESTED_KINDS


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
            Finding("failure_ranking", "t", -0.077, -0.09, -0.06, "AUROC", "trust", 0.1, p=0.001, comparisons=15),
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


def test_every_kind_of_finding_has_a_question():
    assert set(TESTED_KINDS) <= set(finding_cards.QUESTIONS)
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


@pytest.mark.parametrize(("p", "verdict"), [(0.0038, "significant, p = 0.004"), (0.0039, "not significant, p = 0.004")])
def test_what_is_asked_of_every_run_says_whether_its_answer_is_significant(p, verdict):
    finding = Finding("localisation", "t", 0.0, -0.1, 0.1, "share", "trust", 0.6, p=p)
    assert f": {verdict}" in finding_cards.caveat(finding)


def test_a_measurement_claims_no_test():
    caveat = finding_cards.caveat(Finding("similarity", "t", 0.9, 0.8, 0.95, "cosine", "patterns", 0.3))
    assert caveat.startswith("Measured") and "p" not in caveat.replace("reported", "")


def test_the_tick_stands_at_the_value_without_an_effect_or_nowhere():
    at = {value: interval_svg(0.9, 0.8, 0.95, unit="share", no_effect=value) for value in (0.0, 0.5, math.nan)}
    ticks = {value: re.findall(r'<line x1="([0-9.]+)" x2="\1"', drawn) for value, drawn in at.items()}
    assert list(ticks.values()) == [["8.0"], ["120.0"], []]
    assert scale_limits(2.0, 1.0, 3.0, "sd", 5.0)[1] > 5


def test_a_finding_says_how_many_trainings_report_it_and_how_far_apart():
    mine, other = (Finding("accuracy", "t", value, 0, 1, "share", "robustness", 0.5) for value in (0.61, 0.55))
    assert finding_cards.over_trainings(mine, []) == ""
    assert "only this one reports it" in finding_cards.over_trainings(mine, [None, None])
    assert finding_cards.over_trainings(mine, [None, other]) == (
        "Reported by 2 of 3 trainings that differ in their seed alone: on average 58 points, 55 to 61."
    )
