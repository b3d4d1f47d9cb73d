"""Image files of any format as uint8 RGB arrays: the one preparation of training, recording and the Live page.

Needs only numpy and Pillow. The steps, each a pure function: turn upright as EXIF says, lay on white where transparent,
convert to 8-bit RGB, resize, crop the centre.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from compute.errors import BadImage, BadOption

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "jp2", "j2k", "jpx", "png", "apng", "gif", "webp", "avif"),
        *("bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm"),
    )
)
Image.init()
# Formats that hold pixels and nothing else: Pillow would hand EPS to Ghostscript, for instance. Not every build of
# Pillow reads AVIF.
FORMATS = tuple(
    name
    for name in ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "AVIF", "JPEG2000", "TIFF", "PPM")
    if name in Image.OPEN
)
# Ultralytics replaces Pillow's `open` by one that asks for a decoder of HEIF, which may not be installed.
NO_IMAGE = (UnidentifiedImageError, ModuleNotFoundError)
LARGEST_PIXELS = 100_000_000  # A 10,000 x 10,000 image; a larger file is refused as a decompression bomb.
MOST_SCANNED = 2_000_000_000  # pixels of a JPEG times its scans, of which a progressive one has about ten
SMALLEST_SIDE, LARGEST_SIDE = 8, 1024  # of a prepared image
WHITE = 65535  # the level of a 16-bit file that is shown as white
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})  # More than 8 bits per pixel and channel.
OF_8_BITS, STRETCHED = -1, -2  # instead of the highest level; see `top_level`
_PHOTOMETRIC, _MIN_IS_WHITE = 262, 0  # a tag of TIFF, and its value where 0 is white
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = (5, 6, 7, 8)  # orientations that exchange width and height
_NO_IMAGES = {  # what is found under an image's name
    b"version https://git-lfs": "a Git LFS pointer: get the file itself with git lfs pull",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
}
_UNUSED_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # of a PNG


# --- How an image is prepared ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preparation:
    """How an image of any shape becomes `size` (h, w) in pixels.

    `resize` = 0 makes it just large enough to cover `size` and crops the centre; R > 0 brings its shorter side to R
    pixels first, as torchvision's Resize(R) and CenterCrop do, to the bit. Without `crop` the whole image is squeezed
    into `size`. `white_level` is the level of a 16-bit gray file that becomes white; 0 is 65535, or what a whole data
    set shows (see `compute.data.plausibility`).

    Raises:
        BadOption: the values contradict each other or are out of range.
    """

    size: tuple[int, int] = (64, 64)
    resize: int = 0
    crop: bool = True
    interpolation: str = "bicubic"
    white_level: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        shown = "×".join(map(str, self.size))
        if len(self.size) != 2 or not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in self.size):
            raise BadOption(
                f"Images of {shown} pixels are not possible. Choose {SMALLEST_SIDE} to {LARGEST_SIDE} for height and "
                "width."
            )
        if self.resize and not self.crop:
            raise BadOption(f"data.resize = {self.resize} says how images are cropped, but data.crop is false.")
        if self.resize and not max(self.size) <= self.resize <= 4 * LARGEST_SIDE:
            raise BadOption(
                f"data.resize = {self.resize} is not possible for images of {shown} pixels: choose 0, or "
                f"{max(self.size)} to {4 * LARGEST_SIDE}."
            )
        if self.interpolation not in INTERPOLATIONS:
            raise BadOption(f"Interpolation {self.interpolation!r} is unknown: choose {' or '.join(INTERPOLATIONS)}.")
        if self.white_level and not 255 <= self.white_level <= WHITE:
            raise BadOption(f"data.white_level = {self.white_level} is not possible: choose 0, or 255 to {WHITE}.")

    @property
    def is_quick(self) -> bool:
        """Whether a large image may be reduced coarsely first, which nobody's other software does to the bit."""
        return self.crop and not self.resize

    def placement(self, width: int, height: int) -> Placement:
        """How the pixels of a width x height image move."""
        h, w = self.size
        if not self.crop:
            return Placement((width, height), (w, h), (0, 0), (w, h))
        if self.resize:  # rounded as torchvision's Resize and CenterCrop do
            short = min(width, height)
            scaled = (int(self.resize * width / short), int(self.resize * height / short))
            offset = (round((scaled[0] - w) / 2), round((scaled[1] - h) / 2))
        else:
            scale = max(h / height, w / width)
            scaled = (max(round(width * scale), w), max(round(height * scale), h))
            offset = ((scaled[0] - w) // 2, (scaled[1] - h) // 2)
        return Placement((width, height), scaled, offset, (w, h))

    def __str__(self) -> str:
        """What is done, for people."""
        size = "×".join(map(str, self.size))
        if not self.crop:
            return f"the whole image squeezed into {size} pixels, {self.interpolation}"
        scaled = f"the shorter side resized to {self.resize}" if self.resize else "as much of the image as fits"
        return f"{scaled}, the central {size} pixels, {self.interpolation}"

    def record(self) -> dict[str, Any]:
        """The JSON object that run.h5 keeps; see FORMAT.md, `preparation`."""
        record: dict[str, Any] = {"interpolation": self.interpolation}
        if self.crop:
            record["crop"] = list(self.size)
        if self.resize or not self.crop:
            record["resize"] = self.resize or list(self.size)
        return record | ({"white_level": self.white_level} if self.white_level not in (0, WHITE) else {})


def recorded_preparation(record: Mapping[str, Any] | str | None, image_shape: tuple[int, int]) -> Preparation:
    """The preparation that a run's record describes; a run that says nothing prepared in the usual way.

    Raises:
        BadOption: it is a text, for a transform that is not known here, or not what `Preparation.record` writes.
    """
    if isinstance(record, str):
        raise BadOption(
            f"The images of this run were prepared by a transform of its own ({record[:200]!r}), so another image "
            "cannot be prepared alike. Choose a recorded image."
        )
    record = record or {}
    crop, resize, white = record.get("crop"), record.get("resize", 0), record.get("white_level", 0)
    whole = crop is None and isinstance(resize, list)
    size, shorter = (resize, 0) if whole else ([crop, crop] if isinstance(crop, int) else crop, resize)
    if crop is None and not whole:
        size = list(image_shape)
    if size != list(image_shape) or not all(type(each) is int for each in (*size, shorter, white)):
        raise BadOption(
            f"The run's record of how images are prepared, {str(dict(record))[:200]}, does not fit its images of "
            f"{'×'.join(map(str, image_shape))} pixels. Record the run again."
        )
    return Preparation(image_shape, shorter, not whole, str(record.get("interpolation", "bicubic")), white)


@dataclass(frozen=True)
class Placement:
    """Where pixels move: x_new = x * scaled / original - offset, the same for y; all pairs are (x, y)."""

    original: tuple[int, int]
    scaled: tuple[int, int]
    offset: tuple[int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """New pixels for one old pixel."""
        return self.scaled[0] / self.original[0], self.scaled[1] / self.original[1]

    @property
    def share_cropped(self) -> float:
        """The share of the image's area that the crop cuts off."""
        return 1 - self.size[0] * self.size[1] / (self.scaled[0] * self.scaled[1])

    def box(self, box: Sequence[int]) -> tuple[int, int, int, int]:
        """A box x0, y0, x1, y1 (end excluded) of the original image in the new one, rounded outwards and clipped."""
        rounds = (np.floor, np.floor, np.ceil, np.ceil)
        x0, y0, x1, y1 = (
            min(max(int(rounds[n](edge * self.scale[n % 2])) - self.offset[n % 2], 0), self.size[n % 2])
            for n, edge in enumerate(box)
        )
        return x0, y0, x1, y1


# --- One image -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecodedImage:
    """A prepared image uint8 (h, w, 3), and what its file contained."""

    pixels: np.ndarray
    width: int  # of the upright file
    height: int
    top_level: int  # see `top_level`


def decode_image(content: bytes, preparation: Preparation, *, name: str) -> DecodedImage:
    """The content of an image file, prepared; of a moving image the first frame is taken. Messages call it `name`.

    Raises:
        BadImage: it is truncated, not an image, or unreasonably large.
    """
    with open_image(content, name) as opened:
        width, height = opened.size
        largest = max(preparation.size)
        _check_pixels(opened, preparation)
        _check_scans(opened, content)
        if preparation.is_quick:
            # A JPEG is decoded at a fraction of its size where that is still large enough, to save time.
            opened.draft("RGB" if opened.mode in ("RGB", "YCbCr") else None, (largest, largest))
        opened.load()
        highest = top_level(opened)
        turned = orientation(opened) in _QUARTER_TURNS
        pixels = prepare_image(opened, preparation)
    return DecodedImage(pixels, *((height, width) if turned else (width, height)), highest)


def prepare_image(image: Image.Image, preparation: Preparation) -> np.ndarray:
    """An image in memory as uint8 (h, w, 3).

    Raises:
        ValueError: its pixels are floats, and some are NaN or infinite.
    """
    return np.array(_resize_and_crop(upright_rgb(image, preparation.white_level), preparation), np.uint8)


@contextmanager
def open_image(content: bytes, name: str) -> Iterator[Image.Image]:
    """The image in a file's content, not decoded yet; whatever is raised inside becomes a BadImage with its name."""
    for start, kind in _NO_IMAGES.items():
        if content[:200].lstrip().lower().startswith(start) or not content:
            raise BadImage(f"'{name}' is not an image that can be read here, but {kind if content else 'empty'}.")
    with _naming(name), _open(content) as opened:
        yield opened


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(_without_texts(content)), formats=FORMATS)
    except NO_IMAGE:
        bare, exif = _without_exif(content)
        if not exif:
            raise
        opened = Image.open(io.BytesIO(bare), formats=FORMATS)
        opened.info["exif"] = exif
        return opened


def upright_rgb(image: Image.Image, white_level: int = 0) -> Image.Image:
    """An image turned as its EXIF orientation says, on white where it is transparent, in 8-bit RGB.

    Raises:
        ValueError: its pixels are floats, and some are NaN or infinite.
    """
    image.load()  # Pillow turns a TIFF upright itself then, and forgets its orientation
    # Of 8 bits Pillow inverts such levels itself.
    inverted = image.mode in _DEEP_MODES and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _MIN_IS_WHITE
    turn = _TURNS.get(orientation(image))
    image = image if turn is None else image.transpose(turn)
    if image.mode in _DEEP_MODES:
        gray = _reduce_depth(image, white_level or WHITE)
        gray = 255 - gray if inverted else gray
        if "transparency" in image.info:  # the one level that is transparent
            gray[np.asarray(image) == image.info["transparency"]] = 255
        return Image.fromarray(gray).convert("RGB")
    if image.mode == "LAB":
        return ImageCms.profileToProfile(  # type: ignore[return-value]
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    if image.has_transparency_data:
        clear = image.info.get("transparency", ())
        if image.mode == "RGB" and max(clear) > 255:  # a colour of 16 bits, of which Pillow keeps 8
            image.info["transparency"] = tuple(level >> 8 for level in clear)
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where there is none or the block is damaged, as browsers do."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Other entries of a damaged block raise errors of many kinds, and none of them is needed.
        return 1
    return found if found in _TURNS else 1


def _resize_and_crop(image: Image.Image, preparation: Preparation) -> Image.Image:
    place = preparation.placement(*image.size)
    (left, top), (width, height) = place.offset, place.size
    if image.size == place.scaled == place.size:
        return image
    kernel, gap = INTERPOLATIONS[preparation.interpolation], 3.0 if preparation.is_quick else None
    resized = image.resize(place.scaled, kernel, reducing_gap=gap)
    return resized.crop((left, top, left + width, top + height))


def top_level(image: Image.Image) -> int:
    """The highest level of a gray image with levels up to 65535.

    OF_8_BITS for images of 8 bits, STRETCHED for floats, negative and higher levels, which have no common white.
    """
    if image.mode not in _DEEP_MODES:
        return OF_8_BITS
    levels = np.asarray(image)
    return int(levels.max()) if image.mode != "F" and levels.min() >= 0 and levels.max() <= WHITE else STRETCHED


def _reduce_depth(image: Image.Image, white_level: int) -> np.ndarray:
    """Levels of up to 16 bits scaled to 8, where Pillow would clip them; others by their own range; uint8 (h, w)."""
    levels = np.asarray(image)
    if not np.isfinite(levels).all():
        raise ValueError("it contains NaN or infinity")
    if top_level(image) != STRETCHED:
        table = np.round(np.minimum(np.arange(WHITE + 1), white_level) * (255 / white_level)).astype(np.uint8)
        return table[levels]
    low, high = float(levels.min()), float(levels.max())
    gray = (levels.astype(np.float64) - low) * (255 / (high - low)) if high > low else np.zeros(levels.shape)
    return np.round(gray).astype(np.uint8)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file, and ValueErrors of this module, into a BadImage with its name."""
    try:
        yield
    except BadImage:
        raise
    except NO_IMAGE as err:
        raise BadImage(f"'{name}' is not an image that can be read here. Remove or replace it.") from err
    except Image.DecompressionBombError as err:
        raise BadImage(
            f"The image '{name}' is too large to decode safely: {str(err).rstrip('.')}. "
            f"Shrink it below {LARGEST_PIXELS:,} pixels."
        ) from err
    except Exception as err:  # Decoders of other people's making raise anything on a damaged file.
        raise BadImage(
            f"The image '{name}' can't be read: {str(err) or type(err).__name__}. Remove or replace it."
        ) from err


def _check_pixels(image: Image.Image, preparation: Preparation) -> None:
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise Image.DecompressionBombError(f"{width} x {height} pixels")
    scaled = preparation.placement(width, height).scaled
    if scaled[0] * scaled[1] > LARGEST_PIXELS:  # Resizing would create the bomb.
        raise ValueError(f"it is too narrow, {width} x {height} pixels, to be resized; crop it to what matters")


def _check_scans(image: Image.Image, content: bytes) -> None:
    """Refuse a JPEG that goes over its pixels again and again: 40,000 scans in 600 kB took minutes."""
    # In the data of a scan, 0xFF is never followed by the mark of another one.
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") * image.width * image.height > MOST_SCANNED:
        raise ValueError("it goes over its pixels more often than any program that saves images does; save it again")


def _without_texts(content: bytes) -> bytes:
    """A PNG without its texts and colour profile: they are not used, and Pillow refuses an image for large ones."""
    if not content.startswith(b"\x89PNG") or not any(kind in content for kind in _UNUSED_CHUNKS):
        return content
    parts, start = [content[:8]], 8
    while start + 8 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4])
        if content[start + 4 : start + 8] not in _UNUSED_CHUNKS:
            parts.append(content[start:end])
        start = end
    return b"".join(parts)


def _without_exif(content: bytes) -> tuple[bytes, bytes]:
    """A JPEG without its EXIF block, and the block: Pillow reads the resolution in it, and gives up where it can't."""
    if not content.startswith(b"\xff\xd8\xff"):
        return content, b""
    start = 2
    while content[start : start + 2] not in (b"\xff\xda", b""):  # the pixels begin
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4])
        if content[start : start + 2] == b"\xff\xe1" and content[start + 4 : start + 8] == b"Exif":
            return content[:start] + content[end:], content[start + 4 : end]
        start = end
    return content, b""
