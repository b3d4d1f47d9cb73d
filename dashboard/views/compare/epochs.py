"""A section of the Compare page: how all pairs of epochs differ, as a matrix whose cells choose the pair."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.matrix import Matrix, matrix_canvas
from dashboard.shared import downloads
from dashboard.shared.states import State
from dashboard.shared.tables import in_percent, row_table, share_column
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection

_VALUES = {"agreement": "same predictions", "change": "accuracy gained", "similarity": "similarity of class patterns"}
_UNITS = {
    "agreement": "of the images predicted alike",
    "change": "percentage points of accuracy gained",
    "similarity": "cosine similarity of the class patterns, mean over classes",
}
_HEIGHT = 440  # pixels


def all_epochs(selection: Selection, before: State, after: State) -> None:
    """Draw it once the reader opens it: it reads the predictions of every epoch."""
    run = selection.run
    if len(run.epochs) < 3:  # the page above is about the only pair
        url_state.accept_unread(["values"])
        return
    opened = st.expander("All pairs of epochs", key="compare-epochs", on_change="rerun")
    if not opened.open:
        url_state.accept_unread(["values"])
        return
    with opened:
        shown = {name: words for name, words in _VALUES.items() if run.has_maps or name != "similarity"}
        value = controls.segmented("Values", "values", shown)
        table = data.epoch_pairs(run, variant=selection.variant)
        grid = table.pivot(index="before", columns="after", values=value).to_numpy()
        # An opposite pattern is no more similar than an unrelated one, so negative cosines are drawn as none.
        grid = 100 * grid if value == "change" else np.clip(grid, 0, 1)
        names = [data.epoch_name(run, epoch) for epoch in run.epochs]
        own = before.run.path == after.run.path == run.path
        left, right = st.columns(2)
        with left:
            matrix_canvas(
                Matrix(
                    values=grid,
                    rows=names,
                    columns=names,
                    row_title="from epoch",
                    column_title="to epoch",
                    unit=_UNITS[value],
                    format="signed" if value == "change" else "percent",
                    signed=value == "change",
                    selected=(run.epochs.index(before.epoch), run.epochs.index(after.epoch)) if own else None,
                ),
                title=f"{_VALUES[value]} between all pairs of epochs",
                key="epoch-pairs",
                on_cell=lambda row, column: _choose(selection, run.epochs[row], run.epochs[column]),
            )
        with right:
            _table(selection, table)


def _table(selection: Selection, table: pd.DataFrame) -> None:
    """Every pair once, with all its figures."""
    once = table[table["before"] < table["after"]]
    row_table(
        in_percent(once, ("agreement", "change")),
        key="epoch-pair-table",
        on_row=lambda row: _choose(selection, int(once["before"].iloc[row]), int(once["after"].iloc[row])),
        height=_HEIGHT,
        column_order=["before", "after", "agreement", "change", *(["similarity"] if selection.run.has_maps else [])],
        column_config={
            "before": st.column_config.NumberColumn("From epoch", width=75),
            "after": st.column_config.NumberColumn("To", width=45),
            "agreement": share_column(once["agreement"], "Predicted alike", width=95),
            "change": st.column_config.NumberColumn("Points", format="%+.1f", width=60, help="of accuracy gained"),
            "similarity": st.column_config.NumberColumn(
                "Similarity", format="%.2f", width=70, help=_UNITS["similarity"]
            ),
        },
        alt="all pairs of epochs with their figures",
    )
    st.caption(
        "Both epochs under the variant of the sidebar. Click a cell or a row to compare its epochs on this page."
    )
    downloads.csv_button("CSV of all pairs", table, f"{selection.name}-{selection.variant}-epoch-pairs.csv")


def _choose(selection: Selection, before: int, after: int) -> None:
    other = {"with": None, "with_epoch": before, "with_variant": selection.variant, "third": None, "pair": None}
    url_state.write({"epoch": after, **other, "page": None})
