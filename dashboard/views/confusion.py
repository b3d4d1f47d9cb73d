"""Confusion: which class is taken for which; every cell opens its pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, galleries, state
from dashboard.charts.confusion import pair_curve
from dashboard.components import Matrix, matrix_canvas
from dashboard.confusions import SCALINGS, grouped, scaled
from dashboard.state import Selection
from dashboard.theme import percent, plural, variant_name

_ORDERS = {"group": "by group", "likeness": "by alike patterns", "accuracy": "by accuracy", "index": "as recorded"}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    level, order, scaling = _options(selection)
    left, right = st.columns([5, 2])
    with left:
        (_by_group if level == "groups" else _by_class)(selection, order, scaling)
    with right:
        _pairs(selection)
    _cell(selection)


def _options(selection: Selection) -> tuple[str, str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        level = controls.segmented("Rows and columns", "level", ["classes", "groups"])
        order = controls.segmented("Order", "order", list(_ORDERS), names=_ORDERS.__getitem__)
        shown = [name for name in SCALINGS if name != "difference" or selection.pinned]
        scaling = controls.segmented("Values", "values", shown, names=SCALINGS.__getitem__)
    return level, order, scaling


def _counts(selection: Selection) -> np.ndarray:
    return data.confusion(selection.run, selection.epoch, selection.variant)


def _before(selection: Selection) -> np.ndarray | None:
    return data.confusion(selection.run, *selection.pinned) if selection.pinned else None


def _by_class(selection: Selection, order: str, scaling: str) -> None:
    run = selection.run
    sequence = data.class_order(run, order, selection.epoch, selection.variant)
    names, groups = np.array(data.class_names(run))[sequence], np.array(data.class_groups(run))[sequence]
    view = scaled(_counts(selection), scaling, _before(selection))
    position = {int(number): place for place, number in enumerate(sequence)}
    chosen = _chosen_cell(selection)
    framed = groups.tolist() if order in ("group", "index") else ()
    matrix_canvas(
        Matrix(
            values=view.values[np.ix_(sequence, sequence)],
            rows=names.tolist(),
            columns=names.tolist(),
            unit=view.unit,
            format=view.format,
            logarithmic=view.format == "count",
            signed=view.signed,
            row_groups=framed,
            column_groups=framed,
            selected=(position[chosen[0]], position[chosen[1]]) if chosen else None,
        ),
        title="Confusion matrix of the classes",
        key="confusion",
        on_cell=lambda row, column: _choose(selection, int(sequence[row]), int(sequence[column])),
    )


def _by_group(selection: Selection, order: str, scaling: str) -> None:
    earlier = _before(selection)
    names, values = grouped(selection.run, _counts(selection))
    view = scaled(values, scaling, None if earlier is None else grouped(selection.run, earlier)[1])
    matrix_canvas(
        Matrix(
            values=view.values,
            rows=names,
            columns=names,
            unit=view.unit,
            format=view.format,
            logarithmic=view.format == "count",
            signed=view.signed,
        ),
        title="Confusion matrix of the groups",
        key="confusion-groups",
    )
    st.caption("Groups of classes. Order and drill-down belong to the matrix of classes.")


def _chosen_cell(selection: Selection) -> tuple[int, int] | None:
    identifiers = data.class_ids(selection.run)
    answer = state.choice("answer", identifiers, "")
    if selection.class_index is None or not answer:
        return None
    return selection.class_index, identifiers.index(answer)


def _choose(selection: Selection, truth: int, answer: int) -> None:
    identifiers = data.class_ids(selection.run)
    state.write({"class": identifiers[truth], "answer": identifiers[answer]})


def _pairs(selection: Selection) -> None:
    table = data.confused_pairs(selection.run, selection.epoch, selection.variant)
    st.markdown("**The most confused pairs**")
    if table.empty:
        st.caption("No confusion at all.")
        return
    st.dataframe(
        table,
        hide_index=True,
        height=560,
        column_order=["truth", "predicted", "count"],
        column_config={
            "truth": st.column_config.TextColumn("Truth", width=92),
            "predicted": st.column_config.TextColumn("Answer", width=92),
            "count": st.column_config.NumberColumn("n", width=40, help="pictures of the truth taken so"),
        },
        key="pairs",
        on_select=lambda: _chosen_pair(selection, table),
        selection_mode="single-row",
        alt="the most confused pairs of classes",
    )
    st.download_button(
        "CSV",
        lambda: exports.csv(table),
        file_name="confused-pairs.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )


def _chosen_pair(selection: Selection, table: pd.DataFrame) -> None:
    rows = st.session_state["pairs"]["selection"]["rows"]
    if rows:
        _choose(selection, int(table["truth_index"].iloc[rows[0]]), int(table["predicted_index"].iloc[rows[0]]))


def _cell(selection: Selection) -> None:
    chosen = _chosen_cell(selection)
    if chosen is None:
        st.info("Choose a cell of the matrix or a pair of the list to see its pictures.", icon=":material/touch_app:")
        return
    truth, answer = chosen
    names = data.class_names(selection.run)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    rows = frame[(frame["label"] == truth) & (frame["prediction"] == answer)].sort_values("confidence", ascending=False)
    st.subheader(names[truth] if truth == answer else f"{names[truth]} taken for {names[answer]}", anchor=False)
    of_class = int((frame["label"] == truth).sum())
    told = f"{plural(len(rows), 'picture')} of {of_class} ({percent(len(rows) / max(1, of_class))})"
    if truth != answer:
        back = int(((frame["label"] == answer) & (frame["prediction"] == truth)).sum())
        told += f", the other way round {back}"
    st.caption(f"{told} · epoch {selection.epoch}, {variant_name(selection.variant)}")
    if truth != answer and len(selection.run.epochs) > 1:
        _history(selection, truth, answer)
    if rows.empty:
        st.caption("No picture in this cell under the chosen epoch and variant.")
        return
    which = galleries.PREDICTED if truth == answer else galleries.BOTH
    galleries.picture_grid(selection, rows.head(50), key="cell", which=which, size=84)
    st.caption(
        "Beside each picture the map of the answer" + ("." if truth == answer else ", then the map of the truth.")
    )


def _history(selection: Selection, truth: int, answer: int) -> None:
    table = data.pair_history(selection.run, truth, answer, selection.variant)
    names = data.class_names(selection.run)
    exports.chart(
        pair_curve,
        table,
        names[truth],
        names[answer],
        epoch=selection.epoch,
        palette=exports.current_palette(),
        key="pair-history",
        alt="how often the two classes were taken for each other over the epochs",
    )


main()
