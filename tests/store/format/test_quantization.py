"""The codec's law: every decoded value lies within half a step of what was given, whatever was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import BadMaps
from store.format.quantization import Quantiser, decode, error_bound
from store.format.schema import PRECISIONS


@st.composite
def map_blocks(draw, *, signed=False):
    """Blocks (n, C, H, W) whose maps span the whole range of float32, silent and denormal ones included."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exponents = draw(st.sampled_from([(-1, 1), (-45, -37), (36, 38), (-45, 38)]))
    peaks = 10.0 ** random.uniform(*exponents, shape[:2])
    peaks[random.random(shape[:2]) < 0.2] = 0
    values = random.random(shape) * (random.random(shape) < draw(st.floats(0, 1)))
    if signed:
        values *= random.choice([-1, 1], shape)
    return np.clip(values * peaks[..., None, None], -3.4e38, 3.4e38).astype(np.float32)


def assert_within_bound(maps, quantiser):
    codes, steps = quantiser.encode(maps)
    assert codes.dtype == np.uint8 and codes.shape == maps.shape
    assert steps.dtype == np.float32 and steps.shape == maps.shape[:2] and (steps > 0).all()
    decoded = decode(codes, steps, zero_point=quantiser.zero_point)
    difference = np.abs(decoded.astype(np.float64) - maps)
    assert (difference <= error_bound(steps)[..., None, None]).all()
    assert (decoded[maps == 0] == 0).all()
    return codes, steps


@pytest.mark.parametrize("precision", PRECISIONS)
@given(maps=map_blocks())
@settings(max_examples=150, deadline=None)
def test_every_value_decodes_within_the_stated_bound(precision, maps):
    assert_within_bound(maps, Quantiser(precision=precision))


@pytest.mark.parametrize("precision", PRECISIONS)
@given(maps=map_blocks(signed=True))
@settings(max_examples=150, deadline=None)
def test_every_signed_value_decodes_within_the_stated_bound(precision, maps):
    assert_within_bound(maps, Quantiser(signed=True, precision=precision))


@pytest.mark.parametrize("classes", [1, 2, 200, 1000, 1500])
def test_any_number_of_classes_is_coded(classes):
    maps = np.random.default_rng(0).gamma(0.3, 5, (2, classes, 7, 7)).astype(np.float32)
    assert_within_bound(maps, Quantiser())


def test_the_bound_is_half_a_step_and_the_step_a_255th_of_the_largest_value():
    maps = np.array([[[[51.0, 102.0], [0.0, 25.6]], [[1.0, 0.0], [0.0, 0.4]]]], np.float32)
    codes, steps = Quantiser(precision="map").encode(maps)
    np.testing.assert_allclose(steps, [[102 / 255, 1 / 255]], rtol=1e-6)
    assert codes.tolist() == [[[[128, 255], [0, 64]], [[255, 0], [0, 102]]]]
    np.testing.assert_allclose(error_bound(steps), steps / 2, rtol=3e-4)


def test_weaker_maps_of_a_image_take_its_step_halved_until_they_span_31_steps():
    maps = np.zeros((1, 5, 2, 2), np.float32)
    maps[0, :, 0, 0] = [255, 31, 30.9, 1, 0]
    codes, steps = Quantiser(precision="image").encode(maps)
    assert steps.tolist() == [[1, 0.5, 0.5, 1 / 32, 1]]
    assert codes[0, :, 0, 0].tolist() == [255, 62, 62, 32, 0]
    levels = maps.max((2, 3)) / steps
    assert (levels[levels > 0] >= 31).all()


def test_image_precision_keeps_31_levels_of_every_map_with_evidence():
    maps = np.random.default_rng(1).gamma(0.2, 3, (20, 50, 8, 8)).astype(np.float32)
    _, steps = Quantiser(precision="image").encode(maps)
    assert (maps.max((2, 3)) / steps >= 31 * (1 - 1e-6)).all()
    assert len(np.unique(np.frexp(steps)[0], axis=None)) <= 20  # one mantissa an image


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("signed", [False, True])
def test_values_without_a_code_are_refused_with_image_and_class(value, signed):
    maps = np.ones((4, 6, 2, 2), np.float32)
    maps[2, 5, 1, 0] = value
    with pytest.raises(BadMaps, match=r"image 2, class 5 holds .* in cell 2") as caught:
        Quantiser(signed=signed).encode(maps)
    assert (caught.value.image, caught.value.class_index) == (2, 5)


def test_a_negative_value_is_refused_unless_the_run_is_signed():
    maps = np.ones((1, 2, 2, 2), np.float32)
    maps[0, 1, 0, 1] = -1e-20
    with pytest.raises(BadMaps, match="must be finite and not negative"):
        Quantiser().encode(maps)
    assert_within_bound(maps, Quantiser(signed=True))


def test_a_negative_zero_is_zero():
    maps = np.array([[[[-0.0, 3.0]], [[-0.0, -0.0]]]], np.float32)
    codes, _ = assert_within_bound(maps, Quantiser())
    assert codes.ravel().tolist() == [0, 255, 0, 0]


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="Precision 'fine' is unknown: choose one of image, compact, map"):
        Quantiser(precision="fine")
