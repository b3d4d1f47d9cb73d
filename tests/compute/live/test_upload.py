"""An image of the reader's own becomes the pixels that the recording made of the same file, or is refused."""

import io
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data.decode import Preparation, decode_image
from compute.data.load import load_dataset
from compute.errors import BadImage
from compute.live.upload import prepare_upload

SQUARE = Preparation((8, 8))


def file_of(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def photograph(mode: str, size: tuple[int, int]) -> Image.Image:
    """Colours, edges and a gradient, in any mode that a file can have."""
    rng = np.random.default_rng(5)
    width, height = size
    values = np.linspace(0, 200, width * height * 4).reshape(height, width, 4) + rng.integers(0, 56, (height, width, 4))
    image = Image.fromarray(values.astype(np.uint8), "RGBA")
    if mode == "I;16":
        return Image.fromarray((values[..., 0] * 256).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(values[..., 0].astype(np.float32) / 255)
    if mode == "LAB":
        return Image.merge("LAB", image.convert("RGB").split())
    return image.convert("RGB").convert(mode) if mode in ("P", "CMYK", "1", "YCbCr") else image.convert(mode)


FILES = [
    *(("PNG", "png", mode) for mode in ("L", "LA", "RGB", "RGBA", "P", "1", "I;16")),
    *(("JPEG", "jpg", mode) for mode in ("L", "RGB", "CMYK")),
    *(("TIFF", "tif", mode) for mode in ("RGB", "F", "LAB", "CMYK")),
    *((form, form.lower(), "RGB") for form in ("BMP", "WEBP", "AVIF", "GIF")),
    ("WEBP", "webp", "RGBA"),
    ("JPEG2000", "jp2", "RGB"),
]
PREPARATIONS = [
    Preparation((32, 32)),
    Preparation((32, 32), resize=37, interpolation="bilinear"),
    Preparation((24, 48)),
    Preparation((24, 48), crop=False),
]


@pytest.mark.parametrize("preparation", PREPARATIONS, ids=lambda each: str(each.record()))
def test_an_upload_becomes_the_recorded_pixels_bit_for_bit(tmp_path, preparation):
    number = 0
    for form, suffix, mode in FILES:
        for size in ((32, 32), (300, 97), (61, 400), (1, 7), (48, 24)):
            for orientation in range(1, 9) if form in ("JPEG", "PNG", "TIFF", "WEBP") and mode == "RGB" else (1,):
                exif = Image.Exif()
                exif[0x0112] = orientation
                options = {} if form in ("BMP", "GIF", "JPEG2000") else {"exif": exif}
                path = tmp_path / "set" / "val" / f"c{number % 2}" / f"{number:04}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                photograph(mode, size).save(path, form, **options)
                number += 1
    copies = tmp_path / "set" / "train"
    for name in ("c0", "c1"):
        (copies / name).mkdir(parents=True)
        photograph("RGB", (40, 40)).save(copies / name / "0.png")
    dataset = load_dataset(str(tmp_path / "set"), preparation=preparation, cache=tmp_path / "cache")
    assert len(dataset.validation) == number > 200
    recorded = dataset.preparation
    for name, pixels in zip(dataset.validation.names, dataset.validation.images, strict=True):
        content = (tmp_path / "set" / Path(name)).read_bytes()
        assert np.array_equal(prepare_upload(content, recorded).image, pixels), name


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (file_of(Image.new("I;16", (20, 20))), "brightness was reduced to 8 bits"),
        (file_of(Image.new("RGBA", (20, 20), (255, 0, 0, 0))), "transparent parts were filled with white"),
        (
            file_of(
                Image.new("L", (9, 9)),
                "GIF",
                save_all=True,
                append_images=[Image.new("L", (9, 9), grey) for grey in (99, 255)],
            ),
            "animated: the first frame is taken",
        ),
        (file_of(Image.new("CMYK", (20, 20)), "TIFF"), "CMYK colours were converted to RGB"),
        (file_of(Image.new("RGB", (1, 1), "red")), "only 1×1 pixels, so it was enlarged"),
        (file_of(Image.new("RGB", (20, 10), "red")), "50 % of it, at the edges, is cut off"),
    ],
)
def test_what_was_changed_is_said(content, note):
    assert note in " ".join(prepare_upload(content, SQUARE).notes)


def test_an_image_that_needs_no_change_has_no_notes():
    assert prepare_upload(file_of(Image.new("RGB", (8, 8))), SQUARE).notes == ()


def test_it_is_turned_upright_and_says_so():
    exif = Image.Exif()
    exif[0x0112] = 3
    assert "upright" in prepare_upload(file_of(Image.new("RGB", (8, 8)), "JPEG", exif=exif), SQUARE).notes[0]


@pytest.mark.parametrize("content", [b"", b"not an image", b"<svg></svg>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_refused(content):
    with pytest.raises(BadImage, match="'your image' is not an image"):
        prepare_upload(content, SQUARE)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_file_that_was_cut_short_is_refused(form):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    content = file_of(noise, form)
    with pytest.raises(BadImage, match=r"can't be read|not an image"):
        prepare_upload(content[: len(content) // 2], SQUARE)


def head_of(mode: str, side: int) -> bytes:
    """A PNG whose header says that it is side x side, without the pixels."""
    content = bytearray(file_of(Image.new(mode, (1, 1))))
    content[16:24] = side.to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    return bytes(content)


@pytest.mark.parametrize(("mode", "side"), [("I;16", 6500), ("RGBA", 5010), ("RGB", 6500), ("L", 8000), ("1", 60_000)])
def test_an_image_that_would_take_too_much_memory_is_refused_before_it_is_decoded(mode, side):
    with pytest.raises(BadImage, match=r"million of its kind are accepted|too large to decode safely"):
        prepare_upload(head_of(mode, side), SQUARE)


PREPARE_WITH_LITTLE_MEMORY = """
import resource, sys
from compute.data.decode import Preparation, decode_image
from compute.live.upload import MOST_DECODED_BYTES, prepare_upload
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
content = sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_AS, (used + MOST_DECODED_BYTES + 50_000_000, resource.RLIM_INFINITY))
print(prepare_upload(content, Preparation((64, 64))).image.shape)
"""


@pytest.mark.parametrize(("mode", "form", "side"), [("I;16", "PNG", 6400), ("RGBA", "PNG", 4990), ("F", "TIFF", 2100)])
def test_the_largest_image_that_is_accepted_is_prepared_with_little_memory(mode, form, side):
    done = subprocess.run(
        [sys.executable, "-c", PREPARE_WITH_LITTLE_MEMORY],
        input=file_of(Image.new(mode, (side, side)), form),
        capture_output=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.stdout == b"(64, 64, 3)\n", done.stderr[-500:]


def test_images_are_decoded_one_after_the_other(monkeypatch):
    inside = most = 0

    def decode(*arguments, **options):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.001)  # gives the others their chance
        inside -= 1
        return decode_image(*arguments, **options)

    monkeypatch.setattr("compute.live.upload.decode_image", decode)
    content, begin = file_of(Image.new("RGB", (8, 8))), threading.Barrier(8)

    def prepare() -> None:
        begin.wait()
        for _ in range(10):
            prepare_upload(content, SQUARE)

    threads = [threading.Thread(target=prepare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(BadImage, match="too large to decode safely"):
        prepare_upload(file_of(Image.new("RGB", (10, 10))), SQUARE)


def test_too_many_bytes_and_long_strips_are_refused(monkeypatch):
    with pytest.raises(BadImage, match="strip of 300×10"):
        prepare_upload(file_of(Image.new("RGB", (300, 10))), SQUARE)
    monkeypatch.setattr("compute.live.upload.MOST_BYTES", 10)
    with pytest.raises(BadImage, match="are accepted"):
        prepare_upload(file_of(Image.new("RGB", (10, 10))), SQUARE)
