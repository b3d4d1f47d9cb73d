"""An image of the reader's own: whatever it is, it fits the network or is refused with the reason."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dashboard.components.clipboard import pasted_bytes
from dashboard.images.upload import prepare_upload
from store.synthetic import write_synthetic_run


def file_of(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_it_is_cut_from_the_middle_and_resized():
    image = np.zeros((40, 100, 3), np.uint8)
    image[:, 30:70] = (10, 200, 30)
    upload = prepare_upload(file_of(Image.fromarray(image)), (8, 8))
    assert upload.image.shape == (8, 8, 3) and (upload.image == (10, 200, 30)).all()
    assert upload.notes == ()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "F"])
def test_any_colour_mode_becomes_eight_bit_rgb(mode):
    form = "TIFF" if mode in ("CMYK", "F") else "PNG"
    upload = prepare_upload(file_of(Image.new(mode, (20, 20)), form), (8, 8)).image
    assert upload.shape == (8, 8, 3) and upload.dtype == np.uint8


def test_sixteen_bits_keep_their_shades():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    upload = prepare_upload(file_of(Image.fromarray(np.tile(ramp, (256, 1)))), (256, 256))
    assert np.abs(upload.image[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    assert "8 bits" in upload.notes[0]


def test_what_is_transparent_lies_on_gray():
    upload = prepare_upload(file_of(Image.new("RGBA", (20, 20), (255, 0, 0, 0))), (8, 8))
    assert (upload.image == 128).all() and "transparent" in upload.notes[0]


def test_a_moving_image_shows_its_first_frame():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    upload = prepare_upload(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]), (8, 8))
    assert (upload.image == (255, 0, 0)).all() and "first of its 3 frames" in upload.notes[0]


def test_it_is_turned_upright_by_its_exif_note():
    image = Image.new("RGB", (20, 20), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 20, 10))
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    upload = prepare_upload(file_of(image, "JPEG", exif=turned, quality=95), (20, 20))
    assert upload.image[2, 10, 0] > 200 and upload.image[17, 10, 2] > 200
    assert "upright" in upload.notes[0]


def test_a_tiny_image_is_enlarged_and_says_so():
    upload = prepare_upload(file_of(Image.new("RGB", (1, 1), "red")), (64, 64))
    assert upload.image.shape == (64, 64, 3) and "enlarged" in upload.notes[0]


@pytest.mark.parametrize("content", [b"", b"not an image", b"<svg></svg>"])
def test_what_is_no_image_is_refused(content):
    with pytest.raises(ValueError, match="not an image"):
        prepare_upload(content, (8, 8))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_file_that_was_cut_short_is_refused(form):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    content = file_of(noise, form)
    with pytest.raises(ValueError, match=r"damaged or incomplete|not an image"):
        prepare_upload(content[: len(content) // 2], (8, 8))


def test_too_many_pixels_are_refused_before_they_are_unpacked(monkeypatch):
    monkeypatch.setattr("dashboard.images.upload.MOST_PIXELS", 99)
    with pytest.raises(ValueError, match="10×10 pixels"):
        prepare_upload(file_of(Image.new("RGB", (10, 10))), (8, 8))


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="Nothing was unpacked"):
        prepare_upload(file_of(Image.new("RGB", (10, 10))), (8, 8))


def test_too_many_bytes_and_long_strips_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="strip of 300×10"):
        prepare_upload(file_of(Image.new("RGB", (300, 10))), (8, 8))
    monkeypatch.setattr("dashboard.images.upload.MOST_BYTES", 10)
    with pytest.raises(ValueError, match="are accepted"):
        prepare_upload(file_of(Image.new("RGB", (10, 10))), (8, 8))


def test_a_pasted_image_arrives_as_its_file():
    content = file_of(Image.new("RGB", (5, 5)))
    assert pasted_bytes("data:image/png;base64," + base64.b64encode(content).decode()) == content


@pytest.mark.parametrize("uri", ["hello", None, 7, "data:text/html;base64,AAAA", "data:image/png,AAAA"])
def test_what_is_pasted_must_be_an_image(uri):
    with pytest.raises(ValueError, match="not an image"):
        pasted_bytes(uri)


def test_a_damaged_paste_is_refused():
    with pytest.raises(ValueError, match="damaged"):
        pasted_bytes("data:image/png;base64,?!")


@pytest.fixture
def named_network(tmp_path):
    """A folder with a run that names its network, so that the page asks for an image."""
    write_synthetic_run(tmp_path / "named", epochs=1, configuration={"model": {"name": "paper", "options": {}}})
    return tmp_path


@pytest.mark.parametrize("source", ["file", "clipboard", "camera"])
def test_the_page_waits_for_an_image_from_every_source(opened, named_network, source):
    app = opened(named_network, "live", source=source)
    assert not app.exception and not app.error and not app.warning
    assert any("stays on this machine" in part.value for part in app.caption)


def test_an_image_from_the_record_needs_weights_and_says_so(opened, named_network):
    app = opened(named_network, "live", source="record", image="3")
    assert not app.exception
    assert len(app.error) == 1
