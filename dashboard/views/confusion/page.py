"""Confusion: which class is predicted as which; every cell of the matrix opens its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import data
from dashboard.components.matrix import Matrix, matrix_canvas
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import downloads, image_tiles, marking
from dashboard.shared.class_tiles import choose_order
from dashboard.shared.image_grid import image_grid
from dashboard.shared.tables import row_table
from dashboard.shared.theme import escape_markdown, frequencies, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.confusion.charts import pair_curve
from dashboard.views.confusion.parts import (
    SCALINGS,
    ScaledConfusion,
    earlier_state,
    group_names,
    scale_counts,
    sum_groups,
    wrong_only,
)
from store.metrics.confusion import row_shares
from store.rates import percent

_PER_PAGE = 12


class _Chosen(NamedTuple):
    """The images of the chosen cell or row of the matrix: a key of their grid, their rows, maps and title."""

    key: str
    rows: pd.DataFrame
    which: str
    title: str


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    if len(selection.run.classes) < 2:
        st.info("This run has only one class, so there are no confusions.", icon=":material/blur_on:")
        return
    options = st.container(horizontal=True, vertical_alignment="bottom")
    with options:
        level, order, scaling = _options(selection)
    left, right = st.columns(2)
    with right:  # the images of the chosen cell are drawn first: they are what a click waits for
        chosen = (_group_cell if level == "groups" else _cell)(selection)
        if chosen is not None:
            _images(selection, chosen, options)
    url_state.accept_unread(["mark"])  # of a cell without images
    with left:
        (_by_group if level == "groups" else _by_class)(selection, order, scaling)
        if scaling == "difference":
            _difference_caption(selection)
    left, right = st.columns(2)
    with left:
        _pairs(selection)
    with right:
        _history(selection)


def _options(selection: Selection) -> tuple[str, str, str]:
    levels = ["classes", "groups"] if len(set(group_names(selection.run))) > 1 else ["classes"]
    level = controls.segmented("Rows and columns", "level", levels, resets=("true_group", "predicted_group"))
    order = choose_order(selection, ["group", "similarity", "accuracy", "index"])
    # A change needs another state; a run of one epoch and variant has none.
    shown = {name: words for name, words in SCALINGS.items() if name != "difference" or earlier_state(selection)}
    scaling = controls.select("Values", "values", shown, default=next(iter(shown)))
    return level, order, scaling


def _difference_caption(selection: Selection) -> None:
    epoch, variant = earlier_state(selection) or (selection.epoch, selection.variant)
    st.caption(
        f"Epoch {escape_markdown(data.epoch_name(selection.run, selection.epoch))}, "
        f"{escape_markdown(selection.variant_label)}, minus "
        f"**epoch {escape_markdown(data.epoch_name(selection.run, epoch))}, "
        f"{escape_markdown(selection.run.variant(variant).label)}**: "
        "warm cells gained images, cold cells lost images. Pin a state in the sidebar to compare with that one."
    )


def _before(selection: Selection) -> np.ndarray | None:
    earlier = earlier_state(selection)
    return data.confusion(selection.run, *earlier) if earlier else None


def _by_class(selection: Selection, order: str, scaling: str) -> None:
    run = selection.run
    sequence = data.class_order(run, order, selection.epoch, selection.variant)
    names, groups = np.array(data.class_names(run))[sequence], np.array(group_names(run))[sequence]
    position = {int(number): place for place, number in enumerate(sequence)}
    chosen = _chosen_cell(selection)
    matrix_canvas(
        _matrix(
            scale_counts(data.confusion(*selection.key), scaling, _before(selection)),
            sequence,
            names.tolist(),
            (position[chosen[0]], position[chosen[1]]) if chosen else None,
            groups.tolist() if order in ("group", "index") else (),
        ),
        title="Confusion matrix of the classes",
        key="confusion",
        on_cell=lambda row, column: _choose(selection, int(sequence[row]), int(sequence[column])),
    )


def _by_group(selection: Selection, order: str, scaling: str) -> None:
    earlier = _before(selection)
    names, values = sum_groups(selection.run, data.confusion(*selection.key))
    sequence = np.arange(len(names))
    if order == "accuracy":
        sequence = np.argsort(-row_shares(values).diagonal(), kind="stable")
    view = scale_counts(values, scaling, None if earlier is None else sum_groups(selection.run, earlier)[1])
    shown = [names[number] for number in sequence]
    chosen = _chosen_groups(selection)
    matrix_canvas(
        _matrix(view, sequence, shown, (shown.index(chosen[0]), shown.index(chosen[1])) if chosen else None),
        title="Confusion matrix of the groups",
        key="confusion-groups",
        on_cell=lambda row, column: url_state.write(
            {"true_group": shown[row], "predicted_group": shown[column], "page": None}
        ),
    )


def _matrix(
    view: ScaledConfusion,
    sequence: np.ndarray,
    names: list[str],
    selected: tuple[int, int] | None,
    groups: Sequence[str] = (),
) -> Matrix:
    """The matrix with rows and columns in the same order."""
    return Matrix(
        values=view.values[np.ix_(sequence, sequence)],
        rows=names,
        columns=names,
        unit=view.unit,
        format=view.format,
        logarithmic=view.format != "percent",
        signed=view.signed,
        row_groups=groups,
        column_groups=groups,
        selected=selected,
    )


def _chosen_groups(selection: Selection) -> tuple[str, str] | None:
    names = list(dict.fromkeys(group_names(selection.run)))
    true_class, prediction = url_state.choice("true_group", names, ""), url_state.choice("predicted_group", names, "")
    if true_class and prediction:
        return true_class, prediction
    # Until a cell is chosen, that of the most confused groups.
    counts = sum_groups(selection.run, wrong_only(data.confusion(*selection.key)))[1]
    row, column = np.unravel_index(np.argmax(counts), counts.shape)
    return (names[row], names[column]) if counts.any() else None


def _group_cell(selection: Selection) -> _Chosen | None:
    """The images behind a cell of the matrix of groups."""
    chosen = _chosen_groups(selection)
    if chosen is None:
        st.caption("No confusions: every prediction is correct. Choose a cell of the matrix to see its images.")
        return None
    true_class, prediction = chosen
    groups = np.array(group_names(selection.run))
    frame = data.predictions(*selection.key)
    inside = (groups[frame["label"]] == true_class) & (groups[frame["prediction"]] == prediction)
    rows = frame[inside & ~frame["correct"].to_numpy()].sort_values("confidence", ascending=False, kind="stable")
    st.subheader(escape_markdown(_group_title(true_class, prediction)), anchor=False)
    pairs = rows.value_counts(["true_class", "predicted_class"]).head(5)
    _mistakes_caption(len(rows), frequencies((" → ".join(pair), number) for pair, number in pairs.items()))
    title = _group_title(true_class, prediction)
    return _Chosen("cell-groups", rows, image_tiles.BOTH, title) if len(rows) else None


def _mistakes_caption(mistakes: int, description: str) -> None:
    st.caption(plural(mistakes, "wrong prediction") + (f": {description}" if description else "."))


def _group_title(true_class: str, prediction: str) -> str:
    return f"{true_class} predicted as {prediction}" if true_class != prediction else f"Within {true_class}"


def _chosen_cell(selection: Selection) -> tuple[int, int] | None:
    identifiers = data.class_ids(selection.run)
    prediction = url_state.choice("prediction", identifiers, "")
    if selection.class_index is not None:
        return (selection.class_index, identifiers.index(prediction)) if prediction else None
    # Until a cell is chosen, that of the most confused pair.
    counts = wrong_only(data.confusion(*selection.key))
    row, column = np.unravel_index(np.argmax(counts), counts.shape)
    return (int(row), int(column)) if counts.any() else None


def _choose(selection: Selection, true_class: int, prediction: int) -> None:
    identifiers = data.class_ids(selection.run)
    url_state.write(
        {"class": identifiers[true_class], "prediction": identifiers[prediction], "level": None, "page": None}
    )


def _pairs(selection: Selection) -> None:
    table = data.confused_pairs(*selection.key)
    st.markdown("**Most confused pairs**")
    if table.empty:
        st.caption("No confusions: every prediction is correct.")
        return
    epochs = selection.run.epochs
    if len(epochs) > 1:
        table = table.assign(history=data.pair_counts(*selection.key).tolist())
    row_table(
        table,
        height=300 if len(table) > 7 else "auto",
        column_order=["true_class", "predicted_class", "count", "history"],
        column_config={
            "true_class": st.column_config.TextColumn("True class", width=118),
            "predicted_class": st.column_config.TextColumn("Predicted as", width=118),
            "count": st.column_config.NumberColumn("n", width=34, help="images of the true class with this prediction"),
            "history": st.column_config.LineChartColumn(
                "Epochs", width=64, y_min=0, help=f"images at epochs {epochs[0]} to {epochs[-1]}"
            ),
        },
        key="pairs",
        on_row=lambda row: _choose(selection, *table[["true_class_index", "predicted_class_index"]].iloc[row].tolist()),
        alt="the most confused pairs of classes",
    )
    downloads.csv_button("CSV", table, "confused-pairs.csv")
    if len(selection.run.variants) > 1:
        _pairs_of_variants(selection)


def _pairs_of_variants(selection: Selection) -> None:
    """The most confused pair of each variant, the most frequent one first; read when it is opened."""
    opened = st.expander("Most confused pair under each variant", key="pairs-of-variants", on_change="rerun")
    if not opened.open:
        return
    tables = [
        data.confused_pairs(selection.run, selection.epoch, variant).head(1).assign(variant=variant)
        for variant in selection.run.variants
    ]
    table = pd.concat(tables, ignore_index=True).sort_values("count", ascending=False, kind="stable")
    if table.empty:
        return
    table["variant_label"] = table["variant"].map(data.variant_labels(selection.run))
    identifiers = data.class_ids(selection.run)

    def choose(row: int) -> None:
        found = table.iloc[row]
        true_class, prediction = (identifiers[found[name]] for name in ("true_class_index", "predicted_class_index"))
        variant = None if found["variant"] == selection.run.variants[0] else found["variant"]
        url_state.write({"variant": variant, "class": true_class, "prediction": prediction, "page": None})

    with opened:
        row_table(
            table,
            column_order=["variant_label", "true_class", "predicted_class", "count"],
            column_config={
                "variant_label": st.column_config.TextColumn("Variant", width=110),
                "true_class": st.column_config.TextColumn("True class", width=100),
                "predicted_class": st.column_config.TextColumn("Predicted as", width=100),
                "count": st.column_config.NumberColumn("n", width=34, help="images of the true class"),
            },
            key="pairs-of-variants-table",
            on_row=choose,
            alt="the most confused pair of classes under each variant",
        )


def _cell(selection: Selection) -> _Chosen | None:
    chosen = _chosen_cell(selection)
    if chosen is None and selection.class_index is not None:
        return _mistakes_of(selection, selection.class_index)
    if chosen is None:
        st.caption("No confusions: every prediction is correct. Choose a cell of the matrix to see its images.")
        return None
    true_class, prediction = chosen
    names = data.class_names(selection.run)
    frame = data.predictions(*selection.key)
    rows = frame[(frame["label"] == true_class) & (frame["prediction"] == prediction)].sort_values(
        "confidence", ascending=False
    )
    title = names[true_class] if true_class == prediction else f"{names[true_class]} predicted as {names[prediction]}"
    of_class = int((frame["label"] == true_class).sum())
    description = f"{plural(len(rows), 'image')} of {of_class} ({percent(len(rows) / max(1, of_class))})"
    if true_class != prediction:
        back = int(((frame["label"] == prediction) & (frame["prediction"] == true_class)).sum())
        description += f"; {back} in the other direction"
    default = "" if selection.class_index is not None else "The most confused pair; a click on a cell shows another. "
    st.subheader(escape_markdown(title), anchor=False)
    st.caption(f"{default}{description}.")
    if rows.empty:
        st.caption("No images in this cell at the chosen epoch and variant. Choose another cell, or another epoch.")
        return None
    which = image_tiles.PREDICTED if true_class == prediction else image_tiles.BOTH
    return _Chosen("cell", rows, which, title)


def _images(selection: Selection, chosen: _Chosen, options: DeltaGenerator) -> None:
    with options:  # beside the other choices: above the images these would take their room
        rows = marking.choose_mark(MarkedImages(selection.run), chosen.rows)
        marking.menu(MarkedImages(selection.run), rows, key="confusion")
    image_grid(
        selection,
        rows,
        key=chosen.key,
        which=chosen.which,
        size=48,
        overlay=False,
        title=chosen.title,
        page="page",
        per_page=_PER_PAGE,
    )


def _mistakes_of(selection: Selection, true_class: int) -> _Chosen | None:
    """All wrong predictions of a class: its row of the matrix."""
    name = data.class_names(selection.run)[true_class]
    frame = data.predictions(*selection.key)
    rows = frame[(frame["label"] == true_class) & ~frame["correct"]].sort_values(
        "confidence", ascending=False, kind="stable"
    )
    title = f"{name} predicted as other classes"
    st.subheader(escape_markdown(title), anchor=False)
    _mistakes_caption(len(rows), frequencies(rows["predicted_class"].value_counts().head(6).items()))
    return _Chosen("row", rows, image_tiles.BOTH, title) if len(rows) else None


def _history(selection: Selection) -> None:
    """How often the two classes of the chosen cell were predicted as each other at every epoch."""
    chosen = _chosen_cell(selection)
    if chosen is None or chosen[0] == chosen[1] or len(selection.run.epochs) < 2:
        return
    run, names, (true_class, prediction) = selection.run, data.class_names(selection.run), chosen
    table = data.pair_history(run, true_class=true_class, predicted_class=prediction, variant=selection.variant)
    downloads.chart(
        pair_curve,
        table,
        true_class=names[true_class],
        prediction=names[prediction],
        epoch=selection.epoch,
        key="pair-history",
        alt="how often the two classes were predicted as each other at every epoch",
    )


main()
