"""A grid to paint a pattern on, with pointer, finger or keys; what is painted travels as text that fits into a link.

A cell is one letter: 0 to f, sixteen levels. In a signed run 8 is zero and lower letters are negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dashboard.components.assets import identity, on_trigger, register, to_base64, to_json
from dashboard.images.maps import DIVERGING, colour_map

_PAINTER = register("painter")
# A hexadecimal digit a cell: a pattern of 8x8 cells takes 64 characters of a link.
_LETTERS = "0123456789abcdef"
_TOP, _ZERO = 15, 8


def pattern_text(pattern: np.ndarray, *, signed: bool) -> str:
    """A pattern (H, W) as a letter per cell in reading order, the largest magnitude at the end of the scale."""
    strength = float(np.abs(pattern).max(initial=0.0)) or 1.0
    share = np.asarray(pattern, np.float64).ravel() / strength
    levels = np.round(_ZERO + share * (_TOP - _ZERO)) if signed else np.round(np.maximum(share, 0) * _TOP)
    return "".join(_LETTERS[int(level)] for level in levels)


def text_pattern(text: str, shape: tuple[int, int], *, signed: bool) -> np.ndarray | None:
    """The pattern (H, W) float32 in -1..1 of a text from `pattern_text`; None where it is no text of this shape."""
    if len(text) != shape[0] * shape[1] or any(letter not in _LETTERS for letter in text):
        return None
    levels = np.array([_LETTERS.index(letter) for letter in text], np.float32).reshape(shape)
    return (levels - _ZERO) / (_TOP - _ZERO) if signed else levels / _TOP


def payload(text: str, shape: tuple[int, int], *, signed: bool, colours: str) -> dict[str, Any]:
    """What travels to the browser for a painter; JSON-able."""
    data = {
        "text": text,
        "height": shape[0],
        "width": shape[1],
        "signed": signed,
        "table": to_base64(colour_map(DIVERGING if signed else colours)),
    }
    return data | {"identity": identity(data)}


def painter(
    text: str, shape: tuple[int, int], *, signed: bool, colours: str, key: str, on_paint: Callable[[str], None]
) -> None:
    """Draw a grid that can be painted.

    Args:
        text: what is painted, see `pattern_text`; empty for nothing.
        shape: cells (H, W).
        signed: cells may be negative.
        colours: name of the colour map; signed patterns always use the diverging one.
        key: of the element.
        on_paint: called with the new text at the end of each stroke, before the page runs again.
    """
    content = payload(text, shape, signed=signed, colours=colours)
    _PAINTER(key=key, data=to_json(content), on_pattern_change=on_trigger(key, "pattern", on_paint))
