"""Findings in words: what a figure means, how its test was handled, and where it can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard.charts.intervals import interval_svg
from dashboard.shared import downloads
from dashboard.shared.theme import count, percent, plain
from dashboard.shell import navigation, url_state
from dashboard.shell.url_state import Selection
from store.analysis import Finding


@dataclass(frozen=True)
class Question:
    """What the analysis asks of every run: its heading, the question, and what a prediction is picked from."""

    heading: str
    asked: str
    picked_from: str


QUESTIONS: dict[str, Question] = {
    "predicted as": Question(
        "Taken for another class",
        "Does a perturbation send a class to another one?",
        "every pair of classes under every variant",
    ),
    "group predicted as": Question(
        "Taken for another group",
        "The same of groups of classes.",
        "every pair of groups under every variant",
    ),
    "accuracy": Question("Price of a perturbation", "What does each variant cost in accuracy?", "every variant"),
    "cue": Question(
        "What a class lives on",
        "Which class loses more of its score under a variant than the others do?",
        "every class under every variant",
    ),
    "pair": Question(
        "Overcome in training",
        "Which pair of classes was confused, and is no longer?",
        "every confused pair at every epoch",
    ),
    "mode": Question(
        "A kind that fails",
        "Has a class several kinds of maps, one of which fails more than the rest of the class?",
        "every kind of every class",
    ),
    "forming": Question(
        "First and last to form",
        "Which classes' images take their final map first, and which last?",
        "every pair of classes",
    ),
    "ensemble": Question(
        "Several at once",
        "What would averaging recorded epochs or variants have gained?",
        "every ensemble",
    ),
    "lead": Question(
        "Map before prediction", "Does the map take its form before the prediction settles?", "one question"
    ),
    "forgetting": Question("Forgotten", "How many of the final mistakes had been right before?", "a count"),
    "persistent": Question("Entrenched", "Which mistake sits deepest?", "all images, as a description"),
    "failure_ranking": Question(
        "Does the pattern betray a mistake?",
        "Does any score of the map tell wrong predictions better than the softmax does?",
        "every score, on the half nothing was fitted on",
    ),
    "correction": Question(
        "How few cells undo it", "How few cells of the maps undo a mistake?", "all mistakes, as a description"
    ),
    "place": Question("Pattern or place?", "Does the map lie where the object is?", "one question"),
    "alike": Question("Alike within a class", "How alike are the maps of two images of a class?", "one question"),
}


# Their figure is a difference of two shares: points, not per cent of anything.
_DIFFERENCES = ("accuracy", "ensemble")
# Controls of the page that a finding leads to, set so that its figure is in sight.
_IN_SIGHT: dict[str, dict[str, str]] = {"cue": {"cell": "score", "order": "alike"}}


def heading(finding: Finding) -> str:
    """What a finding is about, in a few words."""
    known = QUESTIONS.get(finding.kind)
    return known.heading if known else finding.kind.capitalize()


def figure(finding: Finding) -> str:
    """The figure with its interval: '35 % (26 % to 45 %)', '62 points (58 to 66)', '2.6 sd (2.0 to 3.1)'."""
    unit = "points" if finding.kind in _DIFFERENCES and finding.unit == "share" else finding.unit
    value = _number(finding.figure, unit)
    if not (math.isfinite(finding.low) and math.isfinite(finding.high)) or finding.low == finding.high:
        return f"{value}{_unit(unit)}"
    low, high = (_number(end, unit) for end in (finding.low, finding.high))
    return f"{value}{_unit(unit)} ({low} to {high})"


def _number(value: float, unit: str) -> str:
    if unit == "share":
        shown = percent(value, 0 if abs(value) >= 0.1 else 1)
    elif unit == "points":
        shown = f"{100 * value:.{0 if abs(value) >= 0.1 else 1}f}"
    elif unit == "AUROC":
        shown = f"{value:+.3f}"
    else:
        shown = f"{value:.2f}" if unit == "cosine" else f"{value:.3g}"
    return shown.replace("-", "−")


def _unit(unit: str) -> str:
    return {"share": "", "cosine": "", "AUROC": " of AUROC", "epochs": " epochs", "sd": " sd"}.get(unit, f" {unit}")


def caveat(finding: Finding) -> str:
    """How a finding stands to the other things that might have been found."""
    if not math.isfinite(finding.p):
        if finding.low == finding.high:
            return "A count of this run's images; nothing is tested."
        together = f", for all {finding.compared} scores together" if finding.compared > 1 else ""
        return f"Described with its 95 % interval{together}; told whatever the prediction is."
    chance = "p < 0.001" if finding.p < 0.001 else f"p = {finding.p:.3f}"
    if finding.compared == 1:
        return f"Tested on its own: {chance}; 95 % interval."
    return (
        f"Picked from {count(finding.compared)} compared: {chance} after counting all of them, and the interval "
        "holds for all of them together."
    )


def card(selection: Selection, finding: Finding, number: int) -> None:
    """Draw one finding: what is true, its figure on a scale, how it was tested, and the way to where it can be seen."""
    with st.container(border=True):
        left, right = st.columns([5, 2], vertical_alignment="center", gap="medium")
        with left:
            st.caption(f"{number} · {plain(heading(finding))}")
            st.markdown(f"**{_shown(finding)}**")
            st.caption(caveat(finding))
        with right:
            _measured(selection, finding)


def brief_card(selection: Selection, finding: Finding, number: int) -> None:
    """Draw one finding in a narrow column: what is true, its figure on a scale, and the way to where it can be seen."""
    with st.container(border=True, height="stretch"):
        st.caption(f"{number} · {plain(heading(finding))}")
        st.markdown(_shown(finding))
        _measured(selection, finding)


def _shown(finding: Finding) -> str:
    """The statement as Markdown, no figure parted from its sign at the end of a line."""
    return plain(finding.text).replace(" %", "\N{NO-BREAK SPACE}%")


def _measured(selection: Selection, finding: Finding) -> None:
    drawn = interval_svg(
        finding.figure, finding.low, finding.high, unit=finding.unit, palette=downloads.current_palette()
    )
    st.image(drawn, width=220)
    st.caption(f"**{plain(figure(finding))}**")
    _see(selection, finding)


def _see(selection: Selection, finding: Finding) -> None:
    page = navigation.info(finding.page)
    keep = {"run": selection.name, "variant": None, "class": None, "image": None, "pin": None}
    st.page_link(
        f"views/{page.name}/page.py",
        label=f"See it on {page.title}",
        icon=":material/arrow_forward:",
        query_params=url_state.carried({**keep, **finding.query, **_IN_SIGHT.get(finding.kind, {})}),
    )


def asked(found: Sequence[Finding]) -> pd.DataFrame:
    """A row per question that the analysis asks: question, picked_from, told (how many findings it gave)."""
    reported = pd.Series([finding.kind for finding in found], dtype=object).value_counts()
    rows = [
        {"question": known.asked, "picked_from": known.picked_from, "reported": int(reported.get(kind, 0))}
        for kind, known in QUESTIONS.items()
    ]
    return pd.DataFrame(rows)
