"""Atlases and sheets are tested on their pixels."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dashboard.images.sheet import SheetTile, atlas, sheet


def image_at(uri):
    """The image (h, w, 3) in a data address."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))), int)


def test_an_exact_atlas_holds_every_pixel_in_reading_order():
    pixels = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3) * 7
    exact = atlas(pixels, exact=True)
    whole = image_at(exact.uri)
    assert (exact.columns, exact.width, exact.height) == (2, 2, 2)
    assert (whole[:2, 2:] == pixels[1]).all() and (whole[2:, :2] == pixels[2]).all()


def test_the_usual_atlas_is_a_jpeg_close_to_the_images():
    usual = atlas(np.full((5, 16, 16, 3), (200, 30, 90), np.uint8))
    assert usual.uri.startswith("data:image/jpeg;base64,")
    assert np.abs(image_at(usual.uri)[:16, :16] - [200, 30, 90]).max() < 8


def test_a_sheet_shows_its_images_and_the_colour_of_each_tile():
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    tiles = [SheetTile((red, red), ("correct", "P 0.9"), (0, 158, 115))] * 7
    pixels = np.asarray(Image.open(io.BytesIO(sheet(tiles, title="seven", size=32, columns=3))))
    assert (pixels == (255, 0, 0)).all(-1).sum() == 7 * 2 * 32 * 32
    assert (pixels == (0, 158, 115)).all(-1).sum() == 7 * 3 * 68


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="at least one tile"):
        sheet([], title="nothing")
