"""Every decoded value lies within half a quantisation step of the one given, whatever was given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import BadMaps
from store.format.quantization import Quantiser, decode, error_bound, zero_point


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
    quantised, scale = quantiser.encode(maps)
    assert quantised.dtype == np.uint8 and quantised.shape == maps.shape
    assert scale.dtype == np.float32 and scale.shape == maps.shape[:2] and (scale > 0).all()
    decoded = decode(quantised, scale, zero_point=zero_point(quantiser.signed))
    difference = np.abs(decoded.astype(np.float64) - maps)
    assert (difference <= error_bound(scale)[..., None, None]).all()
    assert (decoded[maps == 0] == 0).all()
    return quantised, scale


@pytest.mark.parametrize("per_map", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_value_decodes_within_the_stated_bound(signed, per_map, data):
    assert_within_bound(data.draw(map_blocks(signed=signed)), Quantiser(signed=signed, per_map=per_map))


@pytest.mark.parametrize("classes", [1, 2, 200, 1000, 1500])
def test_any_number_of_classes_is_quantised(classes):
    maps = np.random.default_rng(0).gamma(0.3, 5, (2, classes, 7, 7)).astype(np.float32)
    assert_within_bound(maps, Quantiser())


def test_the_bound_is_half_a_step_and_the_step_a_255th_of_the_largest_value():
    maps = np.array([[[[51.0, 102.0], [0.0, 25.6]], [[1.0, 0.0], [0.0, 0.4]]]], np.float32)
    quantised, scale = Quantiser(per_map=True).encode(maps)
    np.testing.assert_allclose(scale, [[102 / 255, 1 / 255]], rtol=1e-6)
    assert quantised.tolist() == [[[[128, 255], [0, 64]], [[255, 0], [0, 102]]]]
    np.testing.assert_allclose(error_bound(scale), scale / 2, rtol=3e-4)


def test_the_byte_of_zero_is_the_one_that_readers_of_other_languages_rely_on():
    maps = np.array([[[[0.0, -127.0, 127.0]]]], np.float32)
    assert Quantiser(signed=True).encode(maps)[0].tolist() == [[[[128, 1, 255]]]]
    assert Quantiser().encode(np.abs(maps))[0].tolist() == [[[[0, 255, 255]]]]


def test_weaker_maps_of_an_image_take_its_scale_halved_until_they_span_31_steps():
    maps = np.zeros((1, 5, 2, 2), np.float32)
    maps[0, :, 0, 0] = [255, 31, 30.9, 1, 0]
    quantised, scale = Quantiser().encode(maps)
    assert scale.tolist() == [[1, 0.5, 0.5, 1 / 32, 1]]
    assert quantised[0, :, 0, 0].tolist() == [255, 62, 62, 32, 0]
    levels = maps.max((2, 3)) / scale
    assert (levels[levels > 0] >= 31).all()


def test_the_scale_of_an_image_keeps_31_levels_of_every_map_with_evidence():
    maps = np.random.default_rng(1).gamma(0.2, 3, (20, 50, 8, 8)).astype(np.float32)
    _, scale = Quantiser().encode(maps)
    assert (maps.max((2, 3)) / scale >= 31 * (1 - 1e-6)).all()
    assert len(np.unique(np.frexp(scale)[0], axis=None)) <= 20  # one mantissa an image


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("signed", [False, True])
def test_values_that_no_byte_stands_for_are_refused_with_image_and_class(value, signed):
    maps = np.ones((4, 6, 2, 2), np.float32)
    maps[2, 5, 1, 0] = value
    with pytest.raises(BadMaps, match=r"image 2, class 5 has .* in cell 2") as caught:
        Quantiser(signed=signed).encode(maps)
    assert caught.value.place == (2, 5)


def test_a_negative_value_is_refused_unless_the_run_is_signed_and_a_negative_zero_is_zero():
    maps = np.ones((1, 2, 2, 2), np.float32)
    maps[0, 1, 0, 1] = -1e-20
    with pytest.raises(BadMaps, match="must be finite and not negative"):
        Quantiser().encode(maps)
    assert_within_bound(maps, Quantiser(signed=True))
    maps = np.array([[[[-0.0, 3.0]], [[-0.0, -0.0]]]], np.float32)
    quantised, _ = assert_within_bound(maps, Quantiser())
    assert quantised.ravel().tolist() == [0, 255, 0, 0]
