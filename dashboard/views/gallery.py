"""Gallery: the pictures of one class with their maps, beside the class's mean pattern."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import controls, data, galleries, state
from dashboard.components import tile_grid
from dashboard.patterns import class_tiles
from dashboard.state import Selection
from dashboard.theme import percent, plural

_SORTS = {
    "confidence": ("confidence", False, "most confident first"),
    "doubtful": ("confidence", True, "least confident first"),
    "likeness": ("similarity", False, "most like the pattern first"),
    "outliers": ("similarity", True, "least like the pattern first"),
    "sharpness": ("sharpness", False, "sharpest map first"),
    "number": ("image", True, "as recorded"),
}
_ANSWERS = {"all": "all", "right": "✓ right", "wrong": "✗ wrong"}
_PER_PAGE = 50


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    class_index = selection.class_index if selection.class_index is not None else 0
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    own = frame[frame["label"] == class_index]
    _choose_class(selection, class_index)
    _head(selection, class_index, own)
    _pictures(selection, own)


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
            resets=("p",),
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
        on_click=state.write,
        args=({"class": identifiers[number] if there else None, "p": None},),
    )


def _head(selection: Selection, class_index: int, own: pd.DataFrame) -> None:
    row = data.class_table(selection.run, selection.epoch, selection.variant).iloc[class_index]
    left, right = st.columns([1, 5])
    with left:
        content = class_tiles(selection, [class_index], size=150)
        tile_grid(content, key="pattern")
    with right:
        with st.container(horizontal=True):
            st.metric("Right", percent(row.accuracy), border=True)
            st.metric("Mean confidence", percent(row.mean_confidence), border=True)
            st.metric("Spread of the maps", f"{row.spread:.3f}", border=True, help="mean of 1 − cosine to the pattern")
            st.metric("Called this class", int(row.predicted_count), border=True, help=f"{len(own)} pictures are")
        taken = own[~own["correct"]]["predicted"].value_counts().head(5)
        if len(taken):
            st.caption("Taken for: " + ", ".join(f"{name} ({number}×)" for name, number in taken.items()))
        st.caption(
            "At the left the class pattern: the mean of the maps that this class's pictures give their own class. "
            "The paper's Fig. 8 says that two pictures of a class share one map; likeness is the cosine to the pattern."
        )


def _pictures(selection: Selection, own: pd.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = controls.segmented("Maps", "maps", list(galleries.MAP_CHOICES), names=galleries.MAP_CHOICES.__getitem__)
        answers = controls.segmented("Answers", "answers", list(_ANSWERS), names=_ANSWERS.__getitem__, resets=("p",))
        sort = controls.select("Sort", "sort", list(_SORTS), default="confidence", names=lambda name: _SORTS[name][2])
    column, ascending, _ = _SORTS[sort]
    rows = own if answers == "all" else own[own["correct"] == (answers == "right")]
    rows = rows.sort_values(column, ascending=ascending, kind="stable")
    st.caption(plural(len(rows), "picture"))
    shown = rows.iloc[controls.page("p", len(rows), _PER_PAGE)]
    galleries.picture_grid(selection, shown, key="gallery", which=which)
    name = data.class_names(selection.run)[selection.class_index or 0]
    galleries.sheet_button(selection, shown, which=which, title=name)


main()
