"""Failures: wrong answers by confidence, class and group; pictures and table are the same rows in the same order."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, galleries, state
from dashboard.charts.failures import confidence_bins, confidence_histogram
from dashboard.state import Selection
from dashboard.theme import count, percent, plural

_SORTS = {
    "confidence": ("confidence", False, "most confident first"),
    "doubtful": ("confidence", True, "least confident first"),
    "close": ("margin", True, "closest call first"),
    "far": ("truth_rank", False, "truth furthest down first"),
    "cells": ("cells_to_fix", False, "most cells to undo first"),
    "entrenched": ("entrenchment", False, "most entrenched first"),
    "number": ("image", True, "as recorded"),
}
_COLUMNS: dict[str, Any] = {
    "image": "Picture",
    "truth": "Truth",
    "predicted": "Answer",
    "confidence": st.column_config.ProgressColumn("P(answer)", min_value=0, max_value=1, format="%.2f"),
    "truth_probability": st.column_config.NumberColumn("P(truth)", format="%.3f"),
    "truth_rank": "Rank of truth",
    "margin": st.column_config.NumberColumn("Margin", format="%.3f", help="P of the first minus P of the second"),
    "cells_to_fix": st.column_config.NumberColumn("Cells", help="fewest cells whose removal undoes the error"),
    "run": st.column_config.NumberColumn("Epochs", help="how long this same wrong answer has been given, clean"),
    "history": "History",
    "group": "Group",
    "name": "File",
}
_PER_PAGE = 24


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    frame = _with_history(selection, data.predictions(selection.run, selection.epoch, selection.variant))
    chosen = _confidence(frame)
    rows = _filtered(selection, frame[~frame["correct"]], chosen)
    _found(frame, rows)
    _show(selection, rows)


def _with_history(selection: Selection, frame: pd.DataFrame) -> pd.DataFrame:
    """The predictions with what the analysis knows of each picture over the epochs, where there is one."""
    known = data.analysis_table(selection.run, "images")
    if known is None or len(known) != len(frame):
        return frame
    return frame.join(known[["run", "history", "entrenchment"]])


def _confidence(frame: pd.DataFrame) -> tuple[float, float]:
    chosen = state.span("confidence")
    bins = confidence_bins(frame["confidence"].to_numpy(), frame["correct"].to_numpy())
    exports.chart(
        confidence_histogram,
        bins,
        chosen=chosen,
        palette=exports.current_palette(),
        key="confidence",
        alt="right and wrong answers by confidence",
        on_select=_brushed,
        selection_mode="range",
    )
    return controls.span("Confidence of the wrong answer (or brush the histogram)", "confidence", resets=("p",))


def _brushed() -> None:
    ends = (st.session_state["chart-confidence"]["selection"].get("range") or {}).get("low")
    if ends:
        low, high = max(0.0, round(ends[0], 2)), min(1.0, round(ends[1], 2))
        state.write({"confidence": None if (low, high) == (0.0, 1.0) else f"{low:g}-{high:g}", "p": None})


def _filtered(selection: Selection, wrong: pd.DataFrame, span: tuple[float, float]) -> pd.DataFrame:
    rows = wrong[wrong["confidence"].between(*span)]
    identifiers, names = data.class_ids(selection.run), data.class_names(selection.run)
    places = {identifier: number for number, identifier in enumerate(identifiers)}
    groups = ["", *sorted(set(data.class_groups(selection.run)))]

    def named(identifier: str) -> str:
        return names[places[identifier]] if identifier else "any"

    truth, answer, group, order = st.columns(4)
    with truth:
        of = controls.select("Truth", "class", ["", *identifiers], names=named, resets=("p",))
    with answer:
        taken = controls.select("Answer", "answer", ["", *identifiers], names=named, resets=("p",))
    with group:
        within = controls.select("Group of the truth", "group", groups, names=lambda name: name or "any", resets=("p",))
    with order:
        sorts = [name for name, (column, _, _) in _SORTS.items() if column in wrong]
        sort = controls.select("Sort", "sort", sorts, default="confidence", names=lambda name: _SORTS[name][2])
    if of:
        rows = rows[rows["label"] == places[of]]
    if taken:
        rows = rows[rows["prediction"] == places[taken]]
    if within:
        rows = rows[rows["group"] == within]
    column, ascending, _ = _SORTS[sort]
    return rows.sort_values(column, ascending=ascending, kind="stable")


def _found(frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    wrong = int((~frame["correct"]).sum())
    told = f"**{plural(len(rows), 'wrong answer')}** of {count(wrong)} in {plural(len(frame), 'picture')}"
    if len(rows):
        told += f" · mean confidence {percent(rows['confidence'].mean(), 0)}"
        told += f" · the truth is second in {percent((rows['truth_rank'] == 2).mean(), 0)}"
        within = (rows["group"] == rows["predicted_group"]).mean()
        told += f" · the answer stays in the truth's group in {percent(within, 0)}"
    st.markdown(told)


def _show(selection: Selection, rows: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = controls.segmented(
            "Maps",
            "maps",
            [galleries.BOTH, galleries.PREDICTED, galleries.OWN, galleries.NONE],
            names=galleries.MAP_CHOICES.__getitem__,
        )
    part = rows.iloc[controls.page("p", len(rows), _PER_PAGE)]
    galleries.picture_grid(selection, part, key="failures", which=which, size=78)
    if rows.empty:
        return
    st.markdown("**The same rows as a table.** Choose a row to open its picture.")
    st.dataframe(
        part[[column for column in _COLUMNS if column in part]],
        hide_index=True,
        column_config=_COLUMNS,
        key="failure-table",
        on_select=lambda: _opened(part),
        selection_mode="single-row",
        alt="the wrong answers shown above",
    )
    with st.container(horizontal=True):
        name = f"{selection.name}-epoch{selection.epoch}-{selection.variant}-failures.csv"
        st.download_button(
            "CSV of all rows",
            lambda: exports.csv(rows),
            file_name=name,
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            type="tertiary",
        )
        galleries.sheet_button(selection, part, which=which, title="Failures")


def _opened(part: pd.DataFrame) -> None:
    chosen = st.session_state["failure-table"]["selection"]["rows"]
    if chosen:
        state.open_picture(int(part["image"].iloc[chosen[0]]))


main()
