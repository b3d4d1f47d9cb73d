"""Compare: two epochs, variants or runs side by side, with their difference as signed maps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, galleries, state
from dashboard.charts.classes import accuracy_change
from dashboard.comparing import State, class_changes, comparable, flips
from dashboard.components import Tile, TileSet, tile_grid
from dashboard.images import COMMON, scale_maps
from dashboard.state import Selection
from dashboard.theme import percent, plural, variant_name

_OUTCOMES = ("gained", "lost", "still wrong")
_MOST = 24


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    before, after = _states(selection)
    reason = comparable(before.run, after.run)
    if reason:
        st.warning(f"{reason} Choose a run of the same pictures to compare with.", icon=":material/compare_arrows:")
        return
    _summary(before, after)
    table = class_changes(before, after)
    _classes(selection, before, after, table)
    _patterns(selection, before, after, table)
    _changed_pictures(selection, before, after)


def _states(selection: Selection) -> tuple[State, State]:
    """The state to compare with (left) and the frame's (right)."""
    names = data.run_names()
    after = State(selection.run, selection.epoch, selection.variant)
    st.markdown(
        f"Compared with the state of the sidebar (**epoch {after.epoch}, {variant_name(after.variant)}** of "
        f"**{selection.name}**):"
    )
    pinned = selection.pinned or (selection.run.epochs[0], selection.run.variants[0])
    one, two, three = st.columns(3)
    with one:
        name = controls.select("Run", "with", names, default=selection.name, resets=("with_epoch", "with_variant"))
    run = selection.run if name == selection.name else data.open_named_run(name)
    epochs = [str(epoch) for epoch in run.epochs]
    start = pinned if run is selection.run else (run.epochs[-1] if run.epochs else 0, run.variants[0])
    with two:
        epoch = controls.select("Epoch", "with_epoch", epochs, default=str(start[0]))
    with three:
        variant = controls.select("Variant", "with_variant", run.variants, default=start[1], names=variant_name)
    return State(run, int(epoch), variant), after


def _summary(before: State, after: State) -> None:
    one, two = data.variant_row(*before.key), data.variant_row(*after.key)
    with st.container(horizontal=True):
        for label, key in (("Top-1", "top1"), ("Top-5", "top5"), ("Mean confidence", "mean_confidence")):
            st.metric(
                label,
                percent(two[key]),
                f"{100 * (two[key] - one[key]):+.1f} points",
                delta_description=f"from {percent(one[key])}",
                border=True,
            )
        changed = flips(before, after)
        st.metric("Answers changed", percent(len(changed) / max(1, len(before.run.labels))), border=True)


def _classes(selection: Selection, before: State, after: State, table: pd.DataFrame) -> None:
    st.subheader("Which classes gained, which lost?", anchor=False)
    left, right = st.columns([3, 2])
    names = before.label(after), after.label(before)
    with left:
        exports.chart(
            accuracy_change,
            table,
            before=names[0],
            after=names[1],
            palette=exports.current_palette(),
            key="accuracy-change",
            alt="accuracy of every class in both states",
            on_select=lambda: _clicked(selection),
            selection_mode="class",
        )
        st.caption("A click opens the class's gallery.")
    with right:
        st.dataframe(
            table.sort_values("change", key=lambda change: -change.abs(), kind="stable")[
                ["name", "before", "after", "change", "likeness"]
            ],
            hide_index=True,
            height=360,
            column_config={
                "name": "Class",
                "before": st.column_config.NumberColumn("Before", format="percent", width="small"),
                "after": st.column_config.NumberColumn("After", format="percent", width="small"),
                "change": st.column_config.NumberColumn("Change", format="percent", width="small"),
                "likeness": st.column_config.NumberColumn("Letters", format="%.2f", width="small", help="likeness"),
            },
            alt="accuracy of every class in both states",
        )


def _clicked(selection: Selection) -> None:
    chosen = st.session_state["chart-accuracy-change"]["selection"].get("class") or []
    if chosen:
        state.open_class(data.class_ids(selection.run)[int(chosen[0]["class_index"])])


def _patterns(selection: Selection, before: State, after: State, table: pd.DataFrame) -> None:
    if before.run.map_shape != after.run.map_shape:
        st.caption("The two runs' maps differ in size, so their letters cannot be subtracted.")
        return
    st.subheader("The letters that changed most", anchor=False)
    order = table.sort_values("likeness", kind="stable")["class_index"].to_numpy()[:_MOST]
    one, two = data.patterns(*before.key)[order], data.patterns(*after.key)[order]
    identifiers = data.class_ids(selection.run)
    rows = table.set_index("class_index").loc[order]

    def content(maps: np.ndarray, *, difference: bool) -> TileSet:
        each = 1 if difference else 2
        tiles = tuple(
            Tile(
                id=identifiers[number],
                title=row.name_,
                lines=(f"likeness {row.likeness:.2f}, {100 * row.change:+.0f} points",),
                maps=tuple(range(position * each, (position + 1) * each)),
                href=state.link("gallery", {"class": identifiers[number], "image": None}),
            )
            for position, (number, row) in enumerate(
                zip(order.tolist(), rows.rename(columns={"name": "name_"}).itertuples(index=False), strict=True)
            )
        )
        signed = difference or selection.run.signed
        return TileSet(
            tiles=tiles,
            maps=scale_maps(maps, kind=COMMON if difference else selection.scale, signed=signed),
            peaks=np.abs(maps).max((-1, -2), initial=0),
            colours=selection.colours,
            size=58,
            legend="logits gained (warm) and lost (cold), one common scale" if difference else "",
        )

    shown = controls.segmented("Show", "letters", ["before and after", "difference"])
    if shown == "difference":
        tile_grid(content(two - one, difference=True), key="letter-difference", on_open=state.open_class)
    else:
        both = np.stack([one, two], axis=1).reshape(-1, *one.shape[1:])
        tile_grid(content(both, difference=False), key="letter-pairs", on_open=state.open_class)


def _changed_pictures(selection: Selection, before: State, after: State) -> None:
    st.subheader("The pictures whose answer changed", anchor=False)
    table = flips(before, after)
    outcome = controls.segmented("Outcome", "outcome", list(_OUTCOMES), resets=("p",))
    rows = table[table["outcome"] == outcome]
    counts = ", ".join(f"{int((table['outcome'] == name).sum())} {name}" for name in _OUTCOMES)
    st.caption(f"{plural(len(table), 'picture')}: {counts}. The most confident new answers first.")
    part = rows.iloc[controls.page("p", len(rows), 16)]
    if before.run.path == after.run.path:
        images = part["image"].to_numpy()
        pair = (before.epoch, before.variant), (after.epoch, after.variant)
        galleries.comparison_grid(selection, images, *pair, key="flips")
    else:
        st.dataframe(part, hide_index=True, alt="pictures whose answer differs between the runs")
    st.download_button(
        "CSV of all changed answers",
        lambda: exports.csv(table),
        file_name="changed-answers.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


main()
