"""Findings as cards: the statement, its figure with an interval, how it was tested, and a link to its page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard.charts.intervals import interval_svg
from dashboard.shared import downloads
from dashboard.shared.theme import count, escape_markdown
from dashboard.shell import controls, navigation
from dashboard.shell.url_state import Selection
from store.analysis import Finding
from store.analysis.findings import ALWAYS_REPORTED, significant
from store.rates import percent


class Question(NamedTuple):
    """What the analysis asks of every run: a heading for its findings, the question, and the candidates it compares."""

    heading: str
    question: str
    candidates: str


QUESTIONS: dict[str, Question] = {
    "degenerate": Question(
        "Not fit to be described",
        "Are the maps dead, constant or exploded, or all predictions one class? Then nothing else is said.",
        "all images",
    ),
    "predicted as": Question(
        "Predicted as another class",
        "Does a perturbation turn one class into another?",
        "every pair of classes under every variant",
    ),
    "group predicted as": Question(
        "Predicted as another group",
        "Does a perturbation turn one group of classes into another?",
        "every pair of groups under every variant",
    ),
    "accuracy": Question("Accuracy drop", "How much accuracy does each variant cost?", "every variant"),
    "cue": Question(
        "What a class relies on",
        "Which class loses more of its logit under a variant than other classes do?",
        "every class under every variant",
    ),
    "pair": Question(
        "Overcome in training",
        "Which pair of classes was confused and no longer is?",
        "every confused pair at every epoch",
    ),
    "cluster": Question(
        "A cluster that fails",
        "Does a class have a cluster of maps that is wrong more often than its images with the same logit?",
        "every cluster of every class",
    ),
    "formation": Question(
        "First and last to form",
        "Which classes' maps reach their final form first, and which last?",
        "every pair of classes",
    ),
    "ensemble": Question(
        "Ensembles",
        "Does averaging the probabilities of recorded epochs or variants change the accuracy?",
        "every ensemble",
    ),
    "formation before prediction": Question(
        "Map before prediction",
        "Does an image's own map form before its prediction stabilises, whatever counts as formed?",
        "one question, against other images' maps",
    ),
    "forgetting": Question("Forgotten", "How many of the final mistakes were correct at an earlier epoch?", "a count"),
    "persistence": Question(
        "Most persistent mistake", "Which mistake is the most persistent?", "all images, descriptive"
    ),
    "failure_ranking": Question(
        "Do the maps detect errors?",
        "Does any confidence score of the map detect errors better than the maximum softmax?",
        "every score, on the half of the images that no score was fitted on",
    ),
    "correction": Question(
        "Minimal correction",
        "How few cells of the maps have to go to correct a mistake, and does that turn correct predictions, too?",
        "all mistakes, descriptive",
    ),
    "surer": Question(
        "Are brighter and sharper maps surer?",
        "Does a map's peak or its sharpness go with the confidence of the prediction?",
        "two measures",
    ),
    "sure mistakes": Question(
        "Confidence of mistakes", "How many wrong predictions have a confidence of 20 % or more?", "a share"
    ),
    "seed": Question(
        "What comes from the seed",
        "Does the untrained network already have the final class patterns?",
        "all classes, where epoch 0 is recorded",
    ),
    "localisation": Question("Localisation", "Do the maps follow the object?", "one question"),
    "similarity": Question(
        "Similarity within a class", "How similar are the maps of two images of a class?", "one question"
    ),
}


_OF_MAPS = (
    *("cluster", "formation", "formation before prediction"),
    *("failure_ranking", "correction", "localisation", "similarity", "surer", "seed"),
)
# Their figure is a difference of two shares, so its unit is percentage points.
_DIFFERENCES = ("accuracy", "ensemble")
# Controls on the page that a finding links to, set so that the page shows its figure.
_PAGE_OPTIONS: dict[str, dict[str, str]] = {"cue": {"values": "logit", "order": "similarity"}}


def heading(finding: Finding) -> str:
    """What a finding is about, in a few words."""
    known = QUESTIONS.get(finding.kind)
    return known.heading if known else finding.kind.capitalize()


def figure(finding: Finding) -> str:
    """The figure with its interval: '35 % (26 % to 45 %)', '62 points (58 to 66)', '2.6 sd (2.0 to 3.1)'."""
    unit = _shown_unit(finding)
    value = _number(finding.value, unit)
    if not (math.isfinite(finding.low) and math.isfinite(finding.high)) or finding.low == finding.high:
        return f"{value}{_unit(unit)}"
    low, high = (_number(end, unit) for end in (finding.low, finding.high))
    return f"{value}{_unit(unit)} ({low} to {high})"


def _shown_unit(finding: Finding) -> str:
    return "points" if finding.kind in _DIFFERENCES and finding.unit == "share" else finding.unit


def _number(value: float, unit: str) -> str:
    if unit == "share":
        shown = percent(value, 0 if abs(value) >= 0.1 else 1)
    elif unit == "points":
        shown = f"{100 * value:.{0 if abs(value) >= 0.1 else 1}f}"
    elif unit == "AUROC":
        shown = f"{value:+.3f}"
    else:
        shown = f"{value:.2f}" if unit in ("cosine", "rank correlation") else f"{value:.3g}"
    return shown.replace("-", "−")


def _unit(unit: str) -> str:
    """A unit as it follows a number."""
    if unit in ("share", "cosine", "rank correlation"):
        return ""
    return " of AUROC" if unit == "AUROC" else f" {unit}"


def caveat(finding: Finding) -> str:
    """Whether a finding is a claim or a measurement, how it was tested, and among how many candidates it was chosen."""
    if not math.isfinite(finding.p):
        if finding.low == finding.high:
            return "A count of this run's images; nothing was tested."
        return "Measured, with a 95 % interval; reported whatever the result."
    chance = "p < 0.001" if finding.p < 0.001 else f"p = {finding.p:.3f}"
    if finding.kind in ALWAYS_REPORTED:
        joint = f", jointly for all {finding.comparisons} scores" if finding.comparisons > 1 else ""
        outcome = "significant" if significant(finding.p) else "not significant"
        return f"Asked of every run: {outcome}, {chance}; 95 % interval{joint}."
    if finding.comparisons == 1:
        return f"A single test: {chance}."
    return (
        f"The most striking of {count(finding.comparisons)} candidates: {chance} after correction for all of them; the "
        "interval holds for all of them jointly."
    )


def over_trainings(finding: Finding, trainings: Sequence[Finding | None]) -> str:
    """Whether trainings with other seeds report the same, and how far their figures lie apart; empty without any.

    Args:
        trainings: what each of the others reports of the same, None where it does not.
    """
    if not trainings:
        return ""
    values = [finding.value, *(other.value for other in trainings if other is not None)]
    differ = f"{len(trainings) + 1} trainings that differ in their seed alone"
    if len(values) == 1:
        return f"Of {differ}, only this one reports it."
    unit = _shown_unit(finding)
    low, mean, high = (_number(each, unit) for each in (min(values), sum(values) / len(values), max(values)))
    span = f"on average {mean}{_unit(unit)}, {low} to {high}" if low != high else f"{mean}{_unit(unit)}"
    return f"Reported by {len(values)} of {differ}: {span}."


def card(selection: Selection, finding: Finding, number: int, trainings: Sequence[Finding | None] = ()) -> None:
    """Draw one finding over the width of the page: the statement and its test on the left, its figure on the right.

    Args:
        trainings: what each training with another seed reports of the same, None where it does not.
    """
    with st.container(border=True):
        left, right = st.columns([5, 2], vertical_alignment="center", gap="medium")
        with left:
            st.caption(f"{number} · {escape_markdown(heading(finding))}")
            st.markdown(f"**{_statement(finding)}**")
            st.caption(_unbroken(f"{caveat(finding)} {over_trainings(finding, trainings)}".strip()))
        with right:
            _figure(selection, finding)


def brief_card(selection: Selection, finding: Finding, number: int) -> None:
    """Draw one finding in a narrow column: the statement and its figure."""
    with st.container(border=True, height="stretch"):
        st.caption(f"{number} · {escape_markdown(heading(finding))}")
        st.markdown(_statement(finding))
        _figure(selection, finding)


def _statement(finding: Finding) -> str:
    """The statement as Markdown."""
    return _unbroken(escape_markdown(finding.text))


def _unbroken(text: str) -> str:
    """No line breaks between a figure and its percent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _figure(selection: Selection, finding: Finding) -> None:
    drawn = interval_svg(
        finding.value,
        finding.low,
        finding.high,
        unit=finding.unit,
        no_effect=finding.no_effect,
        palette=downloads.current_palette(),
    )
    st.image(drawn, width=220, alt=f"{heading(finding)}: {figure(finding)}")
    st.caption(f"**{escape_markdown(figure(finding))}**")
    title = navigation.page_info(finding.page).title
    reset = {"run": selection.name, **dict.fromkeys(("variant", "class", "image", "pin"))}
    changes = {**reset, **finding.query, **_PAGE_OPTIONS.get(finding.kind, {})}
    controls.page_link(finding.page, f"See it on {title}", changes, icon="arrow_forward")


def questions_table(found: Sequence[Finding], *, has_maps: bool = True) -> pd.DataFrame:
    """A row per question that the analysis asks: question, candidates, reported (how many findings it gave).

    Without maps the questions about them are left out.
    """
    reported = pd.Series([finding.kind for finding in found], dtype=object).value_counts()
    rows = [
        {"question": asked.question, "candidates": asked.candidates, "reported": int(reported.get(kind, 0))}
        for kind, asked in QUESTIONS.items()
        if has_maps or kind not in _OF_MAPS
    ]
    return pd.DataFrame(rows)
