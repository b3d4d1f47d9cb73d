"""Image files of any format as square uint8 RGB arrays: one preparation for training, recording and the Live page.

Needs only numpy and Pillow. The steps, each a pure function: turn upright as EXIF says, lay on white where transparent,
convert to 8-bit RGB, resize until the shorter side fits, crop the centre.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from compute.errors import BadImage

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
LARGEST_PIXELS = 100_000_000  # A 10,000 x 10,000 image; a larger file is refused as a decompression bomb.
_BATCH = 256  # Files per task: small enough for an even load, large enough that handing out tasks costs nothing.
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})  # More than 8 bits per pixel and channel.
_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)  # The EXIF tag, and its values that exchange width and height.


def read_image(source: Path | IO[bytes], size: int, *, name: str | None = None) -> np.ndarray:
    """One image file as uint8 (size,size,3); messages call it `name`.

    Raises:
        BadImage: the file can't be read, is truncated, is not an image, or is unreasonably large.
    """
    with _naming(name or source), Image.open(source) as opened:
        _check_pixels(opened, size)
        # A JPEG is decoded at a fraction of its size where that is still large enough, to save time.
        opened.draft("RGB" if opened.mode in ("RGB", "YCbCr") else None, (size, size))
        return np.asarray(resize_and_crop(upright_rgb(opened), size))


def upright_rgb(image: Image.Image) -> Image.Image:
    """An image turned as its EXIF orientation says, on white where it is transparent, in 8-bit RGB.

    Raises:
        ValueError: its pixels are floats, and some are NaN or infinite.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP_MODES:
        return _reduce_depth(image)
    if image.mode != "RGB" and image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def resize_and_crop(image: Image.Image, size: int) -> Image.Image:
    """The central square of an image, size x size."""
    width, height = image.size
    if (width, height) == (size, size):
        return image
    crop = square_crop(width, height, size)
    scaled = (max(round(width * crop.scale), size), max(round(height * crop.scale), size))
    resized = image.resize(scaled, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return resized.crop((crop.left, crop.top, crop.left + size, crop.top + size))


@dataclass(frozen=True)
class SquareCrop:
    """Where `resize_and_crop` moves pixels: x_new = x * scale - left, y_new = y * scale - top, both in 0..size."""

    scale: float
    left: int
    top: int
    size: int

    def box(self, box: Sequence[int]) -> tuple[int, int, int, int]:
        """A box x0, y0, x1, y1 (end excluded) of the original image in the new one, rounded outwards and clipped."""
        offsets = (self.left, self.top, self.left, self.top)
        rounds = (np.floor, np.floor, np.ceil, np.ceil)
        x0, y0, x1, y1 = (
            min(max(int(to_int(edge * self.scale)) - offset, 0), self.size)
            for edge, offset, to_int in zip(box, offsets, rounds, strict=True)
        )
        return x0, y0, x1, y1


def square_crop(width: int, height: int, size: int) -> SquareCrop:
    """How an image of width x height becomes size x size."""
    scale = size / min(width, height)
    left, top = ((max(round(side * scale), size) - size) // 2 for side in (width, height))
    return SquareCrop(scale, left, top, size)


def read_images(paths: Sequence[Path], size: int, *, report: Callable[[int], object] | None = None) -> np.ndarray:
    """All images in the order of `paths`, decoded in parallel: uint8 (N,size,size,3).

    `report(n)` is called whenever n more images are decoded.

    Raises:
        BadImage: an image can't be read; the first in the order of `paths`.
    """
    images = np.empty((len(paths), size, size, 3), np.uint8)

    def decode(start: int) -> int:
        batch = paths[start : start + _BATCH]
        for offset, path in enumerate(batch):
            images[start + offset] = read_image(path, size)
        return len(batch)

    # Threads are enough: Pillow releases the interpreter's lock while it decodes and resizes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for count in pool.map(decode, range(0, len(paths), _BATCH)):
            if report:
                report(count)
    return images


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image once upright, without decoding it.

    Raises:
        BadImage: the file can't be read or is not an image.
    """
    with _naming(path), Image.open(path) as opened:
        width, height = opened.size
        return (height, width) if opened.getexif().get(_ORIENTATION, 1) in _QUARTER_TURNS else (width, height)


@contextmanager
def _naming(source: object) -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file, and ValueErrors of this module, into a BadImage with its name."""
    try:
        yield
    except UnidentifiedImageError as err:
        raise BadImage(f"'{source}' is not an image that Pillow can read. Remove or replace it.") from err
    except Image.DecompressionBombError as err:
        raise BadImage(
            f"The image '{source}' is too large to decode safely: {str(err).rstrip('.')}. "
            f"Shrink it below {LARGEST_PIXELS:,} pixels."
        ) from err
    except (OSError, SyntaxError, ValueError, EOFError) as err:  # Pillow's decoders raise any of these.
        raise BadImage(f"The image '{source}' can't be read: {err}. Remove or replace it.") from err


def _check_pixels(image: Image.Image, size: int) -> None:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise Image.DecompressionBombError(f"{width} x {height} pixels")
    if size * size * max(width, height) > LARGEST_PIXELS * min(width, height):  # Resizing would create the bomb.
        raise ValueError(f"it is too narrow, {width} x {height} pixels, to be resized; crop it to what matters")


def _reduce_depth(image: Image.Image) -> Image.Image:
    """16-bit levels scaled to 8 bits, where Pillow would clip them; 32-bit and float levels by their own range."""
    levels = np.asarray(image, np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("it contains NaN or infinity")
    if image.mode.startswith("I;16") or (image.mode == "I" and levels.min() >= 0 and levels.max() <= 65535):
        gray = levels / 257
    else:
        low, high = float(levels.min()), float(levels.max())
        gray = (levels - low) * (255 / (high - low)) if high > low else np.zeros_like(levels)
    return Image.fromarray(np.round(gray).astype(np.uint8)).convert("RGB")
