"""Pictures with their maps and answers as tiles: the same caption, colours and links on every page."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, state
from dashboard.components import Tile, TileSet, tile_grid
from dashboard.images import scale_maps
from dashboard.sheets import sheet_button
from dashboard.state import Selection
from dashboard.theme import probability, role, verdict

OWN, PREDICTED, BOTH, NONE = "own", "predicted", "both", "none"
MAP_CHOICES = {
    PREDICTED: "map of the answer",
    OWN: "map of the truth",
    BOTH: "both maps",
    NONE: "pictures only",
}


class Answer(NamedTuple):
    """What a caption says of a picture: these columns of the predictions."""

    image: int
    truth: str
    predicted: str
    correct: bool
    confidence: float
    truth_probability: float
    truth_rank: int


def answers(rows: pd.DataFrame) -> list[Answer]:
    """The rows of the predictions as plain values: pandas takes milliseconds to go through rows of forty columns."""
    return [Answer(*values) for values in zip(*(rows[name].tolist() for name in Answer._fields), strict=True)]


def caption(row: Answer | pd.Series) -> tuple[str, tuple[str, ...]]:
    """Title and lines under a picture: the answer with ✓ or ✗, its probability, and the truth where it differs."""
    title = f"{verdict(row.correct)} {row.predicted}"
    if row.correct:
        return title, (f"P {probability(row.confidence)}",)
    return title, (
        f"P {probability(row.confidence)} · truth {row.truth}",
        f"P(truth) {probability(row.truth_probability)}, rank {row.truth_rank}",
    )


def picture_maps(selection: Selection, rows: pd.DataFrame, which: str) -> np.ndarray:
    """The maps to show beside the pictures, (n, k, H, W) float32: the answer's, the truth's, or both in this order."""
    images = tuple(int(image) for image in rows["image"])
    key = (selection.run, selection.epoch, selection.variant, images)
    parts = [data.predicted_maps(*key)] if which in (PREDICTED, BOTH) else []
    parts += [data.own_maps(*key)] if which in (OWN, BOTH) else []
    return np.stack(parts, axis=1) if parts else np.zeros((len(images), 0, *selection.run.map_shape), np.float32)


def picture_tiles(
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
        size: edge of a picture in CSS pixels.
        overlay: None offers no overlay; otherwise whether maps start over the pictures.
    """
    run = selection.run
    images = tuple(int(image) for image in rows["image"])
    maps = picture_maps(selection, rows, which)
    each = maps.shape[1]
    flat = maps.reshape(-1, *maps.shape[2:])
    address = state.linker("picture", "image")
    tiles = []
    for number, row in enumerate(answers(rows)):
        title, lines = caption(row)
        tiles.append(
            Tile(
                id=str(row.image),
                title=title,
                lines=lines,
                pictures=(number,),
                maps=tuple(range(number * each, (number + 1) * each)),
                role=role(row.correct),
                href=address(row.image),
                chosen=selection.image == row.image,
            )
        )
    return TileSet(
        tiles=tuple(tiles),
        pictures=data.picture_atlas(run, images, (selection.variant,)) if images else None,
        maps=scale_maps(flat, kind=selection.scale, signed=run.signed) if each else None,
        peaks=np.abs(flat).max((-1, -2), initial=0) if each else None,
        colours=selection.colours,
        size=size,
        overlay=None if overlay is None or not each else overlay or data.place_verdict(run) == "place",
    )


def picture_grid(
    selection: Selection,
    rows: pd.DataFrame,
    *,
    key: str,
    which: str = PREDICTED,
    size: int = 92,
    overlay: bool | None = False,
    title: str = "",
) -> None:
    """Draw some rows of the predictions as a grid; each tile leads to its Picture page.

    Args:
        selection: run, epoch, variant and scale.
        rows: of `data.predictions`, in the order of display.
        key: of the element.
        which: a key of `MAP_CHOICES`.
        size: edge of a picture in CSS pixels.
        overlay: None offers no overlay; otherwise whether maps start over the pictures.
        title: of the sheet that can be downloaded; none is offered without one.
    """
    if rows.empty:
        st.info("No picture fits. Widen the filters.", icon=":material/filter_alt_off:")
        return
    content = picture_tiles(selection, rows, which=which, size=size, overlay=overlay)
    tile_grid(content, key=key, on_open=state.open_picture)
    if title:
        sheet_button(selection, content, title=title, key=key)
