"""Images with their maps and predictions as tiles: the same caption, colours and links on every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.images.maps import scale_maps
from dashboard.shared.theme import probability, role, tick_or_cross
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection

OWN, PREDICTED, BOTH, NONE = "true_class", "predicted_class", "both", "none"
MAP_CHOICES = {
    PREDICTED: "map of the prediction",
    OWN: "map of the true class",
    BOTH: "both maps",
    NONE: "images only",
}
CORRECTNESS = {"all": "all", "correct": "✓ correct", "wrong": "✗ wrong"}


class Prediction(NamedTuple):
    """What a caption says about an image: these columns of the predictions."""

    image: int
    true_class: str
    predicted_class: str
    correct: bool
    confidence: float
    label_probability: float
    label_rank: int


def predictions(rows: pd.DataFrame) -> list[Prediction]:
    """The rows of the predictions as plain values: pandas takes milliseconds to go through rows of forty columns."""
    return [Prediction(*values) for values in zip(*(rows[name].tolist() for name in Prediction._fields), strict=True)]


def caption(row: Prediction | pd.Series) -> tuple[str, tuple[str, ...]]:
    """Title and lines under an image: ✓ or ✗ with the prediction, its probability, the true class if it differs."""
    title = f"{tick_or_cross(row.correct)} {row.predicted_class}"
    if row.correct:
        return title, (f"P {probability(row.confidence)}",)
    return title, (
        f"P {probability(row.confidence)} · true class {row.true_class}",
        f"P(true class) {probability(row.label_probability)}, rank {row.label_rank}",
    )


def image_maps(selection: Selection, rows: pd.DataFrame, which: str) -> np.ndarray:
    """The maps beside the images, (n, k, H, W) float32: of the prediction, of the true class, or both in this order."""
    images = tuple(int(image) for image in rows["image"])
    key = (*selection.key, images)
    parts = [data.predicted_class_maps(*key)] if which in (PREDICTED, BOTH) else []
    parts += [data.true_class_maps(*key)] if which in (OWN, BOTH) else []
    return np.stack(parts, axis=1) if parts else np.zeros((len(images), 0, *selection.run.map_shape), np.float32)


def tile_set(selection: Selection, tiles: Sequence[Tile], maps: np.ndarray, **options: Any) -> TileSet:
    """Tiles with their maps (..., H, W) on the chosen scale and in the chosen colours; options as of `TileSet`.

    In a run without maps the tiles keep their images and captions only.
    """
    if not selection.run.has_maps:
        plain = tuple(replace(tile, maps=()) for tile in tiles)
        return TileSet(tiles=plain, colours=selection.colours, **(options | {"overlay": None}))
    flat = maps.reshape(-1, *maps.shape[-2:])
    scaled = scale_maps(flat, kind=selection.scale, signed=selection.run.signed)
    return TileSet(tiles=tuple(tiles), maps=scaled, colours=selection.colours, **options)


def image_tiles(
    selection: Selection,
    rows: pd.DataFrame,
    *,
    which: str = PREDICTED,
    size: int = 92,
    overlay: bool = True,
) -> TileSet:
    """Tiles for some rows of the predictions.

    Args:
        selection: run, epoch, variant and scale.
        rows: of `data.predictions`, in the order of display.
        which: a key of `MAP_CHOICES`.
        size: edge of an image in CSS pixels.
        overlay: offer to lay the maps over the images; they start there where they were found to locate the object.
    """
    run = selection.run
    images = tuple(int(image) for image in rows["image"])
    maps = image_maps(selection, rows, which)
    each = maps.shape[1]
    address = url_state.linker("image", "image")
    tiles = []
    for number, row in enumerate(predictions(rows)):
        title, lines = caption(row)
        tiles.append(
            Tile(
                id=str(row.image),
                title=title,
                lines=lines,
                images=(number,),
                maps=tuple(range(number * each, (number + 1) * each)),
                role=role(row.correct),
                href=address(row.image),
                chosen=selection.image == row.image,
            )
        )
    content = tile_set(
        selection,
        tiles,
        maps,
        # All images travel as one file, which the browser decodes once.
        images=data.image_atlas(run, images, (selection.variant,)) if images else None,
        size=size,
        overlay=data.localisation(run) == "locates" if overlay and each else None,
    )
    return content if each else replace(content, maps=None)


def choose_maps(selection: Selection, choices: Sequence[str]) -> str:
    """Which maps the tiles show beside the images: a key of `MAP_CHOICES`, one of the choices or none."""
    if not selection.run.has_maps:
        return NONE
    return controls.segmented("Maps", "maps", {name: MAP_CHOICES[name] for name in (*choices, NONE)})


def no_images() -> None:
    """Say that the filters leave no image."""
    st.info("No images match. Widen the filters.", icon=":material/filter_alt_off:")


def choose_correctness(resets: Sequence[str] = ()) -> str:
    """Whether all images are wanted, or those with correct or with wrong predictions: 'all', 'correct' or 'wrong'."""
    return controls.segmented("Predictions", "predictions", CORRECTNESS, resets=resets)


def with_correctness(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """The rows of the predictions that a choice of `choose_correctness` leaves."""
    return rows if chosen == "all" else rows[rows["correct"] == (chosen == "correct")]
