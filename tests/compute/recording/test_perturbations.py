"""The perturbations against values worked by hand, against torchvision, and torch against numpy bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import gaussian_blur

from compute.recording import perturbation_plans as plans
from compute.recording.perturbations import (
    DEFAULT_VARIANTS,
    VARIANTS,
    batch_of,
    check_variants,
    find_variant,
    shift_offset,
)
from compute.recording.perturbations_device import apply_plan, perturb_on_device


def perturb(name: str, images: np.ndarray, *, seed: int = 7, **strength: float) -> np.ndarray:
    return VARIANTS[name].function(images, images=range(len(images)), seed=seed, **strength)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (70, 20, 24, 3), dtype=np.uint8)


def test_the_defaults_are_the_papers_eight_with_clean_first():
    assert DEFAULT_VARIANTS == (
        "clean",
        "gray",
        "blur3",
        "blur5",
        "bgr",
        "brg",
        "salt_pepper_0.0005",
        "salt_pepper_0.005",
    )
    assert all(VARIANTS[name].keeps_positions for name in DEFAULT_VARIANTS)
    assert [name for name in VARIANTS if not VARIANTS[name].keeps_positions] == ["rotate", "shift", "zoom"]


def test_gray_is_the_rounded_bt601_luma_on_three_channels():
    colours = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]]], np.uint8)
    # 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.07, 255, 2.99 + 11.74 + 3.42 = 18.15
    assert perturb("gray", colours)[0, 0].tolist() == [[v] * 3 for v in (76, 150, 29, 255, 18)]


def test_channel_orders_are_those_of_figure_11():
    pixel = np.array([[[[1, 2, 3]]]], np.uint8)
    assert perturb("clean", pixel).ravel().tolist() == [1, 2, 3]
    assert perturb("bgr", pixel).ravel().tolist() == [3, 2, 1]
    assert perturb("brg", pixel).ravel().tolist() == [3, 1, 2]


def test_blur_of_a_single_bright_pixel_is_the_outer_product_of_the_taps():
    image = np.zeros((1, 7, 7, 3), np.uint8)
    image[0, 3, 3] = 255
    # sigma 0.8: exp(-1 / 1.28) = 0.457833, so the taps are 0.239, 0.522, 0.239 (sum 1)
    centre, side = 1 / (1 + 2 * 0.457833), 0.457833 / (1 + 2 * 0.457833)
    expected = np.round(255 * np.outer([side, centre, side], [side, centre, side]))
    blurred = perturb("blur3", image)[0]
    assert np.array_equal(blurred[2:5, 2:5, 0], expected)
    assert blurred.sum() == 3 * expected.sum()


def test_blur_reflects_the_border_without_repeating_the_edge():
    image = np.zeros((1, 3, 3, 3), np.uint8)
    image[0, :, 0] = 200  # A bright left column: its mirror image beyond the edge is dark.
    # Columns: left 0.522 * 200 = 104.4, middle 0.239 * 200 = 47.8, right 0 (its neighbours are the middle, twice)
    assert perturb("blur3", image)[0, 1, :, 0].tolist() == [104, 48, 0]
    assert plans.reflected(3, 2).tolist() == [2, 1, 0, 1, 2, 1, 0]
    assert plans.reflected(1, 2).tolist() == [0] * 5


def test_blur_leaves_a_flat_image_alone_and_taps_sum_to_one():
    flat = np.full((2, 9, 5, 3), 255, np.uint8)
    for name in ("blur3", "blur5"):
        assert np.array_equal(perturb(name, flat), flat)
    for sigma in (0.1, 0.8, 1.1, 5.0):
        taps = plans.gaussian_taps(5, sigma)
        assert taps[0] + 2 * sum(taps[1:]) == 2**15


@pytest.mark.parametrize(("name", "size", "sigma"), [("blur3", 3, 0.8), ("blur5", 5, 1.1)])
def test_blur_agrees_with_torchvision_but_for_ties(images, name, size, sigma):
    theirs = gaussian_blur(torch.from_numpy(images).permute(0, 3, 1, 2), [size, size], [sigma, sigma])
    difference = np.abs(perturb(name, images).astype(int) - theirs.permute(0, 2, 3, 1).numpy())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005


def test_salt_and_pepper_changes_exactly_the_stated_number_of_values():
    middle = np.full((3, 64, 64, 3), 100, np.uint8)
    # Eq. 12: 0.005 * 64 * 64 * 3 = 61.44 -> 61 values, the odd one is pepper; 0.0005 -> 6.144 -> 6 values
    for name, pepper, salt in (("salt_pepper_0.005", 31, 30), ("salt_pepper_0.0005", 3, 3)):
        noisy = perturb(name, middle).reshape(3, -1)
        assert (noisy == 0).sum(1).tolist() == [pepper] * 3
        assert (noisy == 255).sum(1).tolist() == [salt] * 3


def test_salt_and_pepper_reaches_every_row_column_and_channel():
    middle = np.full((400, 8, 8, 3), 100, np.uint8)
    touched = (perturb("salt_pepper_0.05", middle) != 100).sum(0)
    assert touched.min() > 0
    # 400 images * 10 of 192 values: 20.8 a place on average; a fair draw stays within 6 standard deviations.
    assert abs(touched - 400 * 10 / 192).max() < 6 * np.sqrt(400 * 10 / 192)


def test_noise_depends_on_seed_and_image_number_alone(images):
    whole = perturb("salt_pepper_0.005", images)
    part = VARIANTS["salt_pepper_0.005"].function(images[[40, 3]], images=[40, 3], seed=7)
    assert np.array_equal(part, whole[[40, 3]])
    assert not np.array_equal(whole, perturb("salt_pepper_0.005", images, seed=8))
    assert not np.array_equal(whole[0] != images[0], whole[1] != images[1])


def test_more_noise_keeps_the_places_of_less_noise():
    few = plans.noise_positions(0.0005, 12288, images=[5], seed=1)
    many = plans.noise_positions(0.005, 12288, images=[5], seed=1)
    assert np.array_equal(many[:, : few.shape[1]], few)
    assert len(set(many[0].tolist())) == 61


def test_noise_of_density_zero_changes_nothing(images):
    assert np.array_equal(perturb("salt_pepper_0.005", images, density=0.0), images)


def test_noise_is_the_same_on_every_machine():
    assert plans.noise_positions(0.0005, 12288, images=[0], seed=0).tolist() == [[11272, 7540, 5372, 2405, 8030, 2223]]


def test_shift_moves_every_pixel_by_the_stated_offset(images):
    down, right = shift_offset(20, 24)
    assert (down, right) == (3, 3)  # 2.5 rounds up to 3; 24 / 8 = 3
    shifted = perturb("shift", images)
    assert np.array_equal(shifted[:, down:, right:], images[:, :-down, :-right])


def test_rotation_by_a_quarter_turn_is_counter_clockwise():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    assert np.array_equal(perturb("rotate", image, degrees=90)[0], np.rot90(image[0]))


def test_zoom_by_two_keeps_the_centre_and_spreads_the_rest():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    assert np.array_equal(perturb("zoom", image, factor=2)[0, ::2, ::2], image[0, 2:7, 2:7])


@pytest.mark.parametrize("name", VARIANTS)
def test_torch_equals_numpy_bit_for_bit(images, name):
    tensor = torch.from_numpy(images)
    plan = find_variant(name).plan(batch_of(images.shape, range(70), 7))
    expected = perturb(name, images)
    assert np.array_equal(apply_plan(plan, tensor).numpy(), expected)
    assert np.array_equal(perturb_on_device(name, tensor, images=range(70), seed=7).numpy(), expected)
    assert np.array_equal(tensor.numpy(), np.random.default_rng(1).integers(0, 256, (70, 20, 24, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", VARIANTS)
def test_results_are_new_arrays_and_do_not_depend_on_the_batch(images, name):
    before = images.copy()
    whole = perturb(name, images)
    assert np.array_equal(images, before)
    assert not np.shares_memory(whole, images)
    assert whole.dtype == np.uint8
    parts = [VARIANTS[name].function(images[s], images=range(70)[s], seed=7) for s in (slice(0, 33), slice(33, 70))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert VARIANTS[name].function(images[:0], images=[], seed=7).shape == (0, 20, 24, 3)


def test_unknown_variants_are_refused_with_the_list():
    with pytest.raises(ValueError, match=r"No variant is called 'sepia'\. There are: clean, gray, blur3"):
        find_variant("sepia")
    with pytest.raises(ValueError, match="No variant is called 'sepia'"):
        perturb_on_device("sepia", torch.zeros(1, 4, 4, 3, dtype=torch.uint8), images=[0], seed=0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gray", "clean"], "do not begin with 'clean'"),
        ([], "do not begin with 'clean'"),
        (["clean", "gray", "gray"], "named twice"),
    ],
)
def test_a_list_of_variants_is_checked(names, message):
    with pytest.raises(ValueError, match=message):
        check_variants(names)
    assert check_variants(["clean", "brg"]) == ("clean", "brg")


def test_wrong_images_and_strengths_are_refused(images):
    with pytest.raises(ValueError, match="must be uint8, got float64"):
        perturb("gray", images / 255)
    with pytest.raises(ValueError, match=r"must be uint8, got torch\.float32"):
        perturb_on_device("gray", torch.zeros(1, 4, 4, 3), images=[0], seed=0)
    with pytest.raises(ValueError, match=r"got the shape \(70, 20, 24\)"):
        perturb("gray", images[..., 0])
    with pytest.raises(ValueError, match="70 images but 2 image numbers"):
        VARIANTS["gray"].function(images, images=[0, 1], seed=0)
    with pytest.raises(ValueError, match=r"sigma = 9 is outside the range of variant 'blur3': 0\.1 to 5\.0 pixels"):
        perturb("blur3", images, sigma=9)
    with pytest.raises(ValueError, match="Variant 'gray' has no strength 'sigma': it has no strength to set"):
        perturb("gray", images, sigma=1)
    with pytest.raises(ValueError, match="'shift' has no strength 'left': it takes right, down"):
        perturb("shift", images, left=1)
