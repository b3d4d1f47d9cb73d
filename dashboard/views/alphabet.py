"""Alphabet: the mean pattern of every class as one wall, played over the epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, state
from dashboard.charts.classes import likeness_scatter
from dashboard.components import Tile, Wall, playing_wall
from dashboard.images import scale_maps
from dashboard.state import Selection

_ORDERS = {
    "group": "by group",
    "likeness": "by likeness",
    "accuracy": "by accuracy",
    "formation": "by formation",
    "name": "by name",
    "index": "as recorded",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    _wall(selection, _order(selection))
    _likeness(selection)


def _order(selection: Selection) -> str:
    formed = data.analysis_table(selection.run, "classes") is not None
    shown = [name for name in _ORDERS if name != "formation" or formed]
    return controls.segmented("Order of the letters", "order", shown, names=_ORDERS.__getitem__)


def _wall(selection: Selection, by: str) -> None:
    run = selection.run
    sequence = data.class_order(run, by, selection.epoch, selection.variant)
    names, groups, identifiers = data.class_names(run), data.class_groups(run), data.class_ids(run)
    address = state.linker("gallery", "class", {"image": None})
    tiles = tuple(
        Tile(
            id=identifiers[number],
            title=names[number],
            maps=(int(number),),
            role=groups[number] if by == "group" else "",
            href=address(identifiers[number]),
        )
        for number in sequence
    )
    accuracy = data.class_accuracy(run, selection.variant)
    grid = accuracy.pivot(index="epoch", columns="class_index", values="accuracy").to_numpy()
    playing_wall(
        Wall(
            tiles=tiles,
            patterns=scale_maps(data.all_patterns(run, selection.variant), kind=selection.scale, signed=run.signed),
            accuracy=grid,
            epochs=run.epochs,
            start=run.epochs.index(selection.epoch),
            colours=selection.colours,
            size=64 if len(tiles) <= 100 else 54,
        ),
        key="alphabet",
        on_open=state.open_class,
        on_epoch=lambda epoch: state.write({"epoch": epoch}),
    )
    st.caption(
        "Each letter is the mean map that a class's pictures give their own class; under it the class's accuracy in "
        "the "
        "epoch shown. A letter opens its gallery."
    )


def _likeness(selection: Selection) -> None:
    table = data.look_alikes(selection.run, selection.epoch, selection.variant)
    if len(table) < 2:
        return
    st.subheader("Do look-alike letters get confused?", anchor=False)
    left, right = st.columns([3, 2])
    with left:
        exports.chart(
            likeness_scatter,
            table,
            palette=exports.current_palette(),
            key="likeness",
            alt="likeness of the patterns of two classes against how often they are confused",
            on_select=lambda: _clicked(selection),
            selection_mode="pair",
        )
        told = table.attrs.get("spearman", float("nan"))
        if np.isfinite(told):
            st.caption(
                f"Rank correlation over all {table.attrs['pairs']} pairs: {told:.2f}. Drawn are the most confused "
                "pairs, "
                "then the most alike. A click shows a pair's pictures on the Confusion page."
            )
    with right:
        st.markdown("**The most alike letters**")
        alike: pd.DataFrame = table.nlargest(40, "likeness")[["first", "second", "likeness", "count"]]
        st.dataframe(
            alike,
            hide_index=True,
            height=340,
            column_config={
                "first": "One",
                "second": "Other",
                "likeness": st.column_config.NumberColumn("Likeness", format="%.2f", width="small"),
                "count": st.column_config.NumberColumn("Confused", width="small"),
            },
            alt="pairs of classes whose patterns are most alike",
        )


def _clicked(selection: Selection) -> None:
    chosen = st.session_state["chart-likeness"]["selection"].get("pair") or []
    if chosen:
        identifiers = data.class_ids(selection.run)
        first, second = int(chosen[0]["first_index"]), int(chosen[0]["second_index"])
        state.go("confusion", {"class": identifiers[first], "answer": identifiers[second]})


main()
