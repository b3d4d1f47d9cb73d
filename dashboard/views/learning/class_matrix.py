"""Every class over the epochs as one matrix: which was learned when, which was forgotten, which letter formed late."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard import data
from dashboard.components import Matrix, matrix_canvas
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store.metrics.maps import cosine

CELLS = {"accuracy": "accuracy", "letter": "similarity of the letter to its last form"}
_UNITS = {"accuracy": "of the class's images right", "letter": "similarity (cosine) to the last letter"}
_ORDERS = {"group": "by group", "formation": "by formation", "accuracy": "by accuracy", "name": "by name"}
_TALLEST = 620  # pixels: all classes at once on a screen


def class_strip(selection: Selection) -> None:
    """Draw the matrix, a row per class and a column per epoch; a cell chooses both."""
    run = selection.run
    st.subheader("Every class over the epochs", anchor=False)
    formed = data.analysis_table(run, "classes") is not None
    orders = [name for name in _ORDERS if name != "formation" or formed]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cell = controls.segmented("A cell is the", "cell", list(CELLS), names=CELLS.__getitem__)
        by = controls.segmented("Order of the classes", "order", orders, names=_ORDERS.__getitem__)
    values = strip_values(
        data.all_patterns(run, selection.variant) if cell == "letter" else None, _accuracy(selection), cell
    )
    sequence = data.class_order(run, by, selection.epoch, selection.variant)
    names, groups = np.array(data.class_names(run))[sequence], np.array(data.class_groups(run))[sequence]
    identifiers, row = data.class_ids(run), np.flatnonzero(sequence == selection.class_index)
    column = run.epochs.index(selection.epoch)
    matrix_canvas(
        Matrix(
            values=values[sequence],
            rows=names.tolist(),
            columns=[str(epoch) for epoch in run.epochs],
            row_title="class",
            column_title="epoch",
            unit=_UNITS[cell],
            format="percent",
            row_groups=groups.tolist() if by == "group" else (),
            selected=(int(row[0]), column) if len(row) else None,
            tallest=_TALLEST,
        ),
        title=f"{CELLS[cell].capitalize()} of every class at every epoch",
        key="class-strip",
        on_cell=lambda place, at: url_state.write(
            {"class": identifiers[int(sequence[place])], "epoch": run.epochs[at]}
        ),
    )
    st.caption("A cell chooses its class and epoch. No colour: none right, or nothing alike.")


def _accuracy(selection: Selection) -> np.ndarray:
    """Accuracy of every class at every epoch, (C, E)."""
    table = data.class_accuracy(selection.run, selection.variant)
    return table.pivot(index="class_index", columns="epoch", values="accuracy").to_numpy()


def strip_values(patterns: np.ndarray | None, accuracy: np.ndarray, cell: str) -> np.ndarray:
    """The values of the matrix, (C, E).

    Args:
        patterns: mean own maps (E, C, H, W); needed for 'letter' only.
        accuracy: (C, E) fractions.
        cell: a key of `CELLS`: the accuracy, or the cosine of each epoch's pattern to the last one, negative ones as 0.
    """
    if cell == "accuracy" or patterns is None:
        return accuracy
    last = np.broadcast_to(patterns[-1], patterns.shape)
    return np.clip(cosine(patterns, last), 0, 1).T
