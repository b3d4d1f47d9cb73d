"""Gallery: the images of a class with their maps, beside the class's mean pattern; several classes stacked."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components import tile_grid
from dashboard.shared import image_tiles
from dashboard.shared.class_tiles import class_tiles, cluster_tiles, portrait_tiles
from dashboard.shared.theme import percent, plain, plural
from dashboard.shell import controls, url_state, word_list
from dashboard.shell.url_state import Selection

_SORTS = {
    "confidence": ("confidence", False, "most confident first"),
    "doubtful": ("confidence", True, "least confident first"),
    "similarity": ("similarity", False, "most like the pattern first"),
    "outliers": ("similarity", True, "least like the pattern first"),
    "sharpness": ("sharpness", False, "sharpest map first"),
    "number": ("image", True, "as recorded"),
}
_ANSWERS = {"all": "all", "right": "✓ right", "wrong": "✗ wrong"}
_PER_PAGE = 50
_MOST_CLASSES = 7


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current()
    class_index = selection.class_index if selection.class_index is not None else 0
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    _choose_class(selection, class_index)
    others = _others(selection, class_index)
    own = frame[frame["label"] == class_index]
    if others:
        which, predictions, sort = _options()
        for number in (class_index, *others):
            rows = _ordered(frame[frame["label"] == number], predictions, sort)
            _shelf(selection, number, frame[frame["label"] == number], rows, which)
        return
    _head(selection, class_index, own)
    mode = _clusters(selection, class_index)
    if mode is not None:
        own = own[own["image"].isin(mode)]
    _images(selection, class_index, own)


def _others(selection: Selection, class_index: int) -> list[int]:
    """The classes that are stacked under the chosen one."""
    identifiers, names = data.class_ids(selection.run), data.class_names(selection.run)
    if len(identifiers) < 2:
        return []
    words = {
        key: name for place, (key, name) in enumerate(zip(identifiers, names, strict=True)) if place != class_index
    }
    chosen = word_list.choose(
        "Stacked under it", "also", words, most=_MOST_CLASSES - 1, placeholder="more classes, each in a row of its own"
    )
    return [identifiers.index(identifier) for identifier in chosen]


def _choose_class(selection: Selection, class_index: int) -> None:
    identifiers, names = data.class_ids(selection.run), data.class_names(selection.run)
    places = {identifier: number for number, identifier in enumerate(identifiers)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        controls.select(
            "Class",
            "class",
            identifiers,
            default=identifiers[0],
            names=lambda identifier: names[places[identifier]],
            resets=("p", "look"),
        )
        _neighbour("Previous class", ":material/chevron_left:", identifiers, class_index - 1, "j")
        _neighbour("Next class", ":material/chevron_right:", identifiers, class_index + 1, "k")


def _neighbour(label: str, icon: str, identifiers: list[str], number: int, shortcut: str) -> None:
    there = 0 <= number < len(identifiers)
    st.button(
        label,
        icon=icon,
        shortcut=shortcut,
        disabled=not there,
        on_click=url_state.write,
        args=({"class": identifiers[number] if there else None, "p": None, "look": None},),
    )


def _head(selection: Selection, class_index: int, own: pd.DataFrame) -> None:
    row = data.class_table(selection.run, selection.epoch, selection.variant).iloc[class_index]
    left, right = st.columns([2, 5])
    with left:
        tile_grid(portrait_tiles(selection, class_index, own["image"].tolist(), size=120), key="pattern")
    with right:
        figures = (
            ("Right", percent(row.accuracy, 0), f"of {plural(len(own), 'image')}"),
            ("Mean confidence", percent(row.mean_confidence, 0), "probability P of the prediction"),
            ("Spread of the maps", f"{row.spread:.3f}", "mean of 1 − cosine to the pattern"),
            ("Called this class", str(int(row.predicted_count)), f"{len(own)} images are"),
        )
        with st.grid(4, min_column_width=140):
            for label, value, meaning in figures:
                st.metric(label, value, border=True, help=meaning, height="stretch")
        st.caption(_taken_for(own))
        st.caption(
            "The pattern is the mean of the maps that this class's images give their own class; the paper's Fig. 8 "
            "says that two images of a class share one map. Similarity is the cosine to the pattern."
        )


def _taken_for(own: pd.DataFrame) -> str:
    taken = own[~own["correct"]]["predicted_class"].value_counts().head(5)
    return (
        "Taken for: " + ", ".join(f"{plain(name)} ({number}×)" for name, number in taken.items()) if len(taken) else ""
    )


def _clusters(selection: Selection, class_index: int) -> list[int] | None:
    """The looks of a class where it has more than one; the images of the chosen one."""
    table, images = (data.analysis_table(selection.run, name) for name in ("clusters", "images"))
    if table is None or images is None:
        return None
    clusters = table[table["class_index"] == class_index]
    if len(clusters) < 2:
        return None
    st.subheader("The looks of this class", anchor=False)
    numbers = [str(int(number)) for number in clusters["mode"]]
    chosen = url_state.choice("look", numbers, "")

    def toggle(look: str) -> None:
        url_state.write({"look": None if look == chosen else look, "p": None})

    tile_grid(
        cluster_tiles(selection, clusters, chosen=int(chosen) if chosen else None), key="clusters", on_open=toggle
    )
    st.caption(
        "Groups of its images whose maps are alike (last epoch, clean), each by its most central image; how much "
        "more often a look is answered wrongly than the class, with its 95 % interval. A click shows its images only."
    )
    if not chosen:
        return None
    own = images[(selection.run.labels == class_index) & (images["mode"] == int(chosen))]
    return own["image"].tolist()


def _options() -> tuple[str, str, str]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = controls.segmented(
            "Maps", "maps", list(image_tiles.MAP_CHOICES), names=image_tiles.MAP_CHOICES.__getitem__
        )
        predictions = controls.segmented(
            "Answers", "predictions", list(_ANSWERS), names=_ANSWERS.__getitem__, resets=("p",)
        )
        sort = controls.select("Sort", "sort", list(_SORTS), default="confidence", names=lambda name: _SORTS[name][2])
    return which, predictions, sort


def _ordered(rows: pd.DataFrame, predictions: str, sort: str) -> pd.DataFrame:
    column, ascending, _ = _SORTS[sort]
    kept = rows if predictions == "all" else rows[rows["correct"] == (predictions == "right")]
    return kept.sort_values(column, ascending=ascending, kind="stable")


def _images(selection: Selection, class_index: int, own: pd.DataFrame) -> None:
    which, predictions, sort = _options()
    rows = _ordered(own, predictions, sort)
    st.caption(plural(len(rows), "image"))
    shown = rows.iloc[controls.page("p", len(rows), _PER_PAGE)]
    title = data.class_names(selection.run)[class_index]
    image_tiles.image_grid(selection, shown, key="gallery", which=which, title=title)


def _shelf(selection: Selection, class_index: int, own: pd.DataFrame, rows: pd.DataFrame, which: str) -> None:
    """One class of several: its pattern at the left, its images at the right."""
    row = data.class_table(selection.run, selection.epoch, selection.variant).iloc[class_index]
    with st.container(border=True):
        name = data.class_names(selection.run)[class_index]
        st.markdown(
            f"**{plain(name)}** · {percent(row.accuracy, 0)} right · mean confidence "
            f"{percent(row.mean_confidence, 0)} · spread {row.spread:.3f}"
        )
        left, right = st.columns([1, 6])
        with left:
            tile_grid(class_tiles(selection, [class_index], size=110), key=f"shelf-{class_index}", on_open=_alone)
            st.caption(_taken_for(own))
        with right:
            if rows.empty:
                st.caption("No image fits.")
                return
            content = image_tiles.image_tiles(selection, rows.head(_PER_PAGE), which=which, size=42, overlay=None)
            tile_grid(content, key=f"row-{class_index}", on_open=url_state.open_image)
            if len(rows) > _PER_PAGE:
                st.caption(f"{_PER_PAGE} of {len(rows)}; the pattern at the left opens the class alone.")


def _alone(identifier: str) -> None:
    url_state.write({"class": identifier, "also": None, "p": None})


main()
