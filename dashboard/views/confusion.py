"""Confusion: which class is taken for which; every cell opens its pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, galleries, state
from dashboard.charts.confusion import pair_curve
from dashboard.components import Matrix, matrix_canvas
from dashboard.confusions import SCALINGS, earlier_state, group_names, grouped, scaled
from dashboard.state import Selection
from dashboard.theme import percent, plain, plural, variant_name

_ORDERS = {"group": "by group", "likeness": "by likeness", "accuracy": "by accuracy", "index": "as recorded"}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    if len(selection.run.classes) < 2:
        st.info("This run has one class, so nothing can be taken for anything else.", icon=":material/blur_on:")
        return
    level, order, scaling = _options(selection)
    left, right = st.columns([8, 5])
    with left:
        (_by_group if level == "groups" else _by_class)(selection, order, scaling)
        if scaling == "difference":
            _told_difference(selection)
    with right:
        _pairs(selection)
    (_group_cell if level == "groups" else _cell)(selection)


def _options(selection: Selection) -> tuple[str, str, str]:
    levels = ["classes", "groups"] if len(set(group_names(selection.run))) > 1 else ["classes"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        level = controls.segmented("Rows and columns", "level", levels, resets=("truth_group", "answer_group"))
        order = controls.segmented("Order", "order", list(_ORDERS), names=_ORDERS.__getitem__)
        shown = [name for name in SCALINGS if name != "difference" or earlier_state(selection)]
        scaling = controls.segmented("Values", "values", shown, names=SCALINGS.__getitem__)
    return level, order, scaling


def _told_difference(selection: Selection) -> None:
    epoch, variant = earlier_state(selection) or (selection.epoch, selection.variant)
    st.caption(
        f"Epoch {selection.epoch}, {variant_name(selection.variant)}, minus "
        f"**epoch {epoch}, {variant_name(variant)}**: "
        "warm cells gained pictures, cold ones lost some. A state pinned in the sidebar is the one to start from."
    )


def _counts(selection: Selection) -> np.ndarray:
    return data.confusion(selection.run, selection.epoch, selection.variant)


def _before(selection: Selection) -> np.ndarray | None:
    earlier = earlier_state(selection)
    return data.confusion(selection.run, *earlier) if earlier else None


def _by_class(selection: Selection, order: str, scaling: str) -> None:
    run = selection.run
    sequence = data.class_order(run, order, selection.epoch, selection.variant)
    names, groups = np.array(data.class_names(run))[sequence], np.array(group_names(run))[sequence]
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
            logarithmic=view.format != "percent",
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
    if order == "accuracy":
        shares = np.divide(values.diagonal(), values.sum(1), out=np.zeros(len(values)), where=values.sum(1) > 0)
        sequence = np.argsort(-shares, kind="stable")
    else:
        sequence = np.arange(len(names))
    view = scaled(values, scaling, None if earlier is None else grouped(selection.run, earlier)[1])
    shown = [names[number] for number in sequence]
    chosen = _chosen_groups(selection)
    matrix_canvas(
        Matrix(
            values=view.values[np.ix_(sequence, sequence)],
            rows=shown,
            columns=shown,
            unit=view.unit,
            format=view.format,
            logarithmic=view.format != "percent",
            signed=view.signed,
            selected=(shown.index(chosen[0]), shown.index(chosen[1])) if chosen else None,
        ),
        title="Confusion matrix of the groups",
        key="confusion-groups",
        on_cell=lambda row, column: state.write({"truth_group": shown[row], "answer_group": shown[column], "p": None}),
    )


def _chosen_groups(selection: Selection) -> tuple[str, str] | None:
    names = list(dict.fromkeys(group_names(selection.run)))
    truth, answer = state.choice("truth_group", names, ""), state.choice("answer_group", names, "")
    return (truth, answer) if truth and answer else None


def _group_cell(selection: Selection) -> None:
    """The pictures behind a cell of the matrix of groups."""
    chosen = _chosen_groups(selection)
    if chosen is None:
        st.info("Choose a cell of the matrix to see its pictures.", icon=":material/touch_app:")
        return
    truth, answer = chosen
    groups = np.array(group_names(selection.run))
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    inside = (groups[frame["label"]] == truth) & (groups[frame["prediction"]] == answer)
    rows = frame[inside & ~frame["correct"].to_numpy()].sort_values("confidence", ascending=False, kind="stable")
    st.subheader(plain(_group_title(truth, answer)), anchor=False)
    pairs = rows.value_counts(["truth", "predicted"]).head(5)
    told = ", ".join(f"{plain(one)} → {plain(other)} ({number}×)" for (one, other), number in pairs.items())
    st.caption(f"{plural(len(rows), 'wrong answer')}" + (f": {told}" if told else "."))
    part = rows.iloc[controls.page("p", len(rows), 20)]
    galleries.picture_grid(
        selection, part, key="cell-groups", which=galleries.BOTH, size=84, title=_group_title(truth, answer)
    )


def _group_title(truth: str, answer: str) -> str:
    return f"{truth} taken for {answer}" if truth != answer else f"Within {truth}"


def _chosen_cell(selection: Selection) -> tuple[int, int] | None:
    identifiers = data.class_ids(selection.run)
    answer = state.choice("answer", identifiers, "")
    if selection.class_index is None or not answer:
        return None
    return selection.class_index, identifiers.index(answer)


def _choose(selection: Selection, truth: int, answer: int) -> None:
    identifiers = data.class_ids(selection.run)
    state.write({"class": identifiers[truth], "answer": identifiers[answer], "level": None})


def _pairs(selection: Selection) -> None:
    table = data.confused_pairs(selection.run, selection.epoch, selection.variant)
    st.markdown("**The most confused pairs**")
    if table.empty:
        st.caption("No confusion at all.")
        return
    epochs = selection.run.epochs
    if len(epochs) > 1:
        table = table.assign(history=data.pair_counts(selection.run, selection.epoch, selection.variant).tolist())
    st.dataframe(
        table,
        hide_index=True,
        height=590 if len(table) > 15 else "auto",
        column_order=["truth", "predicted", "count", "history"],
        column_config={
            "truth": st.column_config.TextColumn("Truth", width=118),
            "predicted": st.column_config.TextColumn("Answer", width=118),
            "count": st.column_config.NumberColumn("n", width=34, help="pictures of the truth taken so"),
            "history": st.column_config.LineChartColumn(
                "Epochs", width=64, y_min=0, help=f"how often, at epochs {epochs[0]} to {epochs[-1]}"
            ),
        },
        key="pairs",
        on_select=lambda: _chosen_pair(selection, table),
        selection_mode="single-row",
        alt="the most confused pairs of classes",
    )
    exports.csv_button("CSV", table, "confused-pairs.csv")


def _chosen_pair(selection: Selection, table: pd.DataFrame) -> None:
    rows = st.session_state["pairs"]["selection"]["rows"]
    if rows:
        _choose(selection, int(table["truth_index"].iloc[rows[0]]), int(table["predicted_index"].iloc[rows[0]]))


def _cell(selection: Selection) -> None:
    chosen = _chosen_cell(selection)
    if chosen is None and selection.class_index is not None:
        _mistakes_of(selection, selection.class_index)
        return
    if chosen is None:
        st.info("Choose a cell of the matrix or a pair of the list to see its pictures.", icon=":material/touch_app:")
        return
    truth, answer = chosen
    names = data.class_names(selection.run)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    rows = frame[(frame["label"] == truth) & (frame["prediction"] == answer)].sort_values("confidence", ascending=False)
    title = names[truth] if truth == answer else f"{names[truth]} taken for {names[answer]}"
    st.subheader(plain(title), anchor=False)
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
    galleries.picture_grid(selection, rows.head(50), key="cell", which=which, size=84, title=title)
    st.caption(
        "Beside each picture the map of the answer" + ("." if truth == answer else ", then the map of the truth.")
    )


def _mistakes_of(selection: Selection, truth: int) -> None:
    """The class's wrong answers, whatever they are: its row of the matrix."""
    name = data.class_names(selection.run)[truth]
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    rows = frame[(frame["label"] == truth) & ~frame["correct"]].sort_values(
        "confidence", ascending=False, kind="stable"
    )
    st.subheader(plain(f"{name} taken for others"), anchor=False)
    pairs = rows["predicted"].value_counts().head(6)
    told = ", ".join(f"{plain(other)} ({number}×)" for other, number in pairs.items())
    st.caption(f"{plural(len(rows), 'wrong answer')}" + (f": {told}" if told else "."))
    if len(rows):
        title = f"{name} taken for others"
        galleries.picture_grid(selection, rows.head(50), key="row", which=galleries.BOTH, size=84, title=title)


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
