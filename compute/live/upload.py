"""An image file of the reader's own, prepared exactly as a run's images were, with notes on what was changed.

Needs no torch: the files are read by `compute.data.decode`, as for training and recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from compute.data.decode import Preparation, decode_image, open_image, orientation
from compute.errors import BadImage

MOST_PIXELS = 40_000_000  # a larger image is refused before it is unpacked
MOST_BYTES = 20_000_000
LONGEST = 20  # times the short side: the middle of a longer strip would show nothing
_NAME = "your image"


@dataclass(frozen=True)
class Upload:
    """An image (h, w, 3) uint8 as the network gets it, and what was changed, in sentences."""

    image: np.ndarray
    notes: tuple[str, ...]


def prepare_upload(content: bytes, preparation: Preparation) -> Upload:
    """The content of an image file, prepared; of a moving image the first frame is taken.

    Raises:
        BadImage: it is no image, a damaged one, or too large or too long; the message says which.
    """
    if len(content) > MOST_BYTES:
        raise BadImage(
            f"The image has {len(content) / 1e6:.0f} MB; at most {MOST_BYTES // 10**6} MB are accepted. "
            "Make it smaller first."
        )
    with open_image(content, _NAME) as opened:
        _check(opened)
        notes = _notes(opened)
    decoded = decode_image(content, preparation, name=_NAME)
    place = preparation.placement(decoded.width, decoded.height)
    if min(place.scale) > 2:
        notes += (f"It is only {decoded.width}×{decoded.height} pixels, so it was enlarged.",)
    if place.share_cropped >= 0.01:
        notes += (f"{place.share_cropped:.0%} of it, at the edges, is cut off, as for the images of this run.",)
    return Upload(decoded.pixels, notes)


def _check(opened: Image.Image) -> None:
    if opened.width * opened.height > MOST_PIXELS:
        raise BadImage(
            f"The image has {opened.width}×{opened.height} pixels; at most {MOST_PIXELS // 10**6} million are "
            "accepted. Make it smaller first."
        )
    if max(opened.size) > LONGEST * min(opened.size):
        raise BadImage(
            f"The image is a strip of {opened.width}×{opened.height} pixels, whose middle would show nothing. "
            "Crop it first."
        )


def _notes(opened: Image.Image) -> tuple[str, ...]:
    """What has to be changed before the network can see an image."""
    notes = []
    if getattr(opened, "n_frames", 1) > 1:
        notes.append(f"It is animated: the first of its {opened.n_frames} frames is taken.")  # type: ignore[attr-defined]
    if orientation(opened) != 1:
        notes.append("It was rotated upright, as its EXIF orientation says.")
    if opened.mode in ("CMYK", "YCCK", "LAB"):
        notes.append(f"Its {opened.mode} colours were converted to RGB.")
    if opened.mode.startswith(("I", "F")):
        notes.append("Its brightness was reduced to 8 bits.")
    if opened.has_transparency_data:
        notes.append("Its transparent parts were filled with white.")
    return tuple(notes)
