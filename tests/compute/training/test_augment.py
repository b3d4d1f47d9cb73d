import math

import pytest
import torch

from compute.config.settings import AugmentationSettings
from compute.training.augment import Augmenter, Normaliser, RandomNumbers, affine_rows

CPU = torch.device("cpu")


def augmented(images, **settings):
    """Augmented values 0..255 (N, 3, h, w): the normaliser is the identity here."""
    off = {"rotation": 0.0, "flip": 0.0}
    identity = Normaliser([0.0] * 3, [1 / 255] * 3, CPU)
    augmenter = Augmenter(AugmentationSettings(**(off | settings)), identity)
    return augmenter(images, RandomNumbers(torch.Generator().manual_seed(0), len(images)))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (64, 12, 12, 3), dtype=torch.uint8, generator=generator)


def values(images):
    return images.permute(0, 3, 1, 2).float()


def test_the_normaliser_is_the_usual_formula():
    normalise = Normaliser([0.5, 0.25, 0.0], [0.5, 0.5, 2.0], CPU)
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 1, 1, 3)
    assert torch.allclose(normalise(pixel).flatten(), torch.tensor([1.0, -0.5, 0.1]))


def test_without_settings_images_pass_unchanged(images):
    assert torch.equal(augmented(images), values(images))


def test_about_half_of_the_images_are_mirrored_exactly(images):
    seen, plain = augmented(images, flip=0.5), values(images)
    mirrored = (seen == plain.flip(3)).flatten(1).all(1)
    untouched = (seen == plain).flatten(1).all(1)
    assert (mirrored | untouched).all()
    assert 20 <= mirrored.sum() <= 44


def test_resampling_with_nothing_to_do_changes_nothing(images):
    assert torch.allclose(augmented(images, zoom=1e-9), values(images), atol=1e-3)


def test_mirroring_by_resampling_equals_mirroring(images):
    assert torch.allclose(augmented(images, zoom=1e-9, flip=1.0), values(images).flip(3), atol=1e-3)


def test_a_rotation_of_ninety_degrees_turns_the_image(images):
    settings = AugmentationSettings(rotation=90.0, flip=0.0)
    generator = torch.Generator().manual_seed(0)
    rows = affine_rows(settings, RandomNumbers(generator, 1000), (12, 12))
    angles = torch.atan2(rows[:, 3], rows[:, 0]) * 180 / math.pi
    assert -90 <= angles.min() < -85
    assert 85 < angles.max() <= 90
    determinant = rows[:, 0] * rows[:, 4] - rows[:, 1] * rows[:, 3]
    assert torch.allclose(determinant, torch.ones(1000), atol=1e-5)


def test_rotation_keeps_shapes_in_images_that_are_not_square():
    rows = affine_rows(
        AugmentationSettings(rotation=30.0, flip=0.0), RandomNumbers(torch.Generator().manual_seed(1), 5), (10, 20)
    )
    pixels = torch.diag(torch.tensor([10.0, 5.0]))  # half width and half height: from -1..1 to pixels
    for a, b, _, d, e, _ in rows.tolist():
        matrix = pixels @ torch.tensor([[a, b], [d, e]]) @ pixels.inverse()
        assert torch.allclose(matrix @ matrix.T, torch.eye(2), atol=1e-5)


def test_zeros_border_shows_black_corners_and_reflection_none():
    white = torch.full((50, 12, 12, 3), 255, dtype=torch.uint8)
    assert augmented(white, rotation=45.0, border="zeros").amin() == 0
    assert augmented(white, rotation=45.0, border="reflection").amin() > 254


def test_shift_moves_by_at_most_its_share():
    rows = affine_rows(
        AugmentationSettings(rotation=0.0, flip=0.0, shift=0.1), RandomNumbers(torch.Generator(), 1000), (12, 12)
    )
    assert rows[:, 2].abs().max() <= 0.2  # grid_sample's range is 2 wide
    assert rows[:, 2].abs().max() > 0.19


def test_an_erased_square_is_the_mean_and_the_rest_is_untouched(images):
    seen, plain = augmented(images + 1 - (images == 255).to(torch.uint8), erase=0.5), values(images)
    erased = seen == 0
    assert 0.05 < erased.float().mean() < 0.3
    kept = (seen == values(images + 1 - (images == 255).to(torch.uint8))) | erased
    assert kept.all()
    assert plain.shape == seen.shape


def test_the_same_generator_gives_the_same_batch(images):
    chosen = {"rotation": 20.0, "flip": 0.5, "shift": 0.1, "zoom": 0.1, "brightness": 0.2, "erase": 0.2}
    assert torch.equal(augmented(images, **chosen), augmented(images, **chosen))


def test_a_part_of_a_batch_is_augmented_as_in_the_whole(images):
    settings = AugmentationSettings(rotation=20.0, shift=0.1, zoom=0.1, brightness=0.2, erase=0.2)
    augment = Augmenter(settings, Normaliser([0.0] * 3, [1.0] * 3, CPU))
    whole = augment(images, RandomNumbers(torch.Generator().manual_seed(2), 64))
    part = augment(images[20:50], RandomNumbers(torch.Generator().manual_seed(2), 64, range(20, 50)))
    assert torch.allclose(part, whole[20:50], atol=1e-5)
