"""The wall of class patterns that plays over the epochs: all epochs travel once, the browser draws them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.components.assets import identity, on_trigger, register, to_base64, to_json
from dashboard.components.tiles import Tile
from dashboard.images.maps import ScaledMaps, colour_map, map_colours

_WALL = register("wall")


@dataclass(frozen=True)
class Wall:
    """What a wall shows.

    Attributes:
        tiles: one per class as displayed; the first of `maps` is the class's row in the patterns, and `role` is the
            heading under which the tile stands.
        patterns: display codes (E, C, H, W) of all epochs.
        accuracy: (E, C) fraction correct, drawn as a bar under each pattern.
        epochs: (E,) their numbers.
        names: (E,) what people call them.
        start: position of the epoch shown first.
        colours: name of the colour map.
        size: edge of a pattern in CSS pixels, at least.
    """

    tiles: tuple[Tile, ...]
    patterns: ScaledMaps
    accuracy: np.ndarray
    epochs: tuple[int, ...]
    names: tuple[str, ...]
    start: int
    colours: str = "magma"
    size: int = 64


def payload(wall: Wall) -> dict[str, Any]:
    """What travels to the browser for a wall; JSON-able."""
    codes = wall.patterns.codes
    data: dict[str, Any] = {
        "tiles": [vars(tile) for tile in wall.tiles],
        "codes": to_base64(codes),
        "classes": codes.shape[1],
        "height": codes.shape[2],
        "width": codes.shape[3],
        "accuracy": to_base64(np.nan_to_num(np.asarray(wall.accuracy)).astype("<f4")),
        "epochs": [int(epoch) for epoch in wall.epochs],
        "names": list(wall.names),
        "start": int(wall.start),
        "size": wall.size,
        "table": to_base64(colour_map(map_colours(wall.patterns, wall.colours))),
        "legend": wall.patterns.legend(),
    }
    return data | {"identity": identity(data)}


def playing_wall(
    wall: Wall,
    *,
    key: str,
    on_open: Callable[[str], None] | None = None,
    on_epoch: Callable[[int], None] | None = None,
) -> None:
    """Draw a wall.

    Args:
        wall: patterns of all epochs and their captions.
        key: of the element.
        on_open: called with a tile's id when it is clicked.
        on_epoch: called with the epoch shown when the reader chooses it for every page.
    """
    _WALL(
        key=key,
        data=to_json(payload(wall)),
        on_open_change=on_trigger(key, "open", on_open),
        on_epoch_change=on_trigger(key, "epoch", on_epoch),
    )
