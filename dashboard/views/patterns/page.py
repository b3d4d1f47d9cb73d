"""Patterns: the patterns of all classes as one wall, played over the epochs, and whether similar ones are confused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import Tile
from dashboard.components.wall import Wall, playing_wall
from dashboard.images.maps import scale_maps
from dashboard.shared import downloads
from dashboard.shared.class_tiles import ORDERS, choose_order, class_tiles, with_images
from dashboard.shared.tables import row_table
from dashboard.shared.theme import count, plural, signed_number
from dashboard.shared.tile_sheets import sheet_button
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.patterns.charts import pairs_and_means, similarity_chart, similarity_trend
from store.metrics.confusion import pattern_similarity

_PER_PAGE = 60


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    # Where not all fit on one page, those that work best come first.
    first = "accuracy" if len(selection.run.classes) > _PER_PAGE else next(iter(ORDERS))
    _wall(selection, choose_order(selection, sorted(ORDERS, key=lambda name: name != first)))
    if not data.is_degenerate(*selection.key):
        _similarity(selection)


def _wall(selection: Selection, by: str) -> None:
    run = selection.run
    sequence = with_images(run, data.class_order(run, by, selection.epoch, selection.variant))
    whole = sequence
    sequence = sequence[controls.page("classes", len(sequence), _PER_PAGE)]
    names, groups, identifiers = data.class_names(run), data.class_groups(run), data.class_ids(run)
    address = url_state.linker("gallery", "class", {"image": None})
    tiles = tuple(
        Tile(
            id=identifiers[number],
            title=names[number],
            maps=(place,),
            role=groups[number] if by == "group" else "",
            href=address(identifiers[number]),
            chosen=int(number) == selection.class_index,
        )
        for place, number in enumerate(sequence)
    )
    # Scaled over all epochs and classes at once: on the common scale an early pattern looks as weak as it is.
    scaled = scale_maps(data.all_patterns(run, selection.variant), kind=selection.scale, signed=run.signed)
    playing_wall(
        Wall(
            tiles=tiles,
            patterns=replace(scaled, codes=scaled.codes[:, sequence]),
            accuracy=data.accuracy_grid(run, selection.variant)[:, sequence],
            epochs=run.epochs,
            names=tuple(data.epoch_name(run, epoch) for epoch in run.epochs),
            start=run.epochs.index(selection.epoch),
            colours=selection.colours,
            size=64,
        ),
        key="patterns",
        on_open=url_state.open_class,
        on_epoch=lambda epoch: url_state.write({"epoch": epoch}),
    )
    sheet_button(
        selection, class_tiles(selection, whole.tolist()), title=f"Class patterns {ORDERS[by]}", key="patterns"
    )
    without = len(run.classes) - len(whole)
    left_out = f" Left out: {plural(without, 'class', 'classes')} without images." if without else ""
    st.caption(
        "A class pattern is the mean over the class's images of the map for that class. Below it: the class's accuracy "
        f"at the epoch shown. Click a pattern to open its gallery; the arrow keys move between patterns.{left_out}"
    )


def _similarity(selection: Selection) -> None:
    table = data.similar_classes(*selection.key)
    if len(table) < 2:
        return
    st.subheader("Are classes with similar patterns confused?", anchor=False)
    trend = similarity_trend(pattern_similarity(data.patterns(*selection.key)), data.confusion(*selection.key))
    left, right = st.columns([1, 1])
    with left:
        downloads.chart(
            similarity_chart,
            pairs_and_means(table, trend),
            key="similarity",
            alt="how often two classes are confused, by the similarity of their patterns",
            on_point=lambda pair: _open_pair(selection, int(pair["first_index"]), int(pair["second_index"])),
        )
        reported = table.attrs.get("spearman", float("nan"))
        correlation = f" Rank correlation: {signed_number(reported, 2)}." if np.isfinite(reported) else ""
        st.caption(
            f"Line: the mean of all {count(table.attrs['pairs'])} pairs.{correlation} Points: {count(len(table))} "
            "pairs, the most confused and the most similar. Click a point to see the pair's images."
        )
    with right:
        st.markdown("**Most similar class patterns**")
        pairs: pd.DataFrame = table.nlargest(40, "similarity")
        row_table(
            pairs,
            column_order=["first", "second", "similarity", "count"],
            height=340,
            column_config={
                "first": st.column_config.TextColumn("First class", width=150),
                "second": st.column_config.TextColumn("Second class", width=150),
                "similarity": st.column_config.NumberColumn(
                    "Similarity", format="%.2f", width=80, help="cosine similarity of the two patterns"
                ),
                "count": st.column_config.NumberColumn(
                    "Confused", width=70, help="images of either class predicted as the other"
                ),
            },
            key="similar-patterns",
            on_row=lambda row: _open_pair(selection, *pairs[["first_index", "second_index"]].iloc[row].tolist()),
            alt="pairs of classes with the most similar patterns",
        )


def _open_pair(selection: Selection, first: int, second: int) -> None:
    """The pair on the Confusion page, in the direction in which it happens more often."""
    # The table lists unordered pairs, a cell of the matrix has a direction.
    counts = data.confusion(*selection.key)
    true_class, prediction = (first, second) if counts[first, second] >= counts[second, first] else (second, first)
    identifiers = data.class_ids(selection.run)
    url_state.open_page("confusion", {"class": identifiers[true_class], "prediction": identifiers[prediction]})


main()
