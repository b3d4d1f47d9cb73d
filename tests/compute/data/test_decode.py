"""Image files of every kind, good and bad, decoded to square RGB."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from compute.data import decode
from compute.data.decode import Preparation, decode_image, prepare_image, recorded_preparation
from compute.errors import BadImage, BadOption


def side(pixels: int) -> Preparation:
    return Preparation((pixels, pixels))


def read_image(path: Path, preparation: Preparation) -> np.ndarray:
    return decode_image(path.read_bytes(), preparation, name=str(path)).pixels


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_an_image_of_the_requested_size_is_decoded_as_it_is(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(values))
    assert np.array_equal(read_image(path, side(8)), values)


def test_grayscale_gets_three_equal_channels(tmp_path):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    path = save(tmp_path / "a.png", Image.fromarray(values))
    assert np.array_equal(read_image(path, side(8)), np.repeat(values[..., None], 3, 2))


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=95)
    assert np.abs(read_image(path, side(16)).astype(int) - (255, 0, 0)).max() < 12


def test_palette_and_transparency_are_laid_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    clear.paste((0, 0, 200, 255), (0, 0, 4, 8))
    shown = read_image(save(tmp_path / "a.png", clear), side(8))
    assert shown[0, 0].tolist() == [0, 0, 200]
    assert shown[0, 7].tolist() == [255, 255, 255]
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert read_image(save(tmp_path / "b.png", palette), side(8))[3, 3].tolist() == [10, 200, 30]
    assert read_image(save(tmp_path / "c.png", palette, transparency=1), side(8))[3, 3].tolist() == [255, 255, 255]


def test_sixteen_bit_levels_are_scaled_not_clipped(tmp_path):
    levels = np.full((8, 8), 65535 // 2, np.uint16)
    levels[0, 0], levels[0, 1] = 0, 65535
    shown = read_image(save(tmp_path / "a.png", Image.fromarray(levels)), side(8))
    assert shown[0, 0, 0] == 0
    assert shown[0, 1, 0] == 255
    assert shown[4, 4].tolist() == [127, 127, 127]  # 32767 / 257 = 127.498


def test_float_images_are_stretched_over_their_own_range(tmp_path):
    levels = np.linspace(-2, 3, 64, dtype=np.float32).reshape(8, 8)
    shown = read_image(save(tmp_path / "a.tif", Image.fromarray(levels)), side(8))
    assert (shown[0, 0, 0], shown[7, 7, 0]) == (0, 255)
    flat = read_image(save(tmp_path / "b.tif", Image.fromarray(np.full((8, 8), 7.0, np.float32))), side(8))
    assert not flat.any()


def test_the_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (16, 16), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 16, 8))  # White above.
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn clockwise by a quarter to show it upright: white on the right.
    shown = read_image(save(tmp_path / "a.png", image, exif=exif), side(16))
    assert shown[:, 12].min() == 255
    assert shown[:, 3].max() == 0
    turned = save(tmp_path / "b.jpg", Image.new("RGB", (100, 200)), exif=exif)
    decoded = decode_image(turned.read_bytes(), side(8), name="b")
    assert (decoded.width, decoded.height) == (200, 100)  # of the upright file, though it is decoded at a fraction


def test_an_image_in_memory_is_prepared_like_its_file(tmp_path):
    gradient = Image.linear_gradient("L").resize((40, 30))
    path = save(tmp_path / "a.png", gradient)
    assert np.array_equal(prepare_image(gradient, side(16)), read_image(path, side(16)))


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (333, 334), (224, 224), (97, 640), (1, 9)])
@pytest.mark.parametrize(("resize", "crop"), [(37, 32), (32, 32), (33, 24)])
def test_resize_and_crop_are_torchvisions_to_the_bit(size, resize, crop):
    transforms = pytest.importorskip("torchvision.transforms")
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for name, mode in (("bilinear", "BILINEAR"), ("bicubic", "BICUBIC")):
        theirs = transforms.Compose(
            [transforms.Resize(resize, transforms.InterpolationMode[mode]), transforms.CenterCrop(crop)]
        )
        ours = prepare_image(image, Preparation((crop, crop), resize=resize, interpolation=name))
        assert np.array_equal(ours, np.asarray(theirs(image)))


def test_images_that_are_not_square_stay_so(tmp_path):
    halves = Image.new("RGB", (60, 20), (0, 0, 0))
    halves.paste((255, 255, 255), (30, 0, 60, 20))
    path = save(tmp_path / "a.png", halves)
    whole = read_image(path, Preparation((10, 30)))
    assert whole.shape == (10, 30, 3)
    assert (whole[:, 0].max(), whole[:, -1].min()) == (0, 255)
    assert str(Preparation((16, 16), crop=False)) == "the whole image squeezed into 16×16 pixels, bicubic"
    squeezed = read_image(path, Preparation((16, 16), crop=False))
    assert (squeezed[:, 0].max(), squeezed[:, -1].min()) == (0, 255)
    cropped = Preparation((10, 20)).placement(60, 20)  # scaled to 30 x 10, and a third of that cut off
    assert (cropped.scaled, cropped.offset, round(cropped.share_cropped, 6)) == ((30, 10), (5, 0), round(1 / 3, 6))


@pytest.mark.parametrize(
    "preparation",
    [
        Preparation((32, 32)),
        Preparation((224, 224), resize=256, interpolation="bilinear"),
        Preparation((24, 48), crop=False),
        Preparation((24, 48), white_level=4095),
    ],
)
def test_a_recorded_preparation_comes_back(preparation):
    record = preparation.record() | {"mean": [0.5] * 3, "sd": [0.2] * 3}
    assert recorded_preparation(json.loads(json.dumps(record)), preparation.size) == preparation


def test_a_run_that_says_nothing_was_prepared_in_the_usual_way():
    assert recorded_preparation(None, (32, 48)) == Preparation((32, 48))
    assert recorded_preparation({"resize": 256, "crop": 224}, (224, 224)) == Preparation((224, 224), resize=256)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("a transform of mine", "prepared by a transform of its own"),
        ({"crop": [32, 31]}, "does not fit its images of 32×32 pixels"),
        ({"crop": "32"}, "does not fit"),
        ({"crop": [32, 32], "resize": "40"}, "does not fit"),
        ({"crop": [32, 32], "resize": 10**9}, "is not possible"),
        ({"crop": [32, 32], "resize": True}, "does not fit"),
        ({"crop": [32, 32], "interpolation": ["bicubic"]}, "Interpolation .* is unknown"),
        ({"crop": [32, 32], "white_level": -3}, "is not possible"),
        ({"resize": [32, [32]]}, "does not fit"),
        ({"crop": [32, 32], "resize": [32, 32]}, "does not fit"),
    ],
)
def test_a_record_that_cannot_be_followed_is_refused(record, message):
    with pytest.raises(BadOption, match=message):
        recorded_preparation(record, (32, 32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (8, 2000)}, "Images of 8×2000 pixels are not possible. Choose 8 to 1024"),
        ({"size": (32, 32), "resize": 31}, "data.resize = 31 is not possible for images of 32×32 pixels"),
        ({"size": (32, 32), "resize": 40, "crop": False}, "but data.crop is false"),
        ({"interpolation": "lanczos"}, "choose bicubic or bilinear"),
        ({"white_level": 7}, "data.white_level = 7 is not possible"),
    ],
)
def test_a_preparation_that_contradicts_itself_is_refused(options, message):
    with pytest.raises(BadOption, match=message):
        Preparation(**options)


def test_odd_sizes_are_resized_and_cropped_about_the_centre(tmp_path):
    wide = Image.new("RGB", (60, 20), (0, 0, 0))
    wide.paste((255, 255, 255), (20, 0, 40, 20))  # White in the middle third, which is what remains.
    assert read_image(save(tmp_path / "a.png", wide), side(10))[:, 1:9].min() == 255
    assert read_image(save(tmp_path / "b.png", Image.new("RGB", (1, 7))), side(10)).shape == (10, 10, 3)
    assert read_image(save(tmp_path / "c.jpg", Image.new("RGB", (301, 977), (9, 99, 199))), side(10)).shape == (
        10,
        10,
        3,
    )


def test_boxes_move_with_the_pixels():
    place = side(10).placement(60, 20)  # Halved to 30 x 10, then 10 cut off on the left and on the right.
    assert (place.scale, place.offset) == ((0.5, 0.5), (10, 0))
    assert place.box((20, 0, 40, 20)) == (0, 0, 10, 10)
    assert place.box((24, 4, 30, 9)) == (2, 2, 5, 5)
    assert place.box((0, 0, 10, 20)) == (0, 0, 0, 10)  # Cut away entirely: an empty box.
    assert side(64).placement(64, 64).box((3, 5, 64, 64)) == (3, 5, 64, 64)
    assert Preparation((10, 10), crop=False).placement(60, 20).box((30, 10, 60, 20)) == (5, 5, 10, 10)


def image_bytes(image: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format)
    return buffer.getvalue()


def float_levels(value: float) -> Image.Image:
    levels = np.linspace(-2, 3, 64, dtype=np.float32).reshape(8, 8)
    levels[3, 4] = value
    return Image.fromarray(levels)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.jpg", b"hello", "is not an image that can be read here"),
        ("empty.png", b"", "is not an image that can be read here, but empty"),
        ("page.jpg", b"\n<!DOCTYPE html><html>404</html>", "is not an image that can be read here, but a web page"),
        ("lfs.jpg", b"version https://git-lfs.github.com/spec/v1\noid", "is not an image .* a Git LFS pointer"),
        ("ghost.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is not an image that can be read here"),
        ("cut.jpg", image_bytes(Image.effect_noise((64, 64), 50), "jpeg")[:600], "can't be read: .*[Tt]runcated"),
        ("nan.tif", image_bytes(float_levels(np.nan), "tiff"), "can't be read: it contains NaN or infinity"),
        ("inf.tif", image_bytes(float_levels(np.inf), "tiff"), "can't be read: it contains NaN or infinity"),
        # Resizing would bring its short side to 64 pixels and its long one to 6.4 million.
        ("line.png", image_bytes(Image.new("L", (100_000, 1)), "png"), "can't be read: it is too narrow, 100000 x 1 p"),
    ],
)
def test_an_unusable_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadImage, match=f"{name}' {message}"):
        read_image(path, side(64))


def exif_block(rng: np.random.Generator) -> bytes:
    """An EXIF block that says orientation 6, with up to four more entries that are damaged in some way."""
    order = "<>"[rng.integers(2)]
    sizes = (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
    tags = (0x10F, 0x110, 0x11A, 0x128, 0x132, 0x8769, 0x8825, 0x927C, 0xA005, 0xC4A5, 0x201, 0x202, 0x111, 0x14A)
    entries = [(0x112, 3, 1, struct.pack(order + "HH", 6, 0))]
    for _ in range(rng.integers(1, 5)):
        kind, count = int(rng.integers(1, 14)), int(rng.choice([1, 1, 2, 9]))
        length = sizes[kind - 1] * count
        raw = (bytes(length), b"\xff" * length, rng.bytes(length))[rng.integers(3)]
        entries.append((int(rng.choice(tags)), kind, count, raw))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    body, data, offset = struct.pack(order + "H", len(entries)), b"", 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, raw in entries:
        if len(raw) <= 4:
            body += struct.pack(order + "HHI", tag, kind, count) + raw.ljust(4, b"\0")
        else:
            body += struct.pack(order + "HHII", tag, kind, count, offset + len(data))
            data += raw
    return b"Exif\0\0" + head + body + struct.pack(order + "I", 0) + data


def test_damaged_exif_never_matters_and_the_orientation_is_still_read():
    rng, half = np.random.default_rng(5), Image.new("RGB", (48, 32), (0, 0, 0))
    half.paste((255, 255, 255), (0, 0, 48, 16))
    upright = 0
    for _ in range(600):
        buffer = io.BytesIO()
        half.save(buffer, "JPEG", exif=exif_block(rng), quality=95)
        decoded = decode_image(buffer.getvalue(), side(16), name="x")
        upright += (decoded.width, decoded.height) == (32, 48)
    assert upright == 600


@pytest.mark.parametrize(("keyword", "packed"), [("XML:com.adobe.xmp", True), ("Comment", False)])
def test_a_long_text_in_a_png_does_not_matter(keyword, packed):
    info, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_itxt(keyword, "a" * 1_200_000, zip=packed)
    info.add_text("Software", "b" * 70_000_000 if not packed else "b", zip=True)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(buffer, "PNG", pnginfo=info)
    assert decode_image(buffer.getvalue(), side(8), name="x").pixels[0, 0].tolist() == [1, 2, 3]


def test_lab_colours_become_rgb(tmp_path):
    path = save(tmp_path / "a.tif", Image.new("LAB", (8, 8), (138, 209, 198)))  # L 54, a 81, b 70 (D50): pure red
    assert np.abs(read_image(path, side(8)).astype(int) - (255, 0, 0)).max() < 8


def test_a_16_bit_file_is_scaled_by_the_level_that_is_white(tmp_path):
    levels = np.full((8, 8), 2048, np.uint16)
    levels[0] = 5000
    path = save(tmp_path / "a.png", Image.fromarray(levels))
    assert read_image(path, side(8))[:, 0, 0].tolist() == [19] + [8] * 7
    assert read_image(path, Preparation((8, 8), white_level=4095))[:, 0, 0].tolist() == [255] + [128] * 7
    assert decode_image(path.read_bytes(), side(8), name="x").top_level == 5000


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png", Image.new("L", (200, 200)))
    monkeypatch.setattr(decode, "LARGEST_PIXELS", 39_999)
    with pytest.raises(BadImage, match=r"bomb\.png' is too large to decode safely: 200 x 200 pixels"):
        read_image(path, side(8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # Pillow's own guard, which triggers at twice that.
    with pytest.raises(BadImage, match=r"bomb\.png' is too large to decode safely"):
        read_image(path, side(8))


def deep_png(levels: np.ndarray, transparent: int) -> bytes:
    """A PNG with 16 bits, gray (h, w) or coloured (h, w, 3), one level or colour of which is transparent."""
    channels = 1 if levels.ndim == 2 else 3
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 16, channels - 1, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", transparent) * channels),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels))),
        (b"IEND", b""),
    )
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_becomes_white(shape, bits):
    levels = np.full(shape, 80, np.uint8)
    levels[:, :4] = 20
    if bits == 8:
        buffer = io.BytesIO()
        Image.fromarray(levels).save(buffer, "PNG", transparency=20 if len(shape) == 2 else (20, 20, 20))
        content = buffer.getvalue()
    else:
        content = deep_png(levels.astype(np.uint16) * 257, 20 * 257)
    pixels = decode_image(content, side(8), name="x").pixels
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, 4:] == 80).all()


def test_a_16_bit_tiff_whose_zero_is_white_is_inverted():
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 257
    content = image_bytes(Image.fromarray(levels), "tiff")
    photometric = struct.pack("<HHI", 262, 3, 1)
    assert content.count(photometric + struct.pack("<I", 1)) == 1
    inverted = content.replace(photometric + struct.pack("<I", 1), photometric + struct.pack("<I", 0))
    assert decode_image(content, side(8), name="x").pixels[0, :3, 0].tolist() == [0, 1, 2]
    assert decode_image(inverted, side(8), name="x").pixels[0, :3, 0].tolist() == [255, 254, 253]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (np.uint16([0, 4095]), 4095),
        (np.int32([0, 4095]), 4095),
        (np.int32([0, 70_000]), decode.STRETCHED),
        (np.int32([-1, 4095]), decode.STRETCHED),
        (np.float32([0, 1]), decode.STRETCHED),
        (np.uint8([0, 1]), decode.OF_8_BITS),
    ],
)
def test_levels_without_a_common_white_are_distinguished(levels, expected):
    content = image_bytes(Image.fromarray(np.tile(levels, (8, 4))), "tiff")
    assert decode_image(content, side(8), name="x").top_level == expected


def test_a_jpeg_of_a_hundred_thousand_scans_is_refused_at_once_and_a_progressive_one_is_not():
    content = io.BytesIO()
    Image.new("RGB", (256, 256)).save(content, "JPEG", progressive=True)
    progressive = content.getvalue()
    assert decode_image(progressive, Preparation((64, 64)), name="x.jpg").width == 256
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    with pytest.raises(BadImage, match="over its pixels more often"):
        decode_image(progressive[:-2] + scan * 100_000 + progressive[-2:], Preparation((64, 64)), name="x.jpg")
