"""Trust: calibration, failure detection, and whether the maps are places or codes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, state
from dashboard.charts.failures import confidence_bins, confidence_histogram
from dashboard.charts.trust import league_chart, reliability_diagram, risk_curves
from dashboard.explanations import needs_analysis
from dashboard.state import Selection
from dashboard.theme import percent
from store.analysis.scores import COLUMN_SCORES, REFERENCE

_LABELS = {score.name: score.label for score in COLUMN_SCORES}
_QUANTITIES = {
    "within": "Likeness of two pictures' maps, same class",
    "between": "Likeness of two pictures' maps, different classes",
    "inside": "Share of the map inside the object",
    "area": "Share of the picture that the object covers",
    "elsewhere": "Share of the map inside another picture's object",
    "peak_inside": "Peak of the map lies inside the object",
    "follow": "What the maps gain by following their own object (1: perfect)",
    "shift": "How far the maps move with a shifted picture (1: with it)",
}
_VERDICTS = {
    "code": "**The maps of this run are codes of the class, not places in the picture.** They stand beside it.",
    "place": "**The maps of this run follow the object.** They can be laid over the pictures.",
    "unknown": "Whether the maps of this run are places cannot be told from what was recorded.",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    _calibration(selection)
    _detection(selection)
    _league(selection)
    _places(selection)


def _calibration(selection: Selection) -> None:
    st.subheader("Is a confidence of 0.8 right in 80 of 100?", anchor=False)
    edges = controls.segmented(
        "Bins", "bins", ["width", "mass"], names={"width": "equally wide", "mass": "equally full"}.__getitem__
    )
    table = data.calibration(selection.run, selection.epoch, selection.variant, edges)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    left, right = st.columns(2)
    with left:
        exports.chart(
            reliability_diagram,
            table,
            palette=exports.current_palette(),
            key="reliability",
            alt="share of right answers against confidence",
            on_select=_clicked_bin,
            selection_mode="bin",
        )
    with right:
        with st.container(horizontal=True):
            st.metric("ECE", percent(table.attrs["ece"]), border=True, help="mean distance from the diagonal")
            st.metric("Largest gap", percent(table.attrs["mce"]), border=True, help="MCE")
            st.metric("NLL", f"{table.attrs['nll']:.3f}", border=True, help="nats per picture, unquantised")
        bins = confidence_bins(frame["confidence"].to_numpy(), frame["correct"].to_numpy(), bins=20)
        exports.chart(
            confidence_histogram,
            bins,
            palette=exports.current_palette(),
            height=235,
            key="confidence-histogram",
            alt="right and wrong answers by confidence",
        )
    st.caption("Bars are 95 % Wilson intervals. A click on a point opens the wrong answers of that bin on Failures.")


def _clicked_bin() -> None:
    chosen = st.session_state["chart-reliability"]["selection"].get("bin") or []
    if chosen:
        state.go("failures", {"class": None, "confidence": f"{chosen[0]['lower']:.3g}-{chosen[0]['upper']:.3g}"})


def _detection(selection: Selection) -> None:
    st.subheader("Which score knows a wrong answer?", anchor=False)
    score = controls.select(
        "Beside the maximum softmax",
        "score",
        [name for name in _LABELS if name != REFERENCE],
        default="sharpness",
        names=_LABELS.__getitem__,
    )
    parts, figures = [], []
    for name in (REFERENCE, score):
        curve = data.risk_coverage(selection.run, selection.epoch, selection.variant, name)
        parts.append(curve[["coverage", "risk"]].assign(score=_LABELS[name]))
        figures.append({"Score": _LABELS[name], **curve.attrs})
    table = pd.concat(parts, ignore_index=True)
    left, right = st.columns([3, 2])
    with left:
        exports.chart(
            risk_curves,
            table,
            palette=exports.current_palette(),
            key="risk-coverage",
            alt="wrong answers among those accepted against the share accepted",
        )
    with right:
        names = {"auroc": "AUROC", "fpr95": "FPR95", "aurc": "AURC", "e_aurc": "E-AURC", "augrc": "AUGRC"}
        wide = pd.DataFrame(figures).set_index("Score")[list(names)].rename(columns=names).T
        st.dataframe(
            wide,
            column_config={label: st.column_config.NumberColumn(format="%.3f") for label in wide.columns},
            alt="failure detection figures of both scores",
        )
        st.caption(
            "AUROC: the chance that a right answer scores higher than a wrong one (0.5 is a coin). The others are "
            "areas "
            "under risk curves and the false acceptances at 95 % accepted right answers: less is better. All pictures, "
            "the chosen epoch and variant; nothing is fitted."
        )


def _league(selection: Selection) -> None:
    st.subheader("The league: softmax, maps, and the record", anchor=False)
    table = data.analysis_table(selection.run, "league")
    if table is None:
        needs_analysis(selection)
        return
    exports.chart(
        league_chart,
        table,
        palette=exports.current_palette(),
        key="league",
        alt="AUROC of every score with its interval",
    )
    st.caption(
        f"Last epoch, clean, {int(table['pictures'].iloc[0])} pictures with {int(table['errors'].iloc[0])} wrong "
        "answers: the "
        "half of each class on which nothing was fitted. Intervals: 95 %, paired bootstrap."
    )


def _places(selection: Selection) -> None:
    st.subheader("Pattern or place?", anchor=False)
    table = data.analysis_table(selection.run, "place")
    if table is None or table.empty:
        needs_analysis(selection)
        return
    st.markdown(_VERDICTS[data.place_verdict(selection.run)])
    shown = table.assign(quantity=[_QUANTITIES.get(name, name) for name in table["quantity"]])
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "quantity": st.column_config.TextColumn("Last epoch, clean, map of the truth", width="large"),
            "value": st.column_config.NumberColumn("Mean", format="%.3f"),
            "low": st.column_config.NumberColumn("95 % from", format="%.3f"),
            "high": st.column_config.NumberColumn("to", format="%.3f"),
        },
        alt="how much the maps are places in the picture",
    )


main()
