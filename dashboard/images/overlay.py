"""A class map enlarged, coloured and laid over its image."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dashboard.images.colours import colour_map


def upsample(codes: np.ndarray, size: tuple[int, int], *, smooth: bool = False) -> np.ndarray:
    """Map codes enlarged to an image's size.

    Args:
        codes: (H, W) uint8.
        size: (height, width) wanted, in pixels.
        smooth: bilinear between cell centres; False repeats each cell, which shows what was really computed.

    Returns:
        (height, width) uint8.
    """
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(codes).resize((size[1], size[0]), method), np.uint8)


def colourise(codes: np.ndarray, name: str) -> np.ndarray:
    """Codes looked up in a colour map: (..., H, W) uint8 to (..., H, W, 3) uint8."""
    return colour_map(name)[codes]


def overlay(image: np.ndarray, codes: np.ndarray, *, name: str = "magma", opacity: float = 0.5) -> np.ndarray:
    """An image with a class map over it (the paper's Sec. 2, after Zhou's CAM).

    Args:
        image: (h, w, 3) uint8.
        codes: (H, W) uint8 of the map.
        opacity: 0 shows the image alone, 1 the map alone.

    Returns:
        (h, w, 3) uint8.
    """
    heat = colourise(upsample(codes, image.shape[:2], smooth=True), name).astype(np.float32)
    blended = image.astype(np.float32) * (1 - opacity) + heat * opacity
    return np.round(blended).astype(np.uint8)
