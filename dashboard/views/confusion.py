"""Confusion: which class is taken for which; every cell opens its pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, galleries, state
from dashboard.components import Matrix, matrix_canvas
from dashboard.confusions import ORDERS, SCALINGS, class_order, grouped, pairs_table, scaled
from dashboard.state import Selection
from dashboard.theme import percent, plural, variant_name


def main() -> None:
    selection = state.current()
    left, right = st.columns([3, 2])
    with right:
        order, scaling, level = options(selection)
        place = st.container()
    with left:
        (by_group if level == "groups" else by_class)(selection, order, scaling)
    with place:
        pairs(selection)
    cell(selection)


def options(selection: Selection) -> tuple[str, str, str]:
    level = controls.segmented("Rows and columns", "level", ["classes", "groups"])
    order = controls.segmented("Order", "order", list(ORDERS), names=ORDERS.__getitem__)
    shown = [name for name in SCALINGS if name != "difference" or selection.pinned]
    scaling = controls.segmented("Values", "values", shown, names=SCALINGS.__getitem__)
    return order, scaling, level


def counts(selection: Selection) -> np.ndarray:
    return data.confusion(selection.run, selection.epoch, selection.variant)


def before(selection: Selection) -> np.ndarray | None:
    return data.confusion(selection.run, *selection.pinned) if selection.pinned else None


def by_class(selection: Selection, order: str, scaling: str) -> None:
    run = selection.run
    sequence = class_order(selection, order)
    names, groups = np.array(data.class_names(run))[sequence], np.array(data.class_groups(run))[sequence]
    view = scaled(counts(selection), scaling, before(selection))
    truth, answer = chosen_cell(selection)
    position = {int(number): place for place, number in enumerate(sequence)}
    framed = order == "group"
    matrix_canvas(
        Matrix(
            values=view.values[np.ix_(sequence, sequence)],
            rows=names.tolist(),
            columns=names.tolist(),
            unit=view.unit,
            format=view.format,
            logarithmic=view.format == "count",
            signed=view.signed,
            row_groups=groups.tolist() if framed else (),
            column_groups=groups.tolist() if framed else (),
            selected=None if truth is None else (position[truth], position[answer]),
        ),
        title="Confusion matrix of the classes",
        key="confusion",
        on_cell=lambda row, column: choose(selection, int(sequence[row]), int(sequence[column])),
    )


def by_group(selection: Selection, order: str, scaling: str) -> None:
    earlier = before(selection)
    names, values = grouped(selection.run, counts(selection))
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
    st.caption("Groups of classes; order and drill-down belong to the matrix of classes.")


def chosen_cell(selection: Selection) -> tuple[int, int] | tuple[None, None]:
    identifiers = data.class_ids(selection.run)
    answer = state.choice("answer", identifiers, "")
    if selection.class_index is None or not answer:
        return None, None
    return selection.class_index, identifiers.index(answer)


def choose(selection: Selection, truth: int, answer: int) -> None:
    identifiers = data.class_ids(selection.run)
    state.write({"class": identifiers[truth], "answer": identifiers[answer]})


def pairs(selection: Selection) -> None:
    table = pairs_table(selection)
    st.markdown("**The most confused pairs.** Choose one to see its pictures.")
    if table.empty:
        st.caption("No confusion at all.")
        return
    st.dataframe(
        table,
        hide_index=True,
        height=430,
        column_order=["truth", "predicted", "count", "share", "history"],
        column_config={
            "truth": "Truth",
            "predicted": "Answer",
            "count": st.column_config.NumberColumn("Pictures", width="small"),
            "share": st.column_config.NumberColumn("Of the class", format="percent", width="small"),
            "history": st.column_config.BarChartColumn("Over the epochs", y_min=0),
        },
        key="pairs",
        on_select=lambda: chosen_pair(selection, table),
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


def chosen_pair(selection: Selection, table: pd.DataFrame) -> None:
    rows = st.session_state["pairs"]["selection"]["rows"]
    if rows:
        choose(selection, int(table["truth_index"].iloc[rows[0]]), int(table["predicted_index"].iloc[rows[0]]))


def cell(selection: Selection) -> None:
    truth, answer = chosen_cell(selection)
    if truth is None:
        st.info("Choose a cell or a pair to see its pictures.", icon=":material/touch_app:")
        return
    names = data.class_names(selection.run)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    rows = frame[(frame["label"] == truth) & (frame["prediction"] == answer)].sort_values("confidence", ascending=False)
    of_class = int((frame["label"] == truth).sum())
    heading = names[truth] if truth == answer else f"{names[truth]} taken for {names[answer]}"
    st.subheader(heading, anchor=False)
    back = int(((frame["label"] == answer) & (frame["prediction"] == truth)).sum())
    told = f"{plural(len(rows), 'picture')} of {of_class} ({percent(len(rows) / max(1, of_class))})"
    if truth != answer:
        told += f"; the other way round {plural(back, 'picture')}"
    st.caption(
        f"{told}, epoch {selection.epoch}, {variant_name(selection.variant)}. Map of the answer, map of the truth."
    )
    if len(rows):
        which = galleries.PREDICTED if truth == answer else galleries.BOTH
        galleries.picture_grid(selection, rows.head(50), key="cell", which=which, size=84)
    else:
        st.caption("No picture in this cell under the chosen epoch and variant.")


main()
