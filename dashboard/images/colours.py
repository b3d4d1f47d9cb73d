"""Colour maps as 256-entry tables, read from `colourmaps.png` (one row each, so they can be looked at)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

# Rows of colourmaps.png: magma (van der Walt and Smith 2015), cividis (Nunez, Anderton and Renslow 2018), gray,
# berlin (Crameri 2018), the diverging one: dark at zero, as the others are dark at their lowest value; and RdBu
# reversed (Brewer 2003), light at zero, for tables on a light page.
_ROWS = ("magma", "cividis", "gray", "berlin", "RdBu")
COLOUR_MAPS: tuple[str, ...] = ("magma", "cividis", "gray")
DIVERGING = "berlin"
DIVERGING_LIGHT = "RdBu"


@cache
def colour_map(name: str) -> np.ndarray:
    """The table of a perceptually uniform colour map.

    Args:
        name: one of `COLOUR_MAPS`, or `DIVERGING` for signed values.

    Returns:
        (256, 3) uint8, read-only; entry 0 is the lowest value (for `DIVERGING`, 128 is zero).

    Raises:
        ValueError: the name is not a colour map.
    """
    if name not in _ROWS:
        raise ValueError(f"Colour map {name!r} was asked for; there are {', '.join(_ROWS)}.")
    with Image.open(Path(__file__).with_name("colourmaps.png")) as image:
        table = np.array(image.convert("RGB"), np.uint8)[_ROWS.index(name)]
    table.flags.writeable = False
    return table


def colour_bar(name: str, *, width: int = 256, height: int = 12) -> np.ndarray:
    """A horizontal bar from lowest to highest value, (height, width, 3) uint8."""
    positions = np.linspace(0, 255, width).round().astype(np.intp)
    return np.broadcast_to(colour_map(name)[positions], (height, width, 3)).copy()
