"""Tiles of the Gallery page: a class by its pattern and spread, and the clusters of its maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.shared.image_tiles import tile_set
from dashboard.shared.theme import plural
from dashboard.shell.url_state import Selection
from store.rates import rate


def portrait_tiles(selection: Selection, class_index: int, images: Sequence[int]) -> TileSet:
    """A class in two maps: the mean of its images' own maps, and their standard deviation cell by cell.

    Args:
        selection: run, epoch, variant and scale.
        class_index: the class.
        images: its images.
    """
    run, epoch, variant = selection.run, selection.epoch, selection.variant
    mean = data.patterns(run, epoch, variant)[class_index]
    own = data.true_class_maps(run, epoch, variant, tuple(int(image) for image in images))
    # A class may have no images: `std` would warn and give NaN.
    # In float64: squares of 1e20 and more, of a network that exploded, are infinite in float32.
    spread = own.std(0, dtype=np.float64) if len(own) else np.zeros_like(mean)
    tiles = (
        Tile(id="mean", title="Pattern", lines=(f"mean map, peak {np.abs(mean).max():.1f}",), maps=(0,)),
        Tile(id="spread", title="Spread", lines=(f"sd per cell, peak {spread.max():.1f}",), maps=(1,)),
    )
    return tile_set(selection, tiles, np.stack([mean, spread]), size=84, fixed=True)


def cluster_tiles(selection: Selection, clusters: pd.DataFrame, *, chosen: int | None) -> TileSet:
    """The clusters of a class's maps, each by its most central image and the map of that image.

    Args:
        selection: run and scale.
        clusters: rows of the analysis's table `clusters`, of one class.
        chosen: the number of the chosen cluster, if any.
    """
    run = selection.run
    medoids = tuple(int(image) for image in clusters["medoid"])
    tiles = []
    for place, row in enumerate(clusters.rename(columns={"count": "number"}).itertuples(index=False)):
        known = row.lift >= 0  # NaN in a class without mistakes
        lift = f"{row.lift:.1f}× the class's rate ({row.low:.1f} to {row.high:.1f})" if known else "no mistakes"
        tiles.append(
            Tile(
                id=str(int(row.cluster)),
                title=f"Cluster {int(row.cluster) + 1}: {plural(int(row.number), 'image')}",
                lines=(f"{rate(row.error, int(row.number))} wrong", lift),
                images=(place,),
                maps=(place,),
                opens=True,
                chosen=int(row.cluster) == chosen,
            )
        )
    # The analysis clusters the last epoch's clean maps, whatever epoch the page shows.
    maps = data.true_class_maps(run, run.epochs[-1], run.variants[0], medoids)
    images = data.image_atlas(run, medoids, (run.variants[0],))
    return tile_set(selection, tiles, maps, images=images, size=72, fixed=True)
