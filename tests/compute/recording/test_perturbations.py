"""The perturbations against values worked by hand, a small numpy definition, Pillow and torchvision."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import gaussian_blur

from compute.config.settings import PAPER_VARIANTS
from compute.errors import BadOption
from compute.recording.perturbations import (
    PERTURBATIONS,
    check_variants,
    find_perturbation,
    gaussian_taps,
    mirrored,
    noise_positions,
    own_perturbation,
    perturb,
    perturb_array,
    shift_offset,
)

GRAY = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)


def perturbed(name: str, images: np.ndarray, *, seed: int = 7, **strengths: float) -> np.ndarray:
    return perturb_array(name, images, numbers=range(len(images)), seed=seed, **strengths)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (70, 20, 24, 3), dtype=np.uint8)


def sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The definition of moved images in floating point: bilinear at (rows, columns) (h, w), borders mirrored."""
    height, width = images.shape[1:3]
    rows, columns = np.round(rows * 64) / 64, np.round(columns * 64) / 64
    y, x = np.floor(rows).astype(int), np.floor(columns).astype(int)
    total = np.zeros(images.shape)
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dy - (rows - y)) * np.abs(1 - dx - (columns - x))
            pixels = images[:, mirrored(y + dy, height), mirrored(x + dx, width)]
            total += share[..., None] * pixels
    return np.floor(total + 0.5)


def test_the_papers_eight_come_first_and_three_move_objects():
    assert tuple(PERTURBATIONS)[:8] == PAPER_VARIANTS
    assert [name for name in PERTURBATIONS if not PERTURBATIONS[name].keeps_positions] == ["rotate", "shift", "zoom"]


def test_a_variant_says_how_it_is_made():
    variant = check_variants(["clean", "shift"])[1].variant()
    assert (variant.name, variant.label, variant.keeps_positions) == ("shift", "shifted", False)
    assert variant.parameters == {"right": 0.125, "down": 0.125}


def test_a_variant_takes_any_strength_within_its_range_by_its_name(images):
    variant = check_variants(["clean", "salt_pepper_0.02"])[1]
    assert variant.variant().parameters == {"density": 0.02} and variant.label == "salt and pepper 2 %"
    ours = perturb(variant, torch.from_numpy(images), numbers=range(70), seed=7).numpy()
    assert np.array_equal(ours, perturbed("salt_pepper_0.05", images, density=0.02))
    assert check_variants(["clean", "rotate_45"])[1].variant().keeps_positions is False


def test_gray_is_the_rounded_bt601_luma_on_three_channels(images):
    colours = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]]], np.uint8)
    # 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.07, 255, 2.99 + 11.74 + 3.42 = 18.15
    assert perturbed("gray", colours)[0, 0].tolist() == [[v] * 3 for v in (76, 150, 29, 255, 18)]
    by_pillow = np.stack([np.asarray(Image.fromarray(image).convert("L").convert("RGB")) for image in images])
    assert np.array_equal(perturbed("gray", images), by_pillow)


def test_channel_orders_are_those_of_figure_11():
    pixel = np.array([[[[1, 2, 3]]]], np.uint8)
    assert perturbed("clean", pixel).ravel().tolist() == [1, 2, 3]
    assert perturbed("bgr", pixel).ravel().tolist() == [3, 2, 1]
    assert perturbed("brg", pixel).ravel().tolist() == [3, 1, 2]


def test_blur_of_a_single_bright_pixel_is_the_outer_product_of_the_taps():
    image = np.zeros((1, 7, 7, 3), np.uint8)
    image[0, 3, 3] = 255
    # sigma 0.8: exp(-1 / 1.28) = 0.457833, so the taps are 0.239, 0.522, 0.239 (sum 1)
    centre, side = 1 / (1 + 2 * 0.457833), 0.457833 / (1 + 2 * 0.457833)
    expected = np.round(255 * np.outer([side, centre, side], [side, centre, side]))
    blurred = perturbed("blur3", image)[0]
    assert np.array_equal(blurred[2:5, 2:5, 0], expected)
    assert blurred.sum() == 3 * expected.sum()


def test_blur_reflects_the_border_without_repeating_the_edge():
    image = np.zeros((1, 3, 3, 3), np.uint8)
    image[0, :, 0] = 200  # A bright left column: its mirror image beyond the edge is dark.
    # Columns: left 0.522 * 200 = 104.4, middle 0.239 * 200 = 47.8, right 0 (its neighbours are the middle, twice)
    assert perturbed("blur3", image)[0, 1, :, 0].tolist() == [104, 48, 0]
    assert mirrored(np.arange(-2, 5), 3).tolist() == [2, 1, 0, 1, 2, 1, 0]
    assert mirrored(np.arange(-2, 3), 1).tolist() == [0] * 5


def test_blur_leaves_a_flat_image_alone_and_taps_sum_to_one():
    flat = np.full((2, 9, 5, 3), 255, np.uint8)
    for name in ("blur3", "blur5"):
        assert np.array_equal(perturbed(name, flat), flat)
    for sigma in (0.1, 0.8, 1.1, 5.0):
        taps = gaussian_taps(5, sigma)
        assert taps[0] + 2 * sum(taps[1:]) == 2**15


@pytest.mark.parametrize(("name", "size", "sigma"), [("blur3", 3, 0.8), ("blur5", 5, 1.1)])
def test_blur_agrees_with_torchvision_but_for_ties(images, name, size, sigma):
    theirs = gaussian_blur(torch.from_numpy(images).permute(0, 3, 1, 2), [size, size], [sigma, sigma])
    difference = np.abs(perturbed(name, images).astype(int) - theirs.permute(0, 2, 3, 1).numpy())
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005


def test_salt_and_pepper_changes_exactly_the_stated_number_of_values():
    middle = np.full((3, 64, 64, 3), 100, np.uint8)
    # Eq. 12: 0.005 * 64 * 64 * 3 = 61.44 -> 61 values, the odd one is pepper; 0.0005 -> 6.144 -> 6 values
    for name, pepper, salt in (("salt_pepper_0.005", 31, 30), ("salt_pepper_0.0005", 3, 3)):
        noisy = perturbed(name, middle).reshape(3, -1)
        assert (noisy == 0).sum(1).tolist() == [pepper] * 3
        assert (noisy == 255).sum(1).tolist() == [salt] * 3
    assert noise_positions(0.005, 300, numbers=[0], seed=0).shape == (1, 2)  # 1.5 values: half a value counts


def test_salt_and_pepper_reaches_every_row_column_and_channel():
    middle = np.full((400, 8, 8, 3), 100, np.uint8)
    touched = (perturbed("salt_pepper_0.05", middle) != 100).sum(0)
    assert touched.min() > 0
    # 400 images * 10 of 192 values: 20.8 a place on average; a fair draw stays within 6 standard deviations.
    assert abs(touched - 400 * 10 / 192).max() < 6 * np.sqrt(400 * 10 / 192)


def test_noise_depends_on_seed_and_image_number_alone(images):
    whole = perturbed("salt_pepper_0.005", images)
    part = perturb_array("salt_pepper_0.005", images[[40, 3]], numbers=[40, 3], seed=7)
    assert np.array_equal(part, whole[[40, 3]])
    assert not np.array_equal(whole, perturbed("salt_pepper_0.005", images, seed=8))
    assert not np.array_equal(whole[0] != images[0], whole[1] != images[1])


def test_more_noise_keeps_the_positions_of_less_noise(images):
    few = noise_positions(0.0005, 12288, numbers=[5], seed=1)
    many = noise_positions(0.005, 12288, numbers=[5], seed=1)
    assert np.array_equal(many[:, : few.shape[1]], few)
    assert len(set(many[0].tolist())) == 61
    assert np.array_equal(perturbed("salt_pepper_0.005", images, density=0.0), images)


def test_noise_is_the_same_on_every_machine():
    assert noise_positions(0.0005, 12288, numbers=[0], seed=0).tolist() == [[11272, 7540, 5372, 2405, 8030, 2223]]


def test_shift_moves_every_pixel_by_the_stated_offset(images):
    down, right = shift_offset(20, 24)
    assert (down, right) == (3, 3)  # 2.5 rounds up to 3; 24 / 8 = 3
    assert np.array_equal(perturbed("shift", images)[:, down:, right:], images[:, :-down, :-right])


def test_rotation_by_a_quarter_turn_is_counter_clockwise_and_zoom_by_two_keeps_the_centre():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    assert np.array_equal(perturbed("rotate", image, degrees=90)[0], np.rot90(image[0]))
    assert np.array_equal(perturbed("zoom", image, factor=2)[0, ::2, ::2], image[0, 2:7, 2:7])


def test_moved_images_are_the_mean_of_four_pixels_by_their_distance(images):
    y, x = np.meshgrid(np.arange(20) - 9.5, np.arange(24) - 11.5, indexing="ij")
    cos, sin = np.cos(np.radians(20)), np.sin(np.radians(20))
    rotated = sampled(images, cos * y + sin * x + 9.5, -sin * y + cos * x + 11.5)
    assert np.array_equal(perturbed("rotate", images), rotated)
    assert np.array_equal(perturbed("zoom", images), sampled(images, y / 1.25 + 9.5, x / 1.25 + 11.5))


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_results_are_new_arrays_and_do_not_depend_on_the_batch(images, name):
    before = images.copy()
    whole = perturbed(name, images)
    assert np.array_equal(images, before)
    assert not np.shares_memory(whole, images)
    assert whole.dtype == np.uint8
    parts = [perturb_array(name, images[s], numbers=range(70)[s], seed=7) for s in (slice(0, 33), slice(33, 70))]
    assert np.array_equal(np.concatenate(parts), whole)
    assert perturb_array(name, images[:0], numbers=[], seed=7).shape == (0, 20, 24, 3)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["gray", "clean"], "must begin with 'clean'"),
        ([], "must begin with 'clean'"),
        (["clean", "gray", "gray"], "listed twice"),
        (["clean", "sepia"], r"There is no variant 'sepia'\. Available: clean, gray, blur3"),
        (["clean", "gray_2"], r"There is no variant 'gray_2'.*salt_pepper_NUMBER, rotate_NUMBER"),
        (["clean", "salt_pepper_nan"], "There is no variant"),
        (["clean", "salt_pepper_0.010"], "Write the variant 'salt_pepper_0.010' as 'salt_pepper_0.01'"),
        (["clean", "salt_pepper_0.9"], "density = 0.9 is outside the range"),
    ],
)
def test_a_list_of_variants_is_checked(names, message):
    with pytest.raises(ValueError, match=message):
        check_variants(names)
    assert [each.name for each in check_variants(["clean", "brg"])] == ["clean", "brg"]


@pytest.mark.parametrize(
    ("name", "images", "strengths", "message"),
    [
        ("sepia", GRAY, {}, "There is no variant 'sepia'"),
        ("gray", GRAY / 255, {}, r"must be uint8, got torch\.float32"),
        ("gray", GRAY[..., 0], {}, r"got the shape \(2, 4, 4\)"),
        ("gray", GRAY[:1], {}, "1 images but 2 image numbers"),
        ("blur3", GRAY, {"sigma": 9}, r"sigma = 9 is outside the range of variant 'blur3': 0\.1 to 5\.0 pixels"),
        ("gray", GRAY, {"sigma": 1}, "Variant 'gray' has no strength 'sigma': it has no strength to set"),
        ("shift", GRAY, {"left": 1}, "'shift' has no strength 'left': it takes right, down"),
    ],
)
def test_invalid_images_and_strengths_are_refused(name, images, strengths, message):
    with pytest.raises(ValueError, match=message):
        perturb(find_perturbation(name), images, numbers=[0, 1], seed=0, **strengths)


def upside_down(images):
    images[:] = images[:, ::-1].copy()  # in place, which must not reach the clean images
    return images


upside_down.keeps_positions = False


def test_a_function_of_the_users_own_is_a_variant():
    _, own = check_variants(["clean", upside_down])
    assert (own.name, own.label, own.keeps_positions) == ("upside_down", "upside down", False)
    images = np.random.default_rng(0).integers(0, 256, (70, 6, 5, 3), np.uint8)
    before = images.copy()
    found = perturb(own, torch.from_numpy(images), numbers=range(70), seed=0).numpy()
    assert np.array_equal(found, before[:, ::-1]) and np.array_equal(images, before)


def halved(images):
    return images[:, ::2]


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (halved, r"'halved' returned uint8 \(2, 3, 4, 3\) for images uint8 \(2, 6, 4, 3\)"),
        (lambda x: x, "name of its own"),
    ],
)
def test_a_function_that_is_no_variant_is_refused(variant, message):
    with pytest.raises(BadOption, match=message):
        perturb(own_perturbation(variant), torch.zeros(2, 6, 4, 3, dtype=torch.uint8), numbers=range(2), seed=0)
