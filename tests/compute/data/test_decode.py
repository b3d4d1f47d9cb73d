"""Image files of every kind, good and bad, decoded to square RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data import decode
from compute.data.decode import image_size, read_image, read_images, resize_and_crop, square_crop, upright_rgb
from compute.errors import BadImage


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_an_image_of_the_requested_size_is_decoded_as_it_is_from_a_path_or_an_open_file(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(values))
    assert np.array_equal(read_image(path, 8), values)
    assert np.array_equal(read_image(io.BytesIO(path.read_bytes()), 8), values)


def test_grayscale_gets_three_equal_channels(tmp_path):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    path = save(tmp_path / "a.png", Image.fromarray(values))
    assert np.array_equal(read_image(path, 8), np.repeat(values[..., None], 3, 2))


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path):
    path = save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=95)
    assert np.abs(read_image(path, 16).astype(int) - (255, 0, 0)).max() < 12


def test_palette_and_transparency_are_laid_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    clear.paste((0, 0, 200, 255), (0, 0, 4, 8))
    shown = read_image(save(tmp_path / "a.png", clear), 8)
    assert shown[0, 0].tolist() == [0, 0, 200]
    assert shown[0, 7].tolist() == [255, 255, 255]
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert read_image(save(tmp_path / "b.png", palette), 8)[3, 3].tolist() == [10, 200, 30]
    assert read_image(save(tmp_path / "c.png", palette, transparency=1), 8)[3, 3].tolist() == [255, 255, 255]


def test_sixteen_bit_levels_are_scaled_not_clipped(tmp_path):
    levels = np.full((8, 8), 65535 // 2, np.uint16)
    levels[0, 0], levels[0, 1] = 0, 65535
    shown = read_image(save(tmp_path / "a.png", Image.fromarray(levels)), 8)
    assert shown[0, 0, 0] == 0
    assert shown[0, 1, 0] == 255
    assert shown[4, 4].tolist() == [127, 127, 127]  # 32767 / 257 = 127.498


def test_float_images_are_stretched_over_their_own_range(tmp_path):
    levels = np.linspace(-2, 3, 64, dtype=np.float32).reshape(8, 8)
    shown = read_image(save(tmp_path / "a.tif", Image.fromarray(levels)), 8)
    assert (shown[0, 0, 0], shown[7, 7, 0]) == (0, 255)
    flat = read_image(save(tmp_path / "b.tif", Image.fromarray(np.full((8, 8), 7.0, np.float32))), 8)
    assert not flat.any()


def test_the_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (16, 16), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 16, 8))  # White above.
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn clockwise by a quarter to show it upright: white on the right.
    shown = read_image(save(tmp_path / "a.png", image, exif=exif), 16)
    assert shown[:, 12].min() == 255
    assert shown[:, 3].max() == 0
    assert image_size(save(tmp_path / "b.png", Image.new("RGB", (10, 20)), exif=exif)) == (20, 10)


def test_the_steps_are_functions_of_images(tmp_path):
    gradient = Image.linear_gradient("L").resize((40, 30))
    path = save(tmp_path / "a.png", gradient)
    upright = upright_rgb(gradient)
    assert (upright.mode, upright.size) == ("RGB", (40, 30))
    assert np.array_equal(np.asarray(resize_and_crop(upright, 16)), read_image(path, 16))


def test_odd_sizes_are_resized_and_cropped_about_the_centre(tmp_path):
    wide = Image.new("RGB", (60, 20), (0, 0, 0))
    wide.paste((255, 255, 255), (20, 0, 40, 20))  # White in the middle third, which is what remains.
    assert read_image(save(tmp_path / "a.png", wide), 10)[:, 1:9].min() == 255
    assert read_image(save(tmp_path / "b.png", Image.new("RGB", (1, 7))), 10).shape == (10, 10, 3)
    assert read_image(save(tmp_path / "c.jpg", Image.new("RGB", (301, 977), (9, 99, 199))), 10).shape == (10, 10, 3)


def test_boxes_move_with_the_pixels():
    crop = square_crop(60, 20, 10)  # Halved to 30 x 10, then 10 cut off on the left and on the right.
    assert (crop.scale, crop.left, crop.top) == (0.5, 10, 0)
    assert crop.box((20, 0, 40, 20)) == (0, 0, 10, 10)
    assert crop.box((24, 4, 30, 9)) == (2, 2, 5, 5)
    assert crop.box((0, 0, 10, 20)) == (0, 0, 0, 10)  # Cut away entirely: an empty box.
    assert square_crop(64, 64, 64).box((3, 5, 64, 64)) == (3, 5, 64, 64)


def test_many_images_keep_their_order_and_progress_is_reported(tmp_path):
    paths = [save(tmp_path / f"{n}.png", Image.new("RGB", (4, 4), (n, 0, 0))) for n in range(100)]
    counts: list[int] = []
    decoded = read_images(paths * 6, 4, report=counts.append)
    assert decoded[:, 0, 0, 0].tolist() == list(range(100)) * 6
    assert sum(counts) == 600
    assert read_images([], 4).shape == (0, 4, 4, 3)


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
        ("text.jpg", b"hello", "is not an image that Pillow can read"),
        ("empty.png", b"", "is not an image that Pillow can read"),
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
        read_image(path, 64)
    with pytest.raises(BadImage, match=f"^(The image )?'the upload' {message}"):
        read_image(io.BytesIO(content), 64, name="the upload")
    whole = save(tmp_path / "whole.png", Image.new("L", (3000, 1)))  # Narrow, but not too narrow.
    with pytest.raises(BadImage, match=f"{name}' {message}"):
        read_images([whole, path, tmp_path / "missing.png"], 64)


def test_a_file_without_a_size_is_named(tmp_path):
    (tmp_path / "text.jpg").write_bytes(b"hello")
    for name, message in (("text.jpg", "is not an image"), ("missing.png", "can't be read")):
        with pytest.raises(BadImage, match=f"{name}' {message}"):
            image_size(tmp_path / name)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = save(tmp_path / "bomb.png", Image.new("L", (200, 200)))
    monkeypatch.setattr(decode, "LARGEST_PIXELS", 39_999)
    with pytest.raises(BadImage, match=r"bomb\.png' is too large to decode safely: 200 x 200 pixels"):
        read_image(path, 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # Pillow's own guard, which triggers at twice that.
    with pytest.raises(BadImage, match=r"bomb\.png' is too large to decode safely"):
        read_image(path, 8)
