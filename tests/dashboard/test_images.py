"""Images are tested on their content: pixel values worked out by hand."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dashboard import images


def test_eq10_divides_each_map_by_its_own_maximum():
    maps = np.array([[[0.0, 2.0], [1.0, 4.0]], [[0.0, 0.5], [0.25, 0.0]]])
    scaled = images.scale_maps(maps, kind="eq10")
    assert scaled.codes.tolist() == [[[0, 128], [64, 255]], [[0, 255], [128, 0]]]
    assert scaled.maximum is None and "Eq. 10" in scaled.label


def test_the_common_scale_keeps_maps_comparable_and_names_its_maximum():
    maps = np.array([[[4.0]], [[1.0]]])
    scaled = images.scale_maps(maps, kind="common")
    assert scaled.codes.ravel().tolist() == [255, 64]
    assert scaled.maximum == 4.0 and scaled.high == "4"


def test_signed_maps_have_zero_in_the_middle_of_the_codes():
    scaled = images.scale_maps(np.array([[[-2.0, 0.0, 2.0]]]), signed=True)
    assert scaled.codes.ravel().tolist() == [1, 128, 255]
    assert scaled.low == "−max"


def test_the_relief_stretches_each_map_from_its_lowest_to_its_highest_cell():
    scaled = images.scale_maps(np.array([[[7.0, 7.5, 8.0]], [[-3.0, -1.0, 1.0]]]), kind="relief", signed=True)
    assert scaled.codes.tolist() == [[[0, 128, 255]], [[0, 128, 255]]]
    assert scaled.lowest.tolist() == [7, -3] and scaled.highest.tolist() == [8, 1]
    assert not scaled.signed and (scaled.low, scaled.high) == ("lowest", "highest")
    assert "lowest to its highest" in scaled.label


def test_differences_keep_a_colour_for_zero_whatever_the_maps_are_drawn_on():
    assert [images.difference_kind(kind) for kind in images.SCALES] == ["eq10", "common", "eq10"]


def test_a_silent_map_is_marked_and_stays_dark_on_both_scales():
    maps = np.stack([np.zeros((2, 2)), np.ones((2, 2))])
    for kind in images.SCALES:
        scaled = images.scale_maps(maps, kind=kind)
        assert scaled.silent.tolist() == [True, False]
        assert scaled.codes[0].max() == 0


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="'log' was asked for; there are eq10, common"):
        images.scale_maps(np.ones((1, 2, 2)), kind="log")


def test_an_unknown_colour_map_is_refused():
    with pytest.raises(ValueError, match="'jet' was asked for"):
        images.colour_map("jet")


@pytest.mark.parametrize("name", images.COLOUR_MAPS)
def test_colour_maps_grow_lighter_from_end_to_end(name):
    lightness = images.colour_map(name).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1).all() and lightness[-1] - lightness[0] > 100


def test_the_diverging_map_is_darkest_at_zero():
    lightness = images.colour_map(images.DIVERGING).astype(float).sum(1)
    assert 108 <= lightness.argmin() <= 148
    assert lightness[0] > 2 * lightness[128] and lightness[-1] > 2 * lightness[128]


def test_upsampling_repeats_each_cell():
    enlarged = images.upsample(np.array([[10, 200], [0, 90]], np.uint8), (4, 4))
    assert enlarged[:2, :2].tolist() == [[10, 10], [10, 10]]
    assert enlarged[2:, 2:].tolist() == [[90, 90], [90, 90]]


def test_overlay_mixes_image_and_map_by_opacity():
    image = np.full((4, 4, 3), 100, np.uint8)
    codes = np.full((2, 2), 255, np.uint8)
    top = images.colour_map("gray")[255].astype(float)
    assert images.overlay(image, codes, name="gray", opacity=0.0).tolist() == image.tolist()
    assert images.overlay(image, codes, name="gray", opacity=1.0)[0, 0].tolist() == top.tolist()
    assert images.overlay(image, codes, name="gray", opacity=0.5)[0, 0].tolist() == [178, 178, 178]


def test_an_exact_atlas_holds_every_pixel_in_reading_order():
    pixels = np.arange(3 * 2 * 2 * 3, dtype=np.uint8).reshape(3, 2, 2, 3) * 7
    made = images.atlas(pixels, exact=True)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(made.uri.split(",")[1]))))
    assert (made.columns, made.width, made.height) == (2, 2, 2)
    assert (sheet[:2, 2:] == pixels[1]).all() and (sheet[2:, :2] == pixels[2]).all()


def test_the_usual_atlas_is_a_jpeg_close_to_the_images():
    pixels = np.full((5, 16, 16, 3), (200, 30, 90), np.uint8)
    made = images.atlas(pixels)
    assert made.uri.startswith("data:image/jpeg;base64,")
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(made.uri.split(",")[1]))), int)
    assert np.abs(sheet[:16, :16] - [200, 30, 90]).max() < 8


def test_a_colour_bar_runs_from_lowest_to_highest():
    bar = images.colour_bar("magma", width=256, height=3)
    assert bar.shape == (3, 256, 3)
    assert bar[0, 0].tolist() == images.colour_map("magma")[0].tolist()
    assert bar[2, -1].tolist() == images.colour_map("magma")[255].tolist()


def test_a_sheet_shows_its_images_and_the_colour_of_the_answer():
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    tiles = [images.SheetTile((red, red), ("right", "P 0.9"), (0, 158, 115))] * 7
    sheet = np.asarray(Image.open(io.BytesIO(images.sheet(tiles, title="seven", size=32, columns=3))))
    assert (sheet == (255, 0, 0)).all(-1).sum() == 7 * 2 * 32 * 32
    assert (sheet == (0, 158, 115)).all(-1).sum() == 7 * 3 * 68


def test_an_empty_sheet_is_refused():
    with pytest.raises(ValueError, match="needs at least one"):
        images.sheet([], title="nothing")
