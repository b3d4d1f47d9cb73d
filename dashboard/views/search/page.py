"""Search: paint a pattern, or start from any map, and find the images with the most similar maps."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.painter import painter, pattern_text, text_pattern
from dashboard.components.tiles import TileSet, tile_grid
from dashboard.shared import image_tiles, quick_look
from dashboard.shared.class_tiles import choose_class, class_tiles
from dashboard.shared.theme import NEUTRAL, count, escape_markdown, plural
from dashboard.shared.tile_sheets import sheet_button
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store.metrics.maps import cosine
from store.queries import search_index
from store.rates import rate

_PAINTED, _IMAGE, _CLASS = "painted", "image", "class"
_STARTS = {_CLASS: "a class pattern", _IMAGE: "an image's map", _PAINTED: "a painted pattern"}
_KINDS = {image_tiles.PREDICTED: "map of the prediction", image_tiles.OWN: "map of the true class"}
_MOST_IMAGES, _MOST_CLASSES = 48, 8


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    left, right = st.columns([1, 2], gap="large")
    with left:
        which = controls.segmented("Search in", "maps", _KINDS)
        pattern, text, description = _pattern(selection, which)
        painter(
            text,
            selection.run.map_shape,
            signed=selection.run.signed,
            colours=selection.colours,
            key="painter",
            on_paint=lambda text: url_state.write({"from": _PAINTED, "paint": text}),
        )
        st.caption(description)
    with right:
        if data.is_degenerate(*selection.key):
            st.caption("Maps are not compared in this state: see above.")
        elif pattern.any():
            _similar_classes(selection, pattern)
            _similar_images(selection, pattern, which)
        else:
            st.info(
                "The pattern is empty. Paint a few cells on the left, or start from a class pattern or from the map of "
                "an image.",
                icon=":material/brush:",
            )


def _pattern(selection: Selection, which: str) -> tuple[np.ndarray, str, str]:
    """The pattern (H, W) to search for, its text in the painter, and a description of where it comes from."""
    painted = _painted_pattern(selection)
    # A link that contains a pattern or an image means it, also without `from`.
    default = _PAINTED if painted is not None else _IMAGE if selection.image is not None else _CLASS
    start = controls.select("Start from", "from", {default: _STARTS[default]} | _STARTS, default=default)
    if start != _PAINTED:
        pattern, description = _recorded_pattern(selection, which, start)
        return pattern, pattern_text(pattern, signed=selection.run.signed), description
    description = "Painted by you; the address of this page contains it."
    if painted is None:
        empty = np.zeros(selection.run.map_shape, np.float32)
        return empty, pattern_text(empty, signed=selection.run.signed), description
    # The text of the link, unchanged: `pattern_text` would stretch the pattern to the full scale while it is painted.
    return painted, url_state.parameter("paint") or "", description


def _recorded_pattern(selection: Selection, which: str, start: str) -> tuple[np.ndarray, str]:
    """The map or class pattern (H, W) to start from, and a description of it."""
    run = selection.run
    if start == _IMAGE:
        image = selection.image if selection.image is not None else 0
        controls.number_input("Image", "image", 0, len(run.labels) - 1, image)
        read = data.true_class_maps if which == image_tiles.OWN else data.predicted_class_maps
        pattern = read(*selection.key, (image,))[0]
        return pattern, f"The {_KINDS[which]} of image {count(image)}. Paint on it to change it."
    number = choose_class(selection)
    name = escape_markdown(data.class_names(run)[number])
    pattern = data.patterns(*selection.key)[number]
    return pattern, f"The class pattern of {name}: the mean map of its images. Paint on it to change it."


def _painted_pattern(selection: Selection) -> np.ndarray | None:
    """The pattern in the link; None if there is none, or one that does not fit the run's maps, which is reported."""
    text = url_state.parameter("paint")
    if text is None:
        return None
    pattern = text_pattern(text, selection.run.map_shape, signed=selection.run.signed)
    if pattern is None:
        height, width = selection.run.map_shape
        url_state.report_problem(
            f"The link contains the painted pattern “{text[:24]}”. A pattern of this run has {height * width} "
            f"characters from 0 to f, one for each of its {height}×{width} cells. The pattern was ignored."
        )
    return pattern


def _similar_classes(selection: Selection, pattern: np.ndarray) -> None:
    """The classes whose patterns are most similar to the pattern."""
    patterns = data.patterns(*selection.key)
    similarity = cosine(patterns, np.broadcast_to(pattern, patterns.shape))
    best = np.argsort(-similarity, kind="stable")[:_MOST_CLASSES]
    st.subheader("Most similar class patterns", anchor=False)
    content = class_tiles(selection, best.tolist(), size=62)
    tiles = tuple(
        replace(
            tile, lines=(f"similarity {similarity[number]:.2f}",), bar=max(0.0, float(similarity[number])), role=NEUTRAL
        )
        for tile, number in zip(content.tiles, best, strict=True)
    )
    tile_grid(replace(content, tiles=tiles), key="similar-classes", on_open=url_state.open_class)


def _similar_images(selection: Selection, pattern: np.ndarray, which: str) -> None:
    """The images whose maps are most similar to the pattern."""
    frame = data.predictions(*selection.key)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader("Images with the most similar maps", anchor=False)
        searched = image_tiles.with_correctness(frame, image_tiles.choose_correctness())
    # The index holds unit vectors of all maps, so a search is one matrix product.
    index = data.pattern_index(*selection.key, which)
    start = time.perf_counter()
    among = None if len(searched) == len(frame) else searched["image"].to_numpy()
    found = search_index(index, pattern, k=_MOST_IMAGES, among=among)
    seconds = time.perf_counter() - start
    if found.empty:
        image_tiles.no_images()
        return
    st.caption(f"{_summary(found)} {count(len(searched))} maps compared in {1000 * seconds:.0f} ms.")
    content = _tiles(selection, frame, found, which)
    quick_look.image_set(content, key="found")
    sheet_button(selection, content, title="Most similar maps", key="found")


def _tiles(selection: Selection, frame: pd.DataFrame, found: pd.DataFrame, which: str) -> TileSet:
    rows = frame.iloc[found["image"].to_numpy()]
    content = image_tiles.image_tiles(selection, rows, which=which, size=78)
    pairs = zip(content.tiles, found["similarity"], strict=True)
    return content.with_lines((f"similarity {similarity:.3f}", *tile.lines[:1]) for tile, similarity in pairs)


def _summary(found: pd.DataFrame) -> str:
    """What the images found have in common: how many are predicted correctly, and their true classes."""
    classes = found["true_class"].value_counts()
    most = ", ".join(f"{escape_markdown(name)} {number}" for name, number in classes.head(4).items())
    rest = f" and {plural(len(classes) - 4, 'more class', 'more classes')}" if len(classes) > 4 else ""
    correct = rate(found["correct"].mean(), len(found))
    return f"The {len(found)} most similar; {correct} are predicted correctly. True classes: {most}{rest}."


main()
