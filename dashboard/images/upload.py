"""An image file of the reader's own, prepared for the network, with notes on every change to it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 40_000_000  # a larger image is refused before it is unpacked
MOST_BYTES = 20_000_000
LONGEST = 20  # times the short side: the square in the middle of a longer strip would show nothing
_BACKGROUND = (128, 128, 128)  # behind what is transparent: neither a black nor a white object vanishes on it
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True)
class Upload:
    """An image (h, w, 3) uint8 at the size of the run, and what was changed, in sentences."""

    image: np.ndarray
    notes: tuple[str, ...]


def prepare_upload(content: bytes, size: tuple[int, int]) -> Upload:
    """An image file upright, in 8-bit RGB, cut from the middle and resized.

    Args:
        content: of the file, in any format that Pillow reads; of a moving image the first frame is taken.
        size: (h, w) wanted.

    Raises:
        ValueError: it is no image, a damaged one, or too large or too long; the message says which.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"it has {len(content) / 1e6:.0f} MB; at most {MOST_BYTES // 10**6} MB are accepted. Make it smaller first."
        )
    try:
        with Image.open(io.BytesIO(content)) as opened:
            _check(opened)
            notes = _notes(opened)
            upright = _rgb(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise ValueError("it would unpack to far more pixels than any photograph has. Nothing was unpacked.") from error
    except UnidentifiedImageError as error:
        raise ValueError("it is not an image in a format that can be read. JPEG, PNG and WebP can.") from error
    except (OSError, SyntaxError, EOFError) as error:  # Pillow's decoders raise any of these on damaged files
        raise ValueError(f"it is damaged or incomplete ({error}). Save or send it again.") from error
    # Cut first, so that nothing from outside the cut bleeds into the edge when it is resized.
    width = min(upright.width, round(upright.height * size[1] / size[0]))
    height = min(upright.height, round(upright.width * size[0] / size[1]))
    left, top = (upright.width - width) // 2, (upright.height - height) // 2
    middle = upright.crop((left, top, left + max(width, 1), top + max(height, 1)))
    if min(middle.size) < min(size) // 2:
        notes += (f"It is only {upright.width}×{upright.height} pixels, so it was enlarged.",)
    return Upload(np.array(middle.resize((size[1], size[0]), Image.Resampling.LANCZOS), np.uint8), notes)


def _check(opened: Image.Image) -> None:
    if opened.width * opened.height > MOST_PIXELS:
        raise ValueError(
            f"it has {opened.width}×{opened.height} pixels; at most {MOST_PIXELS // 10**6} million are accepted. "
            "Make it smaller first."
        )
    if max(opened.size) > LONGEST * min(opened.size):
        raise ValueError(
            f"it is a strip of {opened.width}×{opened.height} pixels, whose middle would show nothing. Crop it first."
        )


def _notes(opened: Image.Image) -> tuple[str, ...]:
    """What has to be changed before the network can see an image."""
    notes = []
    if getattr(opened, "n_frames", 1) > 1:
        notes.append(f"It is animated: the first of its {opened.n_frames} frames is taken.")  # type: ignore[attr-defined]
    if opened.getexif().get(_ORIENTATION, 1) != 1:
        notes.append("It was rotated upright, as its EXIF orientation says.")
    if opened.mode in ("CMYK", "YCCK", "LAB"):
        notes.append(f"Its {opened.mode} colours were converted to RGB.")
    if opened.mode in _DEEP:
        notes.append("Its brightness was reduced to 8 bits.")
    if opened.has_transparency_data:
        notes.append("Its transparent parts were filled with gray.")
    return tuple(notes)


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits per channel, without transparency."""
    if image.mode in _DEEP:
        values = np.asarray(image, np.float64)
        largest = 65535.0 if image.mode != "F" and values.max(initial=0) <= 65535 else values.max(initial=0)
        shares = np.clip(values / (largest or 1.0), 0, 1)
        return Image.fromarray(np.round(255 * shares).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", whole.size, (*_BACKGROUND, 255)), whole).convert("RGB")
    return image.convert("RGB")
