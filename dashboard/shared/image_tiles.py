"""Images with their maps and predictions as tiles: the same caption, colours and links on every page."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components import Tile, TileSet, tile_grid
from dashboard.images import scale_maps
from dashboard.shared.theme import probability, role, verdict
from dashboard.shared.tile_sheets import sheet_button
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection

OWN, PREDICTED, BOTH, NONE = "true_class", "predicted_class", "both", "none"
MAP_CHOICES = {
    PREDICTED: "map of the prediction",
    OWN: "map of the true class",
    BOTH: "both maps",
    NONE: "images only",
}


class Answer(NamedTuple):
    """What a caption says of an image: these columns of the predictions."""

    image: int
    true_class: str
    predicted_class: str
    correct: bool
    confidence: float
    label_probability: float
    label_rank: int


def predictions(rows: pd.DataFrame) -> list[Answer]:
    """The rows of the predictions as plain values: pandas takes milliseconds to go through rows of forty columns."""
    return [Answer(*values) for values in zip(*(rows[name].tolist() for name in Answer._fields), strict=True)]


def caption(row: Answer | pd.Series) -> tuple[str, tuple[str, ...]]:
    """Title and lines under an image: the prediction with ✓ or ✗, its probability, and the true class where it differs."""
    title = f"{verdict(row.correct)} {row.predicted_class}"
    if row.correct:
        return title, (f"P {probability(row.confidence)}",)
    return title, (
        f"P {probability(row.confidence)} · true class {row.true_class}",
        f"P(true class) {probability(row.label_probability)}, rank {row.label_rank}",
    )


def image_maps(selection: Selection, rows: pd.DataFrame, which: str) -> np.ndarray:
    """The maps to show beside the images, (n, k, H, W) float32: the prediction's, the true class's, or both in this order."""
    images = tuple(int(image) for image in rows["image"])
    key = (selection.run, selection.epoch, selection.variant, images)
    parts = [data.predicted_class_maps(*key)] if which in (PREDICTED, BOTH) else []
    parts += [data.true_class_maps(*key)] if which in (OWN, BOTH) else []
    return np.stack(parts, axis=1) if parts else np.zeros((len(images), 0, *selection.run.map_shape), np.float32)


def image_tiles(
    selection: Selection,
    rows: pd.DataFrame,
    *,
    which: str = PREDICTED,
    size: int = 92,
    overlay: bool | None = False,
) -> TileSet:
    """Tiles for some rows of the predictions.

    Args:
        selection: run, epoch, variant and scale.
        rows: of `data.predictions`, in the order of display.
        which: a key of `MAP_CHOICES`.
        size: edge of an image in CSS pixels.
        overlay: None offers no overlay; otherwise whether maps start over the images.
    """
    run = selection.run
    images = tuple(int(image) for image in rows["image"])
    maps = image_maps(selection, rows, which)
    each = maps.shape[1]
    flat = maps.reshape(-1, *maps.shape[2:])
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
    return TileSet(
        tiles=tuple(tiles),
        images=data.image_atlas(run, images, (selection.variant,)) if images else None,
        maps=scale_maps(flat, kind=selection.scale, signed=run.signed) if each else None,
        colours=selection.colours,
        size=size,
        overlay=None if overlay is None or not each else overlay or data.localisation_verdict(run) == "place",
    )


def image_grid(
    selection: Selection,
    rows: pd.DataFrame,
    *,
    key: str,
    which: str = PREDICTED,
    size: int = 92,
    overlay: bool | None = False,
    title: str = "",
) -> None:
    """Draw some rows of the predictions as a grid; each tile leads to its Image page.

    Args:
        selection: run, epoch, variant and scale.
        rows: of `data.predictions`, in the order of display.
        key: of the element.
        which: a key of `MAP_CHOICES`.
        size: edge of an image in CSS pixels.
        overlay: None offers no overlay; otherwise whether maps start over the images.
        title: of the sheet that can be downloaded; none is offered without one.
    """
    if rows.empty:
        st.info("No image fits. Widen the filters.", icon=":material/filter_alt_off:")
        return
    content = image_tiles(selection, rows, which=which, size=size, overlay=overlay)
    tile_grid(content, key=key, on_open=url_state.open_image)
    if title:
        sheet_button(selection, content, title=title, key=key)
