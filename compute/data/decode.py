"""Image files of any kind as square uint8 RGB images, decoded in parallel.

An image is turned upright (EXIF), laid on white where it is transparent, brought to RGB, resized until its shorter
side fits and cropped about its centre.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from compute.data.errors import BadImage

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
LARGEST_PIXELS = 100_000_000  # A 10,000 x 10,000 image; beyond that a file is predicted as a decompression bomb.
_BATCH = 256  # Files per task: small enough for an even load, large enough that handing out tasks costs nothing.
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})


@dataclass(frozen=True)
class Frame:
    """How an image's pixels moved: x_new = x * scale - left, y_new = y * scale - top."""

    scale: float
    left: int
    top: int

    def box(self, box: Sequence[int], size: int) -> tuple[int, int, int, int]:
        """A box x0, y0, x1, y1 (end excluded) of the original image in the new one, clipped to it."""
        left, top = (
            int(np.floor(edge * self.scale)) - cut for edge, cut in zip(box[:2], (self.left, self.top), strict=True)
        )
        right, low = (
            int(np.ceil(edge * self.scale)) - cut for edge, cut in zip(box[2:], (self.left, self.top), strict=True)
        )
        x0, y0, x1, y1 = (min(max(edge, 0), size) for edge in (left, top, right, low))
        return x0, y0, x1, y1


def frame(width: int, height: int, size: int) -> Frame:
    """The frame of an image of width x height whose central square becomes size x size."""
    scale = size / min(width, height)
    left, top = ((max(round(side * scale), size) - size) // 2 for side in (width, height))
    return Frame(scale, left, top)


def read_image(path: Path, size: int) -> np.ndarray:
    """One image: uint8 (size,size,3).

    Raises:
        BadPicture: the file can't be read, is truncated, is no image, or is unreasonably large.
    """
    try:
        with Image.open(path) as opened:
            _check_size(path, opened, size)
            opened.draft("RGB" if opened.mode in ("RGB", "YCbCr") else None, (size, size))
            return np.asarray(_fit(_to_rgb(ImageOps.exif_transpose(opened)), size))
    except UnidentifiedImageError as err:
        raise BadImage(f"'{path}' is not an image that Pillow can read. Remove or replace it.") from err
    except Image.DecompressionBombError as err:
        raise BadImage(_too_large(path, str(err).rstrip("."))) from err
    except (OSError, SyntaxError, ValueError, EOFError) as err:
        if isinstance(err, BadImage):
            raise
        raise BadImage(f"The image '{path}' can't be read: {err}. Remove or replace it.") from err


def read_images(
    paths: Sequence[Path], size: int, *, out: np.ndarray | None = None, report: Callable[[int], object] | None = None
) -> np.ndarray:
    """All images in the order of `paths`: uint8 (N,size,size,3), written into `out` where given.

    `report(n)` is called as images are done, from worker threads.

    Raises:
        BadPicture: an image that can't be read; of several the first in order.
    """
    images = np.empty((len(paths), size, size, 3), np.uint8) if out is None else out

    def decode(start: int) -> None:
        part = paths[start : start + _BATCH]
        for offset, path in enumerate(part):
            images[start + offset] = read_image(path, size)
        if report:
            report(len(part))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(decode, start) for start in range(0, len(paths), _BATCH)]
        _finish(tasks)
    return images


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as shown, without decoding it.

    Raises:
        BadPicture: the file can't be read or is no image.
    """
    try:
        with Image.open(path) as opened:
            turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return opened.size[::-1] if turned else opened.size
    except (OSError, SyntaxError, ValueError) as err:
        raise BadImage(f"The image '{path}' can't be read: {err}. Remove or replace it.") from err


def _finish(tasks: list[Future[None]]) -> None:
    try:
        for task in tasks:
            task.result()
    except BaseException:
        for task in tasks:
            task.cancel()
        raise


def _check_size(path: Path, image: Image.Image, size: int) -> None:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise BadImage(_too_large(path, f"{width} x {height} pixels"))
    if size * size * max(width, height) > LARGEST_PIXELS * min(width, height):  # its short side is brought to `size`
        raise BadImage(f"The image '{path}' is too narrow: {width} x {height} pixels. Crop it to what matters.")


def _too_large(path: Path, what: str) -> str:
    return f"The image '{path}' is too large to decode safely: {what}. Shrink it below {LARGEST_PIXELS:,} pixels."


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in _DEEP_MODES:
        return _from_deep(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit levels scaled to 8 bits, where Pillow would clip them; 32-bit and float images by their own range."""
    levels = np.asarray(image, np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("it holds NaN or infinity")
    if image.mode.startswith("I;16") or (image.mode == "I" and levels.min() >= 0 and levels.max() <= 65535):
        gray = levels / 257
    else:
        low, high = float(levels.min()), float(levels.max())
        gray = (levels - low) * (255 / (high - low)) if high > low else np.zeros_like(levels)
    return Image.fromarray(np.round(gray).astype(np.uint8)).convert("RGB")


def _fit(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    if (width, height) == (size, size):
        return image
    place = frame(width, height, size)
    scaled = (max(round(width * place.scale), size), max(round(height * place.scale), size))
    resized = image.resize(scaled, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return resized.crop((place.left, place.top, place.left + size, place.top + size))
