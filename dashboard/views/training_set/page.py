"""Training set: what the network made of each training image, epoch by epoch, and which labels may be wrong."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import tile_grid
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import downloads, marking
from dashboard.shared.theme import count, escape_markdown, plural, probability
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.training_set import parts
from dashboard.views.training_set.charts import cartography, forgetting_bars, history
from store.errors import NotInRun
from store.queries.training_set import label_detection, suspects
from store.rates import percent

_PER_PAGE = 20
_HOW = {
    "pass": "the passes that trained the network, augmentation and dropout included",
    "clean": "a pass after each epoch, in evaluation mode and without augmentation",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    if not selection.run.source.is_local:
        st.info("The ledger of the training images is read from a folder only: copy the run with store copy.")
        return
    try:
        table = data.training_images(selection.run)
    except NotInRun:
        st.info(
            "This run has no ledger of its training images. Runs that are trained here keep one unless "
            "recording.training is off; recorded networks were trained elsewhere.",
            icon=":material/inventory_2:",
        )
        return
    _card(selection, table)
    number = url_state.integer("training_image", -1, len(table) - 1, -1)
    _map(selection, table)
    if number >= 0:
        _one_image(selection, table, number)
    _suspects(selection, table, number)
    _forgetting(table)
    downloads.csv_button("CSV of all training images", table.reset_index(), f"{selection.name}-training-images.csv")


def _card(selection: Selection, table: pd.DataFrame) -> None:
    epochs = table.attrs["epochs"]
    recording = selection.run.configuration.get("recording")
    how = _HOW.get(str(recording.get("training")) if isinstance(recording, dict) else "", "the training")
    with st.grid(4, min_column_width=150):
        st.metric("Training images", count(len(table)), border=True)
        never = int((table["first_learned"] == 0).sum())
        st.metric("Never learned", count(never), border=True, help="predicted as their label in no epoch")
        forgotten = int((table["forgetting"] > 0).sum())
        st.metric("Forgotten", count(forgotten), border=True, help="correct in one epoch and wrong in a later one")
        if "threshold" in table.attrs:
            below = int((suspects(table, "aum", count=len(table))["aum"] < table.attrs["threshold"]).sum())
            meaning = "the 99th percentile of the AUM in the threshold class"
            st.metric("Below the AUM threshold", count(below), border=True, help=meaning)
    st.caption(f"From {how}; {plural(len(epochs), 'epoch')}, {epochs[0]} to {epochs[-1]}.")


def _map(selection: Selection, table: pd.DataFrame) -> None:
    st.subheader("Which images are easy, hard or ambiguous?", anchor=False)
    rows = _of_class(selection, table)
    shown = parts.points(rows)
    if shown.empty:
        st.info("The class has no training images.")
        return
    downloads.chart(
        cartography,
        shown,
        key="training-map",
        alt="mean and standard deviation of the probability of each training image's label",
        on_point=lambda point: url_state.write({"training_image": int(point["training_image"])}),
    )
    some = f" {count(len(shown))} of {count(len(rows))} images, suspects first." if len(shown) < len(rows) else ""
    rings = " Rings: labels exchanged on purpose." if (shown["mark"] != "").any() else ""
    st.caption(
        "A dataset map (Swayamdipta et al. 2020). Top left: easy, the label is probable in every epoch. Right: "
        "ambiguous, its probability changes. Bottom left: hard, or the label is wrong. Click a point to see its "
        f"image.{some}{rings}"
    )


def _of_class(selection: Selection, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the chosen class, all where none is chosen."""
    return table if selection.class_index is None else table[table["label"] == selection.class_index]


def _one_image(selection: Selection, table: pd.DataFrame, number: int) -> None:
    """One image with its history."""
    run, row = selection.run, table.iloc[[number]]
    with st.container(border=True):
        st.markdown(f"**{escape_markdown(row['name'].iloc[0])}**")
        marking.of_image(MarkedImages(run, training=True), number, key="training")
        left, right = st.columns([1, 2])
        with left:
            tile_grid(parts.tiles(run, row, parts.thumbnails(run), number), key="one-image")
        with right:
            downloads.chart(
                history, parts.history(run, number), key="image-history", alt="probability of the label over the epochs"
            )
        controls.write_button("Close", {"training_image": None}, icon=":material/close:", key="close-image")


def _suspects(selection: Selection, table: pd.DataFrame, number: int) -> None:
    st.subheader("Which labels may be wrong?", anchor=False)
    source = MarkedImages(selection.run, training=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = controls.segmented("First", "order", parts.LABELS, resets=("page",))
        everything = suspects(_of_class(selection, table), order, count=len(table))
        rows = marking.choose_mark(source, everything.assign(image=everything.index)).head(parts.SUSPECTS)
        marking.menu(source, rows, key="training")
    kept = parts.thumbnails(selection.run)
    if rows.empty:
        st.info("No training images match. Choose another class or mark.", icon=":material/filter_alt_off:")
        return
    shown = rows.iloc[controls.page("page", len(rows), _PER_PAGE)]
    content = parts.tiles(selection.run, shown, kept, number)
    tile_grid(
        marking.with_marks(source, content),
        key="suspects",
        on_open=lambda chosen: url_state.write({"training_image": chosen}),
        on_mark=marking.on_mark(source, content),
    )
    missing = int((~rows.index.isin(list(kept))).sum())
    some = ""
    if missing:
        some = f" {plural(missing, 'image')} of this list without a thumbnail: they are kept when the training ends, "
        some += f"for the first {parts.SUSPECTS} of each list of the whole set."
    st.caption(
        "AUM: the mean over the epochs of the label's logit minus the highest other one (Pleiss et al. 2020). A wrong "
        f"label is contradicted by the other images of its class, so it stays low.{some}"
    )
    found = label_detection(table, order)
    if found is not None:
        precision = ", ".join(f"{percent(share)} of the first {count(k)}" for k, share in found.precision.items())
        st.markdown(
            f"**Labels exchanged on purpose: {count(int(parts.exchanged(table).sum()))}.** This order finds them "
            f"with an AUROC of {probability(found.auroc)}: {precision} suspects."
        )
    downloads.csv_button(
        "CSV of the suspects", rows.drop(columns="image").reset_index(), f"{selection.name}-suspects-{order}.csv"
    )


def _forgetting(table: pd.DataFrame) -> None:
    st.subheader("How many images are forgotten?", anchor=False)
    downloads.chart(
        forgetting_bars, parts.forgetting_counts(table), key="forgetting", alt="training images by how often forgotten"
    )
    st.caption(
        "Forgotten: predicted as its label in one epoch and not in the next in which it was seen (Toneva et al. 2019). "
        "Images that are never forgotten teach the network little that others do not."
    )


main()
