"""Class maps as codes and colours, on values worked out by hand."""

import numpy as np
import pytest

from dashboard.images.maps import (
    COLOUR_MAPS,
    DIVERGING,
    SCALES,
    colour_bar,
    colour_map,
    difference_kind,
    scale_maps,
    upsample,
)


def test_eq10_divides_each_map_by_its_own_maximum():
    maps = np.array([[[0.0, 2.0], [1.0, 4.0]], [[0.0, 0.5], [0.25, 0.0]]])
    scaled = scale_maps(maps, kind="eq10")
    assert scaled.codes.tolist() == [[[0, 128], [64, 255]], [[0, 255], [128, 0]]]
    assert scaled.maximum is None and "Eq. 10" in scaled.label


def test_the_common_scale_keeps_maps_comparable_and_names_its_maximum():
    maps = np.array([[[4.0]], [[1.0]]])
    scaled = scale_maps(maps, kind="common")
    assert scaled.codes.ravel().tolist() == [255, 64]
    assert scaled.maximum == 4.0 and scaled.high == "4"


def test_signed_maps_have_zero_in_the_middle_of_the_codes():
    scaled = scale_maps(np.array([[[-2.0, 0.0, 2.0]]]), signed=True)
    assert scaled.codes.ravel().tolist() == [1, 128, 255]
    assert scaled.low == "−max"


def test_the_relief_stretches_each_map_from_its_lowest_to_its_highest_cell():
    scaled = scale_maps(np.array([[[7.0, 7.5, 8.0]], [[-3.0, -1.0, 1.0]]]), kind="relief", signed=True)
    assert scaled.codes.tolist() == [[[0, 128, 255]], [[0, 128, 255]]]
    assert scaled.lowest.tolist() == [7, -3] and scaled.highest.tolist() == [8, 1]
    assert not scaled.signed and (scaled.low, scaled.high) == ("lowest", "highest")
    assert "lowest to its highest" in scaled.label


def test_differences_keep_a_colour_for_zero_whatever_the_maps_are_drawn_on():
    assert [difference_kind(kind) for kind in SCALES] == ["eq10", "common", "eq10"]


@pytest.mark.parametrize("kind", SCALES)
def test_a_silent_map_is_marked_and_stays_dark_on_every_scale(kind):
    scaled = scale_maps(np.stack([np.zeros((2, 2)), np.ones((2, 2))]), kind=kind)
    assert scaled.silent.tolist() == [True, False]
    assert scaled.codes[0].max() == 0


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="no scale 'log'; there are eq10, common"):
        scale_maps(np.ones((1, 2, 2)), kind="log")


def test_an_unknown_colour_map_is_refused():
    with pytest.raises(ValueError, match="no colour map 'jet'"):
        colour_map("jet")


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colour_maps_grow_lighter_from_end_to_end(name):
    lightness = colour_map(name).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1).all() and lightness[-1] - lightness[0] > 100


def test_the_diverging_map_is_darkest_at_zero():
    lightness = colour_map(DIVERGING).astype(float).sum(1)
    assert 108 <= lightness.argmin() <= 148
    assert lightness[0] > 2 * lightness[128] and lightness[-1] > 2 * lightness[128]


def test_upsampling_repeats_each_cell():
    enlarged = upsample(np.array([[10, 200], [0, 90]], np.uint8), (4, 4))
    assert enlarged[:2, :2].tolist() == [[10, 10], [10, 10]]
    assert enlarged[2:, 2:].tolist() == [[90, 90], [90, 90]]


def test_a_colour_bar_runs_from_lowest_to_highest():
    bar = colour_bar("magma", width=256)
    assert bar.shape == (12, 256, 3)
    assert bar[0, 0].tolist() == colour_map("magma")[0].tolist()
    assert bar[2, -1].tolist() == colour_map("magma")[255].tolist()
