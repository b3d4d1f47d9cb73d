"""An image file of the reader's own, prepared exactly as a run's images were, with notes on what was changed.

Needs no torch: the files are read by `compute.data.decode`, as for training and recording.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from PIL import Image

from compute.data.decode import Preparation, decode_image, open_image, orientation
from compute.errors import BadImage
from store.rates import percent

MOST_BYTES = 20_000_000  # of a file
MOST_DECODED_BYTES = 500_000_000  # of memory, while an image is prepared; a larger one is refused before it is decoded
# What each pixel takes of it, as measured; other modes take less.
_BYTES_OF_A_PIXEL = {"I": 32, "F": 32, "RGBA": 20, "LA": 20, "PA": 20}
_BYTES_OF_A_PLAIN_PIXEL = 12
LONGEST = 20  # times the short side: the middle of a longer strip would show nothing
_NAME = "your image"
_one_at_a_time = threading.Lock()  # four such files at once took 5.4 GB


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
    with _one_at_a_time:
        decoded = decode_image(content, preparation, name=_NAME)
    place = preparation.placement(decoded.width, decoded.height)
    if min(place.scale) > 2:
        notes += (f"It is only {decoded.width}×{decoded.height} pixels, so it was enlarged.",)
    if place.share_cropped >= 0.01:
        notes += (f"{percent(place.share_cropped, 0)} of it, at the edges, is cut off, as for the images of this run.",)
    return Upload(decoded.pixels, notes)


def _check(opened: Image.Image) -> None:
    each = _BYTES_OF_A_PIXEL.get(opened.mode, _BYTES_OF_A_PLAIN_PIXEL)
    if opened.width * opened.height * each > MOST_DECODED_BYTES:
        raise BadImage(
            f"The image has {opened.width}×{opened.height} pixels; at most {MOST_DECODED_BYTES // each // 10**6} "
            "million of its kind are accepted. Make it smaller first."
        )
    if max(opened.size) > LONGEST * min(opened.size):
        raise BadImage(
            f"The image is a strip of {opened.width}×{opened.height} pixels, whose middle would show nothing. "
            "Crop it first."
        )


def _notes(opened: Image.Image) -> tuple[str, ...]:
    """What has to be changed before the network can see an image."""
    notes = []
    if getattr(opened, "is_animated", False):  # not n_frames, for which Pillow reads all of them
        notes.append("It is animated: the first frame is taken.")
    if orientation(opened) != 1:
        notes.append("It was rotated upright, as its EXIF orientation says.")
    if opened.mode in ("CMYK", "YCCK", "LAB"):
        notes.append(f"Its {opened.mode} colours were converted to RGB.")
    if opened.mode.startswith(("I", "F")):
        notes.append("Its brightness was reduced to 8 bits.")
    if opened.has_transparency_data:
        notes.append("Its transparent parts were filled with white.")
    return tuple(notes)
