"""Classes by their mean pattern, as tiles that lead to the class's gallery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard import data, state
from dashboard.components import Tile, TileSet, tile_grid
from dashboard.images import scale_maps
from dashboard.state import Selection
from dashboard.theme import percent


def class_tiles(selection: Selection, classes: Sequence[int], *, size: int = 72, captions: str = "accuracy") -> TileSet:
    """Tiles for some classes: mean own map (the class pattern), name, and one number.

    Args:
        selection: run, epoch, variant and scale.
        classes: class numbers in the order of display.
        size: edge of a pattern in CSS pixels.
        captions: a column of the class table; fractions are shown as percentages.
    """
    run = selection.run
    table = data.class_table(run, selection.epoch, selection.variant)
    names, identifiers = data.class_names(run), data.class_ids(run)
    patterns = data.patterns(run, selection.epoch, selection.variant)[list(classes)]
    tiles = tuple(
        Tile(
            id=identifiers[number],
            title=names[number],
            lines=(percent(float(table[captions].iloc[number]), 0),),
            maps=(position,),
            href=state.link("gallery", {"class": identifiers[number], "image": None}),
            bar=float(np.nan_to_num(table[captions].iloc[number])),
            role="truth",
        )
        for position, number in enumerate(classes)
    )
    return TileSet(
        tiles=tiles,
        maps=scale_maps(patterns, kind=selection.scale, signed=run.signed),
        peaks=np.abs(patterns).max((-1, -2), initial=0),
        colours=selection.colours,
        size=size,
    )


def class_grid(selection: Selection, classes: Sequence[int], *, key: str, size: int = 72) -> None:
    """Draw some classes' patterns; each leads to the class's Gallery page."""
    tile_grid(class_tiles(selection, classes, size=size), key=f"classes-{key}", on_open=state.open_class)
