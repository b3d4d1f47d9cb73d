"""Learning: which class when, what was forgotten, and how a class's pattern formed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components import Tile, TileSet
from dashboard.images import scale_maps
from dashboard.shared import downloads, image_tiles
from dashboard.shared.notices import needs_analysis, warn_stale
from dashboard.shared.theme import escape_markdown, percent, plural
from dashboard.shared.tile_sheets import grid_with_sheet
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.learning import parts
from dashboard.views.learning.charts import accuracy_race, formation_scatter, history_bars
from store.metrics.learning import FORMED

_HISTORIES = ("always correct", "learned", "learned late", "flip-flopping", "forgotten", "never correct")


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    if len(selection.run.epochs) < 2:
        st.info("One epoch is recorded; this page compares epochs and begins with the second.")
        return
    class_index = selection.class_index if selection.class_index is not None else 0
    _race(selection, class_index)
    parts.class_strip(selection)
    _film(selection, class_index)
    _formation(selection)
    warn_stale(selection)
    _histories(selection, class_index)
    parts.confused_pairs(selection)
    parts.best_epochs(selection)


def _race(selection: Selection, class_index: int) -> None:
    run = selection.run
    names, groups, identifiers = data.class_names(run), data.class_groups(run), data.class_ids(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = controls.segmented("Lines", "lines", ["groups", "classes"])
        controls.select(
            "Class",
            "class",
            identifiers,
            default=identifiers[0],
            names=data.class_labels(run).__getitem__,
        )
    table = data.class_accuracy(run, selection.variant)
    if by == "classes":
        table = table[table["group"] == groups[class_index]]
    column = "group" if by == "groups" else "name"
    front = groups[class_index] if by == "groups" else names[class_index]
    downloads.chart(
        accuracy_race,
        table,
        highlight=front,
        by=column,
        epoch=selection.epoch,
        key="accuracy-race",
        alt="accuracy of every group or class over the epochs",
    )
    among = "all groups" if by == "groups" else f"the classes of its group, {groups[class_index]}"
    st.caption(f"In front: {escape_markdown(front) or 'the classes without a group'}, among {escape_markdown(among)}.")


def _film(selection: Selection, class_index: int) -> None:
    run = selection.run
    st.subheader(f"The letter of {escape_markdown(data.class_names(run)[class_index])} over the epochs", anchor=False)
    patterns = data.all_patterns(run, selection.variant)[:, class_index]
    table = data.class_accuracy(run, selection.variant)
    accuracy = table[table["class_index"] == class_index].set_index("epoch")["accuracy"]
    final = patterns[-1].ravel()
    tiles = [
        Tile(
            id=str(epoch),
            title=f"epoch {epoch}",
            lines=(
                f"right {percent(float(accuracy[epoch]), 0)}",
                f"like the last {_cosine(pattern.ravel(), final):.2f}",
            ),
            maps=(position,),
            bar=float(np.nan_to_num(accuracy[epoch])),
            role="correct",
            opens=True,
            chosen=epoch == selection.epoch,
        )
        for position, (epoch, pattern) in enumerate(zip(run.epochs, patterns, strict=True))
    ]
    content = TileSet(
        tiles=tuple(tiles),
        maps=scale_maps(patterns, kind=selection.scale, signed=run.signed),
        colours=selection.colours,
        size=74,
    )
    grid_with_sheet(
        selection,
        content,
        title=f"The letter of {data.class_names(run)[class_index]} over the epochs",
        key="letter",
        on_open=lambda epoch: url_state.write({"epoch": epoch}),
    )


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norm if norm else 0.0


def _formation(selection: Selection) -> None:
    st.subheader("Does the letter form before the prediction settles?", anchor=False)
    table = data.analysis_table(selection.run, "classes")
    if table is None:
        needs_analysis(selection)
        return
    left, right = st.columns([3, 2])
    with left:
        downloads.chart(
            formation_scatter,
            table,
            key="formation",
            alt="when the maps of a class formed against when its predictions settled",
            on_point=lambda point: url_state.write({"class": data.class_ids(selection.run)[int(point["class_index"])]}),
        )
        st.caption(
            "Clean images. Below the diagonal the prediction settled before the map did. A click chooses the class."
            f"{_caution(selection)}"
        )
    with right:
        shown = table.sort_values("half_correct", key=lambda half: half.where(half >= 0, np.inf), kind="stable")
        never = {name: shown[name].astype("Int64").where(shown[name] >= 0) for name in ("formation", "half_correct")}
        shown = shown.assign(**never)
        st.dataframe(
            shown[["name", "formation", "half_correct", "never_correct", "forgotten"]],
            hide_index=True,
            height=340,
            column_config={
                "name": "Class",
                "formation": st.column_config.NumberColumn(
                    "Letter", help="epoch from which the letter keeps its form; empty: never"
                ),
                "half_correct": st.column_config.NumberColumn(
                    "Half right", help="first epoch with half of the images right; empty: never"
                ),
                "never_correct": st.column_config.NumberColumn("Never", format="percent"),
                "forgotten": st.column_config.NumberColumn("Forgotten", format="percent"),
            },
            alt="when each class was learned",
        )


def _caution(selection: Selection) -> str:
    """What to think of "formed" where the maps of all classes look alike; empty where they do not."""
    table = data.analysis_table(selection.run, "localisation")
    between = (
        float("nan") if table is None else table.set_index("quantity")["value"].get("between_classes", float("nan"))
    )
    if not between >= FORMED:
        return ""
    return (
        f" Careful: the maps of two different classes have a cosine of {between:.2f} here, so keeping one of {FORMED} "
        "to the final map says little about its form."
    )


def _histories(selection: Selection, class_index: int) -> None:
    table = data.analysis_table(selection.run, "images")
    if table is None:
        return
    st.subheader("Learned, forgotten, never correct", anchor=False)
    counts = table["history"].value_counts().reindex(_HISTORIES, fill_value=0)
    frame = pd.DataFrame({"history": counts.index, "images": counts.to_numpy()})
    left, right = st.columns([2, 3])
    with left:
        downloads.chart(
            history_bars,
            frame,
            key="histories",
            alt="images by what happened to them over the epochs",
            on_point=lambda bar: url_state.write({"history": bar["history"], "page": None}),
        )
    with right:
        chosen = controls.segmented("Images that were", "history", list(_HISTORIES[::-1]), resets=("page",))
        name = data.class_names(selection.run)[class_index]
        whose = {"all": "all classes", "class": name}
        of = controls.segmented("Of", "of", list(whose), names=whose.__getitem__, resets=("page",))
        rows = data.predictions(selection.run, selection.run.epochs[-1], selection.run.variants[0])
        wanted = (table["history"] == chosen).to_numpy()
        found = rows[wanted & (rows["label"] == class_index).to_numpy() if of == "class" else wanted]
        st.caption(
            f"{plural(len(found), 'image')}, clean; predictions are those of the last epoch. Late: in the last "
            "quarter of the epochs. Flip-flopping: forgotten more than twice."
        )
    latest = replace(selection, epoch=selection.run.epochs[-1], variant=selection.run.variants[0])
    part = found.iloc[controls.page("page", len(found), 20)]
    image_tiles.image_grid(
        latest, part, key="histories", which=image_tiles.OWN, size=84, title=f"Images that were {chosen}"
    )


main()
