"""Search: paint a pattern, or start from any map, and find the images whose maps are most like it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components import TileSet, painter, pattern_text, text_pattern, tile_grid
from dashboard.shared import image_tiles
from dashboard.shared.class_tiles import class_tiles
from dashboard.shared.theme import count, escape_markdown, percent, plural
from dashboard.shared.tile_sheets import grid_with_sheet
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from store.metrics.maps import cosine
from store.queries import search_index

_PAINTED, _IMAGE, _CLASS = "painted", "image", "class"
_STARTS = {_CLASS: "a class's letter", _IMAGE: "an image's map", _PAINTED: "a painted pattern"}
_KINDS = {image_tiles.PREDICTED: "map of the prediction", image_tiles.OWN: "map of the true class"}
_ANSWERS = {"all": "all", "correct": "✓ correct", "wrong": "✗ wrong"}
_FOUND, _LETTERS = 48, 8


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    left, right = st.columns([2, 5], gap="large")
    with left:
        kind = controls.segmented("Search among", "kind", list(_KINDS), names=_KINDS.__getitem__)
        pattern, text, reported = _pattern(selection, kind)
        painter(
            text,
            selection.run.map_shape,
            signed=selection.run.signed,
            colours=selection.colours,
            key="painter",
            on_paint=lambda text: url_state.write({"from": _PAINTED, "paint": text}),
        )
        st.caption(reported)
    with right:
        if pattern.any():
            _results(selection, pattern, kind)
        else:
            st.info(
                "The pattern is empty. Paint a few cells at the left, or start from a class's letter or from the map "
                "of an image.",
                icon=":material/brush:",
            )


def _pattern(selection: Selection, kind: str) -> tuple[np.ndarray, str, str]:
    """The pattern (H, W) that is searched for, its text in the painter, and where it comes from."""
    painted = _painted(selection)
    default = _PAINTED if painted is not None else _IMAGE if selection.image is not None else _CLASS
    start = _start(selection, default)
    if start != _PAINTED:
        pattern, reported = _recorded(selection, kind, start)
        return pattern, pattern_text(pattern, signed=selection.run.signed), reported
    reported = "As painted; part of the link."
    if painted is None:
        nothing = np.zeros(selection.run.map_shape, np.float32)
        return nothing, pattern_text(nothing, signed=selection.run.signed), reported
    # As it stands in the link: `pattern_text` would stretch it to the whole scale under the hand that paints it.
    return painted, url_state.parameter("paint") or "", reported


def _recorded(selection: Selection, kind: str, start: str) -> tuple[np.ndarray, str]:
    """The map or letter (H, W) to start from, and where it comes from."""
    run = selection.run
    if start == _IMAGE:
        image = selection.image if selection.image is not None else 0
        controls.number_input("Image", "image", 0, len(run.labels) - 1, image)
        read = data.true_class_maps if kind == image_tiles.OWN else data.predicted_class_maps
        whose = _KINDS[kind]
        reported = f"The {whose} of image {count(image)}. Paint on it to change it."
        return read(run, selection.epoch, selection.variant, (image,))[0], reported
    number = selection.class_index if selection.class_index is not None else 0
    identifiers, names = data.class_ids(run), data.class_names(run)
    controls.select("Class", "class", identifiers, default=identifiers[0], names=data.class_labels(run).__getitem__)
    reported = f"The letter of {escape_markdown(names[number])}: the mean map of its images. Paint on it to change it."
    return data.patterns(run, selection.epoch, selection.variant)[number], reported


def _start(selection: Selection, default: str) -> str:
    """Where the pattern comes from; a link that names no start gets the one that it has something for."""
    options = [default, *(name for name in _STARTS if name != default)]
    return controls.select("Start from", "from", options, default=default, names=_STARTS.__getitem__)


def _painted(selection: Selection) -> np.ndarray | None:
    """The pattern that the link holds; None without one, told where it is not of this run's shape."""
    text = url_state.parameter("paint")
    if text is None:
        return None
    pattern = text_pattern(text, selection.run.map_shape, signed=selection.run.signed)
    if pattern is None:
        height, width = selection.run.map_shape
        url_state.report_problem(
            f"The link has a painted pattern “{text[:24]}” that is not {height * width} letters from 0 to f, one for "
            f"each of the {height}×{width} cells of this run; it is left out."
        )
    return pattern


def _results(selection: Selection, pattern: np.ndarray, kind: str) -> None:
    _letters(selection, pattern)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader("Images", anchor=False)
        predictions = controls.segmented("Answers", "predictions", list(_ANSWERS), names=_ANSWERS.__getitem__)
    among = None if predictions == "all" else np.flatnonzero(frame["correct"] == (predictions == "correct"))
    index = data.pattern_index(selection.run, selection.epoch, selection.variant, kind)
    begun = time.perf_counter()
    found = search_index(index, pattern, k=_FOUND, among=among)
    seconds = time.perf_counter() - begun
    if found.empty:
        st.info("No image has such a prediction.", icon=":material/filter_alt_off:")
        return
    searched = len(frame) if among is None else len(among)
    st.caption(f"{_shared(found)} {count(searched)} maps compared in {1000 * seconds:.0f} ms.")
    content = _tiles(selection, frame, found, kind)
    grid_with_sheet(selection, content, title="Most alike maps", key="found", on_open=url_state.open_image)


def _letters(selection: Selection, pattern: np.ndarray) -> None:
    """The classes whose letters are most like the pattern."""
    patterns = data.patterns(selection.run, selection.epoch, selection.variant)
    similarity = cosine(patterns, np.broadcast_to(pattern, patterns.shape))
    best = np.argsort(-similarity, kind="stable")[:_LETTERS]
    st.subheader("Letters", anchor=False)
    content = class_tiles(selection, best.tolist(), size=62)
    tiles = tuple(
        replace(
            tile,
            lines=(f"similarity {similarity[number]:.2f}",),
            bar=max(0.0, float(similarity[number])),
            role="neutral",
        )
        for tile, number in zip(content.tiles, best, strict=True)
    )
    tile_grid(replace(content, tiles=tiles), key="letters", on_open=url_state.open_class)


def _tiles(selection: Selection, frame: pd.DataFrame, found: pd.DataFrame, kind: str) -> TileSet:
    rows = frame.iloc[found["image"].to_numpy()]
    content = image_tiles.image_tiles(selection, rows, which=kind, size=78)
    tiles = tuple(
        replace(tile, lines=(f"similarity {similarity:.3f}", *tile.lines[:1]))
        for tile, similarity in zip(content.tiles, found["similarity"], strict=True)
    )
    return replace(content, tiles=tiles)


def _shared(found: pd.DataFrame) -> str:
    """What the images found have in common: whose they are, and how many are right."""
    classes = found["true_class"].value_counts()
    most = ", ".join(f"{escape_markdown(name)} {number}" for name, number in classes.head(4).items())
    rest = f" and {plural(len(classes) - 4, 'more class', 'more classes')}" if len(classes) > 4 else ""
    return f"The {len(found)} most alike, {percent(found['correct'].mean(), 0)} of them right. Truths: {most}{rest}."


main()
