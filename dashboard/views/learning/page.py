"""Learning: when each class was learned, what was forgotten, and how its pattern formed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import Tile
from dashboard.shared import downloads, image_tiles, one_image
from dashboard.shared.class_tiles import choose_class
from dashboard.shared.image_grid import image_grid
from dashboard.shared.notices import needs_analysis, warn_stale
from dashboard.shared.tables import in_percent, plain_table, share_column
from dashboard.shared.theme import escape_markdown, plural, role
from dashboard.shared.tile_sheets import grid_with_sheet
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.learning import parts
from dashboard.views.learning.charts import accuracy_curves, formation_scatter, history_bars
from dashboard.views.learning.collapse import churn, collapse
from store.analysis.localisation import class_gap_is_clear
from store.metrics.learning import HISTORIES, form_limit
from store.metrics.maps import cosine
from store.rates import rate

_FILM = 15  # epochs of which the class pattern is shown
_CLASS_SHARES = {
    "never_correct": ("Never", "never predicted correctly"),
    "forgotten": ("Forgotten", "once correct, wrong at the end"),
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    if len(selection.run.epochs) < 2:
        st.info("Only one epoch is recorded. This page compares epochs and needs at least two.")
        return
    class_index = selection.class_index if selection.class_index is not None else 0
    left, right = st.columns(2)
    with left:
        _accuracy_curves(selection, class_index)
        if selection.run.has_maps:
            _pattern_over_epochs(selection, class_index)
    with right:
        parts.class_matrix(selection)
    if data.ends_degenerate(selection.run):
        return
    if selection.run.has_maps:
        _formation(selection)
    warn_stale(selection)
    _histories(selection, class_index)
    parts.confused_pairs(selection)
    parts.best_epochs(selection)
    opened = st.expander("Churn and neural collapse", key="learning-more", on_change="rerun")
    if not opened.open:
        url_state.accept_unread(("collapse",))
        return
    left, right = opened.columns(2)
    with left:
        churn(selection)
    with right:
        collapse(selection)


def _accuracy_curves(selection: Selection, class_index: int) -> None:
    run = selection.run
    names, groups = data.class_names(run), data.class_groups(run)
    st.subheader("Accuracy over the epochs", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = controls.segmented("Lines", "lines", ["groups", "classes"])
        choose_class(selection)
    table = data.class_accuracy(run, variant=selection.variant)
    if by == "classes":
        table = table[table["group"] == groups[class_index]]
    column = "group" if by == "groups" else "name"
    front = groups[class_index] if by == "groups" else names[class_index]
    among = "all groups" if by == "groups" else f"the classes of its group, {groups[class_index]}"
    downloads.chart(
        accuracy_curves,
        table,
        highlight=front,
        by=column,
        epoch=selection.epoch,
        key="accuracy-curves",
        alt="accuracy of every group or class over the epochs",
        caption=f"Highlighted: {escape_markdown(front) or 'the classes without a group'}, among "
        f"{escape_markdown(among)}.",
    )


def _pattern_over_epochs(selection: Selection, class_index: int) -> None:
    run = selection.run
    st.subheader(
        f"Class pattern of {escape_markdown(data.class_names(run)[class_index])} over the epochs", anchor=False
    )
    shown = one_image.film_epochs(run.epochs, selection.epoch, most=_FILM)
    patterns = np.stack([data.patterns(run, epoch, selection.variant)[class_index] for epoch in shown])
    accuracy = dict(zip(run.epochs, data.accuracy_grid(run, selection.variant)[:, class_index], strict=True))
    similarity = cosine(patterns, np.broadcast_to(patterns[-1], patterns.shape))
    images = int((run.labels == class_index).sum())
    tiles = [
        Tile(
            id=str(epoch),
            title=f"epoch {data.epoch_name(run, epoch)}",
            lines=(
                f"{rate(accuracy[epoch], images)} correct",
                f"similarity to final {similarity[position]:.2f}",
            ),
            maps=(position,),
            bar=float(np.nan_to_num(accuracy[epoch])),
            role=role(True),
            opens=True,
            chosen=epoch == selection.epoch,
        )
        for position, epoch in enumerate(shown)
    ]
    content = image_tiles.tile_set(selection, tiles, patterns, size=74)
    grid_with_sheet(
        selection,
        content,
        title=f"Class pattern of {data.class_names(run)[class_index]} over the epochs",
        key="pattern",
        caption="" if len(shown) == len(run.epochs) else f"{len(shown)} of {len(run.epochs)} epochs.",
        on_open=lambda epoch: url_state.write({"epoch": epoch}),
    )


def _formation(selection: Selection) -> None:
    st.subheader("Do maps form before predictions stabilise?", anchor=False)
    table = data.analysis_table(selection.run, "classes")
    if table is None:
        needs_analysis(selection)
        return
    table = table[table["accuracy"].notna()]  # of classes that have images
    left, right = st.columns([3, 2])
    with left:
        downloads.chart(
            formation_scatter,
            table,
            key="formation",
            alt="when the maps of a class formed and when its predictions stabilised",
            caption="Clean images. A map has formed once it stays as similar to the final map as the maps of two "
            f"images of a class are{_limit(selection)}. Below the diagonal, the prediction stabilised before the map "
            "formed. Much of the final form may have been there before training (Findings, where epoch 0 is "
            f"recorded). Click a point to choose its class.{_caution(selection)}",
            on_point=lambda point: url_state.write({"class": data.class_ids(selection.run)[int(point["class_index"])]}),
        )
    with right:
        shown = table.sort_values("half_correct", key=lambda half: half.where(half >= 0, np.inf), kind="stable")
        never = {name: shown[name].astype("Int64").where(shown[name] >= 0) for name in ("formation", "half_correct")}
        plain_table(
            in_percent(shown, _CLASS_SHARES).assign(**never),
            column_order=["name", "formation", "half_correct", *_CLASS_SHARES],
            height=340,
            column_config={
                "name": st.column_config.TextColumn("Class", width=100),
                "formation": st.column_config.NumberColumn(
                    "Formed", width=62, help="epoch from which the class pattern keeps its form; empty: never"
                ),
                "half_correct": st.column_config.NumberColumn(
                    "Half correct", width=62, help="first epoch with half of the images correct; empty: never"
                ),
                **{
                    name: share_column(table[name], label, digits=0, width=62, help=f"share of the images {what}")
                    for name, (label, what) in _CLASS_SHARES.items()
                },
            },
            alt="when each class was learned",
        )


def _limit(selection: Selection) -> str:
    """The cosine similarity from which a map has formed, in brackets; empty where it is not known."""
    table = data.analysis_table(selection.run, "localisation")
    known = pd.Series(dtype=float) if table is None else table.set_index("quantity")["value"]
    return f" (cosine {form_limit(known['within_class']):.3g})" if "within_class" in known else ""


def _caution(selection: Selection) -> str:
    """A warning where maps are as similar across classes as within one, so that having formed says little."""
    table = data.analysis_table(selection.run, "localisation")
    if table is None or class_gap_is_clear(table):
        return ""
    # CAMs share a constant, so maps of all classes are similar and every map counts as formed from the start.
    return (
        " Caution: in this run, the maps of two images of a class are hardly more similar than those of two classes, "
        "so this similarity says little about their form."
    )


def _histories(selection: Selection, class_index: int) -> None:
    table = data.analysis_table(selection.run, "images")
    if table is None:
        return
    st.subheader("Which images were learned, forgotten or never correct?", anchor=False)
    counts = table["history"].value_counts().reindex(HISTORIES, fill_value=0)
    frame = pd.DataFrame({"history": counts.index, "images": counts.to_numpy()})
    left, right = st.columns([2, 3])
    with left:
        downloads.chart(
            history_bars,
            frame,
            key="histories",
            alt="number of images by their history over the epochs",
            on_point=lambda bar: url_state.write({"history": bar["history"], "page": None}),
        )
    with right:
        chosen = controls.segmented("Images that were", "history", list(HISTORIES[::-1]), resets=("page",))
        name = data.class_names(selection.run)[class_index]
        whose = {"all": "all classes", "class": name}
        of = controls.segmented("Of", "of", whose, resets=("page",))
        rows = data.predictions(selection.run, selection.run.epochs[-1], selection.run.variants[0])
        wanted = (table["history"] == chosen).to_numpy()
        found = rows[wanted & (rows["label"] == class_index).to_numpy() if of == "class" else wanted]
        st.caption(
            f"{plural(len(found), 'image')}, clean; predictions of the last epoch. Learned late: in the last "
            "quarter of the epochs. Flip-flopping: forgotten more than twice, but correct at the end."
        )
    # A history ends with the last epoch, so its images are shown there whatever epoch is chosen.
    latest = replace(selection, epoch=selection.run.epochs[-1], variant=selection.run.variants[0])
    title = f"Images that were {chosen}"
    image_grid(latest, found, key="histories", which=image_tiles.OWN, size=84, title=title, page="page", per_page=10)


main()
