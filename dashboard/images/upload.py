"""A picture file of the reader's own, made fit for the network."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS = 40_000_000  # a larger picture is refused before it is unpacked


def prepared(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """A picture file as (h, w, 3) uint8: upright, in RGB, cut from the middle, resized.

    Args:
        content: of the file, in any format that Pillow reads.
        size: (h, w) wanted.

    Raises:
        PIL.UnidentifiedImageError, OSError: it is not a picture, or a damaged one.
        ValueError: it has more than `MOST_PIXELS` pixels.
    """
    with Image.open(io.BytesIO(content)) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError(
                f"it has {opened.width}×{opened.height} pixels, and {MOST_PIXELS // 10**6} million are the most. "
                "Make it smaller first."
            )
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    # Cut first, so that nothing from outside the cut bleeds into the edge when it is resized.
    width = min(upright.width, round(upright.height * size[1] / size[0]))
    height = min(upright.height, round(upright.width * size[0] / size[1]))
    left, top = (upright.width - width) // 2, (upright.height - height) // 2
    middle = upright.crop((left, top, left + max(width, 1), top + max(height, 1)))
    return np.asarray(middle.resize((size[1], size[0]), Image.Resampling.LANCZOS), np.uint8)
