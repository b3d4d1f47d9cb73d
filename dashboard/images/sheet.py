"""Several images in one: an atlas for the browser, and a captioned sheet to keep or print. Pure: numpy and Pillow."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dashboard.images.maps import colour_bar

_PADDING = 12
_LINE = 16
_INK = (24, 27, 32)
_FAINT = (104, 112, 122)


@dataclass(frozen=True)
class Atlas:
    """Images laid out row by row, `columns` to a row, each `width` x `height` pixels, as a data URI."""

    uri: str
    columns: int
    width: int
    height: int


def png_bytes(image: np.ndarray) -> bytes:
    """An image (h, w, 3) or (h, w) uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def atlas(images: np.ndarray, *, exact: bool = False) -> Atlas:
    """Images as one image file.

    Args:
        images: (n, h, w, 3) uint8, n >= 1.
        exact: lossless WebP, so that every pixel is what the network saw; otherwise JPEG, about a third of the size
            and a seventh of the time.
    """
    count, height, width, _ = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, 3), np.uint8)
    canvas[:count] = images
    sheet = canvas.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    buffer, kind = io.BytesIO(), "webp" if exact else "jpeg"
    if exact:  # half the time of PNG, and three quarters of its size
        Image.fromarray(sheet).save(buffer, "WEBP", lossless=True, method=0, quality=0)
    else:  # subsampled chroma would halve the colour resolution of small images
        Image.fromarray(sheet).save(buffer, "JPEG", quality=92, subsampling=0)
    return Atlas(f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", columns, width, height)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font with ✓, ✗ and accents where the system has one; Pillow's own has Latin letters only."""
    # Only names that Pillow looks up itself: no font is shipped, none is downloaded.
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
        images: each (h, w, 3) uint8; all are enlarged to the size of the sheet's first.
        lines: the caption; the first line is set darker.
        colour: of the rule under the images, RGB.
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
        size: longer edge of one image in pixels; the first tile's first image gives the shape of all.
        columns: tiles to a row.
        legends: (name of the colour map, what its colours mean) each, drawn as colour bars at the foot.

    Raises:
        ValueError: there is no tile.
    """
    if not tiles:
        raise ValueError("A sheet needs at least one tile.")
    parts = max(len(tile.images) for tile in tiles)
    lines = max(len(tile.lines) for tile in tiles)
    edges = _edges(next((image for tile in tiles for image in tile.images), None), size)
    tile_width, tile_height = parts * edges[0] + (parts - 1) * 4, edges[1] + 8 + lines * _LINE
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    width = columns * (tile_width + _PADDING) + _PADDING
    height = 44 + rows * (tile_height + _PADDING) + (14 + 20 * len(legends) if legends else 0)
    canvas = Image.new("RGB", (max(width, 420), height), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((_PADDING, 12), " ".join(title.split()), fill=_INK, font=_font(15))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        corner = (_PADDING + column * (tile_width + _PADDING), 44 + row * (tile_height + _PADDING))
        _draw_tile(canvas, draw, tile, corner, edges, tile_width)
    for number, (colours, meaning) in enumerate(legends):
        top = height - 6 - 20 * (len(legends) - number)
        canvas.paste(Image.fromarray(colour_bar(colours, width=160)), (_PADDING, top))
        draw.text((_PADDING + 170, top - 2), meaning, fill=_FAINT, font=_font(11))
    return png_bytes(np.asarray(canvas))


def _edges(image: np.ndarray | None, size: int) -> tuple[int, int]:
    """Width and height of an image whose longer edge is `size`; square without one."""
    height, width = (1, 1) if image is None else image.shape[:2]
    return max(1, round(size * width / max(height, width))), max(1, round(size * height / max(height, width)))


def _draw_tile(
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    tile: SheetTile,
    corner: tuple[int, int],
    edges: tuple[int, int],
    width: int,
) -> None:
    left, top = corner
    for part, image in enumerate(tile.images):
        enlarged = Image.fromarray(image).resize(edges, Image.Resampling.NEAREST)
        canvas.paste(enlarged, (left + part * (edges[0] + 4), top))
    if tile.colour:
        draw.rectangle((left, top + edges[1] + 2, left + width - 1, top + edges[1] + 4), fill=tile.colour)
    for line, text in enumerate(tile.lines):
        font = _font(11)
        text = " ".join(text.split())  # Pillow measures one line only
        while text and draw.textlength(text, font=font) > width:
            text = text[:-2].rstrip(" …") + "…" if len(text) > 2 else ""
        draw.text((left, top + edges[1] + 7 + line * _LINE), text, fill=_FAINT if line else _INK, font=font)
