"""Search: paint a pattern, or start from any map, and find the pictures whose maps are most like it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, galleries, state
from dashboard.components import TileSet, painter, pattern_text, text_pattern, tile_grid
from dashboard.patterns import class_tiles
from dashboard.sheets import grid_with_sheet
from dashboard.state import Selection
from dashboard.theme import count, percent, plain, plural
from store.measures.maps import cosine
from store.queries import search_index

_PAINTED, _PICTURE, _CLASS = "painted", "picture", "class"
_STARTS = {_CLASS: "a class's letter", _PICTURE: "a picture's map", _PAINTED: "a painted pattern"}
_KINDS = {galleries.PREDICTED: "map of the answer", galleries.OWN: "map of the truth"}
_ANSWERS = {"all": "all", "right": "✓ right", "wrong": "✗ wrong"}
_FOUND, _LETTERS = 48, 8


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    left, right = st.columns([2, 5], gap="large")
    with left:
        kind = controls.segmented("Search among", "kind", list(_KINDS), names=_KINDS.__getitem__)
        pattern, text, told = _pattern(selection, kind)
        painter(
            text,
            selection.run.map_shape,
            signed=selection.run.signed,
            colours=selection.colours,
            key="painter",
            on_paint=lambda text: state.write({"from": _PAINTED, "paint": text}),
        )
        st.caption(told)
    with right:
        if pattern.any():
            _results(selection, pattern, kind)
        else:
            st.info(
                "The pattern is empty. Paint a few cells at the left, or start from a class's letter or from the map "
                "of a picture.",
                icon=":material/brush:",
            )


def _pattern(selection: Selection, kind: str) -> tuple[np.ndarray, str, str]:
    """The pattern (H, W) that is searched for, its text in the painter, and where it comes from."""
    painted = _painted(selection)
    default = _PAINTED if painted is not None else _PICTURE if selection.image is not None else _CLASS
    start = _start(selection, default)
    if start != _PAINTED:
        pattern, told = _recorded(selection, kind, start)
        return pattern, pattern_text(pattern, signed=selection.run.signed), told
    told = "As painted; part of the link."
    if painted is None:
        nothing = np.zeros(selection.run.map_shape, np.float32)
        return nothing, pattern_text(nothing, signed=selection.run.signed), told
    # As it stands in the link: `pattern_text` would stretch it to the whole scale under the hand that paints it.
    return painted, state.raw("paint") or "", told


def _recorded(selection: Selection, kind: str, start: str) -> tuple[np.ndarray, str]:
    """The map or letter (H, W) to start from, and where it comes from."""
    run = selection.run
    if start == _PICTURE:
        image = selection.image if selection.image is not None else 0
        controls.number("Picture", "image", 0, len(run.labels) - 1, image)
        read = data.own_maps if kind == galleries.OWN else data.predicted_maps
        whose = _KINDS[kind]
        told = f"The {whose} of picture {count(image)}. Paint on it to change it."
        return read(run, selection.epoch, selection.variant, (image,))[0], told
    number = selection.class_index if selection.class_index is not None else 0
    identifiers, names = data.class_ids(run), data.class_names(run)
    controls.select("Class", "class", identifiers, default=identifiers[0], names=data.class_labels(run).__getitem__)
    told = f"The letter of {plain(names[number])}: the mean map of its pictures. Paint on it to change it."
    return data.patterns(run, selection.epoch, selection.variant)[number], told


def _start(selection: Selection, default: str) -> str:
    """Where the pattern comes from; a link that names no start gets the one that it has something for."""
    options = [default, *(name for name in _STARTS if name != default)]
    return controls.select("Start from", "from", options, default=default, names=_STARTS.__getitem__)


def _painted(selection: Selection) -> np.ndarray | None:
    """The pattern that the link holds; None without one, told where it is not of this run's shape."""
    text = state.raw("paint")
    if text is None:
        return None
    pattern = text_pattern(text, selection.run.map_shape, signed=selection.run.signed)
    if pattern is None:
        height, width = selection.run.map_shape
        state.problem(
            f"The link has a painted pattern “{text[:24]}” that is not {height * width} letters from 0 to f, one for "
            f"each of the {height}×{width} cells of this run; it is left out."
        )
    return pattern


def _results(selection: Selection, pattern: np.ndarray, kind: str) -> None:
    _letters(selection, pattern)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader("Pictures", anchor=False)
        answers = controls.segmented("Answers", "answers", list(_ANSWERS), names=_ANSWERS.__getitem__)
    among = None if answers == "all" else np.flatnonzero(frame["correct"] == (answers == "right"))
    index = data.pattern_index(selection.run, selection.epoch, selection.variant, kind)
    begun = time.perf_counter()
    found = search_index(index, pattern, k=_FOUND, among=among)
    seconds = time.perf_counter() - begun
    if found.empty:
        st.info("No picture has such an answer.", icon=":material/filter_alt_off:")
        return
    searched = len(frame) if among is None else len(among)
    st.caption(f"{_shared(found)} {count(searched)} maps compared in {1000 * seconds:.0f} ms.")
    content = _tiles(selection, frame, found, kind)
    grid_with_sheet(selection, content, title="Most alike maps", key="found", on_open=state.open_picture)


def _letters(selection: Selection, pattern: np.ndarray) -> None:
    """The classes whose letters are most like the pattern."""
    patterns = data.patterns(selection.run, selection.epoch, selection.variant)
    likeness = cosine(patterns, np.broadcast_to(pattern, patterns.shape))
    best = np.argsort(-likeness, kind="stable")[:_LETTERS]
    st.subheader("Letters", anchor=False)
    content = class_tiles(selection, best.tolist(), size=62)
    tiles = tuple(
        replace(
            tile, lines=(f"likeness {likeness[number]:.2f}",), bar=max(0.0, float(likeness[number])), role="neutral"
        )
        for tile, number in zip(content.tiles, best, strict=True)
    )
    tile_grid(replace(content, tiles=tiles), key="letters", on_open=state.open_class)


def _tiles(selection: Selection, frame: pd.DataFrame, found: pd.DataFrame, kind: str) -> TileSet:
    rows = frame.iloc[found["image"].to_numpy()]
    content = galleries.picture_tiles(selection, rows, which=kind, size=78)
    tiles = tuple(
        replace(tile, lines=(f"likeness {likeness:.3f}", *tile.lines[:1]))
        for tile, likeness in zip(content.tiles, found["likeness"], strict=True)
    )
    return replace(content, tiles=tiles)


def _shared(found: pd.DataFrame) -> str:
    """What the pictures found have in common: whose they are, and how many are right."""
    classes = found["truth"].value_counts()
    most = ", ".join(f"{plain(name)} {number}" for name, number in classes.head(4).items())
    rest = f" and {plural(len(classes) - 4, 'more class', 'more classes')}" if len(classes) > 4 else ""
    return f"The {len(found)} most alike, {percent(found['correct'].mean(), 0)} of them right. Truths: {most}{rest}."


main()
