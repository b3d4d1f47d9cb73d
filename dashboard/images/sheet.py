"""A gallery as one PNG sheet with captions and colour bar, to be kept or printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dashboard.images.atlas import png_bytes
from dashboard.images.colours import colour_bar

_PADDING = 12
_LINE = 16
_INK = (24, 27, 32)
_FAINT = (104, 112, 122)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font with ✓, ✗ and accents where the system has one; Pillow's own has Latin letters only."""
    for name in ("DejaVuSans.ttf", "Arial Unicode.ttf", "seguisym.ttf"):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


@dataclass(frozen=True)
class SheetTile:
    """One tile: images side by side, and lines of text under them.

    Attributes:
        images: each (h, w, 3) uint8; all are enlarged to the sheet's tile size.
        lines: the caption; the first line is set darker.
        colour: of the rule under the images (right, wrong, ...), RGB.
    """

    images: tuple[np.ndarray, ...]
    lines: tuple[str, ...] = field(default=())
    colour: tuple[int, int, int] | None = None


def sheet(
    tiles: Sequence[SheetTile],
    *,
    title: str,
    size: int = 128,
    columns: int = 5,
    legends: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A captioned sheet as PNG bytes.

    Args:
        tiles: in reading order.
        title: set above the tiles: what is shown, of which run, epoch and variant.
        size: edge of one image in pixels.
        columns: tiles to a row.
        legends: (name of the colour map, what its colours mean) each, drawn as colour bars at the foot.

    Raises:
        ValueError: there is no tile.
    """
    if not tiles:
        raise ValueError("A sheet of 0 tiles was asked for; it needs at least one.")
    parts = max(len(tile.images) for tile in tiles)
    lines = max(len(tile.lines) for tile in tiles)
    tile_width, tile_height = parts * size + (parts - 1) * 4, size + 8 + lines * _LINE
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    width = columns * (tile_width + _PADDING) + _PADDING
    height = 44 + rows * (tile_height + _PADDING) + (14 + 20 * len(legends) if legends else 0)
    canvas = Image.new("RGB", (max(width, 420), height), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((_PADDING, 12), title, fill=_INK, font=_font(15))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        corner = (_PADDING + column * (tile_width + _PADDING), 44 + row * (tile_height + _PADDING))
        _draw_tile(canvas, draw, tile, corner, size, tile_width)
    for number, (colours, meaning) in enumerate(legends):
        top = height - 6 - 20 * (len(legends) - number)
        canvas.paste(Image.fromarray(colour_bar(colours, width=160)), (_PADDING, top))
        draw.text((_PADDING + 170, top - 2), meaning, fill=_FAINT, font=_font(11))
    return png_bytes(np.asarray(canvas))


def _draw_tile(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    tile: SheetTile,
    corner: tuple[int, int],
    size: int,
    width: int,
) -> None:
    left, top = corner
    for part, image in enumerate(tile.images):
        enlarged = Image.fromarray(image).resize((size, size), Image.Resampling.NEAREST)
        canvas.paste(enlarged, (left + part * (size + 4), top))
    if tile.colour:
        draw.rectangle((left, top + size + 2, left + width - 1, top + size + 4), fill=tile.colour)
    for line, text in enumerate(tile.lines):
        font = _font(11)
        while text and draw.textlength(text, font=font) > width:
            text = text[:-2].rstrip(" …") + "…" if len(text) > 2 else ""
        draw.text((left, top + size + 7 + line * _LINE), text, fill=_FAINT if line else _INK, font=font)
