"""Classes by their mean pattern, as tiles that lead to the class's gallery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.components import Tile, TileSet, tile_grid
from dashboard.images import scale_maps
from dashboard.shared.theme import RIGHT, percent, plural
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection


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
    address = url_state.linker("gallery", "class", {"image": None})
    shares = table[captions].to_numpy(float)
    tiles = tuple(
        Tile(
            id=identifiers[number],
            title=names[number],
            lines=(f"{percent(float(shares[number]), 0)} right",),
            maps=(position,),
            href=address(identifiers[number]),
            bar=float(np.nan_to_num(shares[number])),
            role=RIGHT,
        )
        for position, number in enumerate(classes)
    )
    return TileSet(
        tiles=tiles,
        maps=scale_maps(patterns, kind=selection.scale, signed=run.signed),
        colours=selection.colours,
        size=size,
    )


def class_grid(selection: Selection, classes: Sequence[int], *, key: str, size: int = 72) -> None:
    """Draw some classes' patterns; each leads to the class's Gallery page."""
    tile_grid(class_tiles(selection, classes, size=size), key=f"classes-{key}", on_open=url_state.open_class)


def portrait_tiles(selection: Selection, class_index: int, images: Sequence[int], *, size: int) -> TileSet:
    """A class in two maps: the mean of its images' own maps, and how far these spread round it, cell by cell.

    Args:
        selection: run, epoch, variant and scale.
        class_index: the class.
        images: its images.
        size: edge of a map in CSS pixels.
    """
    run, epoch, variant = selection.run, selection.epoch, selection.variant
    mean = data.patterns(run, epoch, variant)[class_index]
    own = data.true_class_maps(run, epoch, variant, tuple(int(image) for image in images))
    spread = own.std(0) if len(own) else np.zeros_like(mean)
    both = np.stack([mean, spread])
    tiles = (
        Tile(id="mean", title="Pattern", lines=(f"mean map, peak {np.abs(mean).max():.1f}",), maps=(0,)),
        Tile(id="spread", title="Spread", lines=(f"sd per cell, peak {spread.max():.1f}",), maps=(1,)),
    )
    return TileSet(
        tiles=tiles,
        maps=scale_maps(both, kind=selection.scale, signed=run.signed),
        colours=selection.colours,
        size=size,
        fixed=True,
    )


def cluster_tiles(selection: Selection, clusters: pd.DataFrame, *, chosen: int | None, size: int = 72) -> TileSet:
    """The looks that the maps of a class's images fall into: each by its most central image and its map.

    Args:
        selection: run, and scale.
        modes: rows of the analysis's table `clusters`, of one class.
        chosen: the mode that is looked at, if any.
        size: edge of an image in CSS pixels.
    """
    run = selection.run
    medoids = tuple(int(image) for image in clusters["medoid"])
    maps = data.true_class_maps(run, run.epochs[-1], run.variants[0], medoids)
    tiles = tuple(
        Tile(
            id=str(int(row.mode)),
            title=f"Look {int(row.mode) + 1}: {plural(int(row.number), 'image')}",
            lines=(
                f"{percent(row.error, 0)} wrong",
                f"{row.lift:.1f}× the class's rate ({row.low:.1f} to {row.high:.1f})"
                if row.lift >= 0
                else "no mistakes",
            ),
            images=(place,),
            maps=(place,),
            opens=True,
            chosen=int(row.mode) == chosen,
        )
        for place, row in enumerate(clusters.rename(columns={"count": "number"}).itertuples(index=False))
    )
    return TileSet(
        tiles=tiles,
        images=data.image_atlas(run, medoids, (run.variants[0],)),
        maps=scale_maps(maps, kind=selection.scale, signed=run.signed),
        colours=selection.colours,
        size=size,
        fixed=True,
    )
