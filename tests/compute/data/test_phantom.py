"""The phantom: deterministic, closed under channel permutations, with masks that fit and siblings that are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compute.data.dataset import Dataset, Limits
from compute.data.phantom.dataset import (
    class_parts,
    gray_sibling,
    load_phantom,
    phantom_classes,
    plain_sibling,
    reordered_sibling,
)
from compute.data.phantom.render import render
from compute.data.phantom.scene import draw_scenes
from compute.data.phantom.shapes import LARGEST, SHAPES, TABLE_REACH, outline, signed_distance
from compute.errors import BadOption
from compute.recording.perturbations import VARIANTS

BGR, BRG = (2, 1, 0), (2, 0, 1)


def index_of(name: str) -> int:
    return [info.name for info in phantom_classes()].index(name)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_phantom(limits=Limits(train_per_class=3, validation_per_class=2))


def test_there_are_200_named_classes_in_25_groups():
    classes = phantom_classes()
    assert len(classes) == len({info.name for info in classes}) == len({info.id for info in classes}) == 200
    assert len({info.group for info in classes}) == 25
    info = classes[index_of("striped red crescent")]
    assert (info.id, info.group) == ("crescent-red-striped", "crescent")
    assert class_parts(index_of("striped red crescent")) == ("crescent", "red", "striped")
    assert class_parts(index_of("gray key")) == ("key", "gray", "plain")


def test_siblings_are_those_that_the_perturbations_lead_to():
    red = index_of("striped red crescent")
    assert gray_sibling(red) == index_of("striped gray crescent")
    assert plain_sibling(red) == index_of("red crescent")
    assert reordered_sibling(red, BGR) == index_of("striped blue crescent")
    assert reordered_sibling(red, BRG) == index_of("striped green crescent")  # output channel 1 is input channel 0
    assert reordered_sibling(index_of("green fish"), BGR) == index_of("green fish")
    assert reordered_sibling(index_of("green fish"), BRG) == index_of("blue fish")
    assert reordered_sibling(index_of("blue fish"), BRG) == index_of("red fish")
    assert reordered_sibling(index_of("gray fish"), BRG) == index_of("gray fish")


def test_images_masks_and_labels_fit_together(dataset):
    for part, per_class in ((dataset.train, 3), (dataset.validation, 2)):
        assert part.images.shape == (200 * per_class, 64, 64, 3)
        assert part.images.dtype == np.uint8
        assert part.masks.shape == (200 * per_class, 64, 64)
        assert part.labels.tolist() == np.repeat(np.arange(200), per_class).tolist()
        assert len(set(part.names)) == len(part)
        covered = part.masks.mean((1, 2))
        assert covered.min() > 0.02
        assert covered.max() < 0.6


def test_the_same_seed_gives_the_same_images_and_another_seed_others(dataset):
    limits = Limits(classes=24, train_per_class=2, validation_per_class=2)
    again = load_phantom(limits=limits)
    assert load_phantom(limits=limits).checksum == again.checksum
    assert np.array_equal(again.validation.images, dataset.validation.images[:48])
    assert load_phantom(limits=limits, seed=1).checksum != again.checksum


def test_the_phantom_is_the_same_on_every_machine():
    small = load_phantom(limits=Limits(classes=200, train_per_class=1, validation_per_class=1), size=32)
    assert small.checksum == "e259b852ece756fb2afcae0dec3f081b360c02140e8bb3b57c72e160bc8933da"


def test_limits_take_a_subset_of_the_same_images(dataset):
    few = load_phantom(limits=Limits(classes=16, train_per_class=2, validation_per_class=1))
    assert len(few.classes) == 16
    assert {info.group for info in few.classes} == {"circle", "ellipse"}
    kept = (dataset.train.labels < 16) & (np.arange(len(dataset.train)) % 3 < 2)
    assert np.array_equal(few.train.images, dataset.train.images[kept])
    assert few.train.names == tuple(np.array(dataset.train.names)[kept])


def test_training_and_validation_share_no_image(dataset):
    train = {image.tobytes() for image in dataset.train.images}
    assert len(train) == len(dataset.train)
    assert not any(image.tobytes() in train for image in dataset.validation.images)


@pytest.mark.parametrize("order", [BGR, BRG])
def test_a_red_scene_with_permuted_channels_is_exactly_the_permuted_image(order):
    classes = np.arange(0, 200, 3)
    scenes = replace(draw_scenes(classes, np.zeros_like(classes), seed=2, split=0), grain=np.zeros(67, np.float32))
    direct, mask = render(scenes.with_channels(order), 64)
    images, same_mask = render(scenes, 64)
    assert np.array_equal(direct, images[..., list(order)])
    assert np.array_equal(mask, same_mask)


def test_no_channel_is_favoured_by_background_or_hue(dataset):
    """Means over many images: background channels equal, each hue strongest in its own channel by the same amount."""
    images, masks = dataset.train.images.astype(float), dataset.train.masks
    background = np.array([images[..., c][~masks].mean() for c in range(3)])
    assert np.ptp(background) < 4
    hues = np.array([class_parts(label)[1] for label in dataset.train.labels])
    gains = []
    for channel, hue in enumerate(("red", "green", "blue")):
        means = images[hues == hue][masks[hues == hue]].mean(0)
        assert means.argmax() == channel
        gains.append(2 * means[channel] - means.sum() + means[channel])
    assert np.ptp(gains) < 0.15 * np.mean(gains)
    gray = images[hues == "gray"][masks[hues == "gray"]].mean(0)
    assert np.ptp(gray) < 1


def test_bgr_of_red_images_shows_blue_objects(dataset):
    part = dataset.validation
    red = np.array([class_parts(label)[1] == "red" for label in part.labels])
    swapped = VARIANTS["bgr"].function(part.images[red], images=np.flatnonzero(red), seed=0)
    for image, mask in zip(swapped, part.masks[red], strict=True):
        assert image[mask].mean(0).argmax() == 2


def test_blur_melts_stripes_into_plain(dataset):
    part = dataset.validation
    contrast = {}
    for name in ("clean", "blur5"):
        shown = VARIANTS[name].function(part.images, images=range(len(part)), seed=0).astype(float).mean(-1)
        contrast[name] = np.array([_detail(each, mask) for each, mask in zip(shown, part.masks, strict=True)])
    striped = np.array([class_parts(label)[2] == "striped" for label in part.labels])
    assert np.median(contrast["clean"][striped]) > 4 * np.median(contrast["clean"][~striped])
    assert np.median(contrast["blur5"][striped]) < 0.25 * np.median(contrast["clean"][striped])


def _detail(image: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference between pixels two apart, well inside the object."""
    inside = mask.copy()
    for axis in (0, 1):
        for step in (-2, 2):
            inside &= np.roll(mask, step, axis)
    differences = np.hypot(image - np.roll(image, 2, 0), image - np.roll(image, 2, 1))
    return float(differences[inside].mean()) if inside.any() else 0.0


def test_objects_stand_out_from_their_background(dataset):
    part = dataset.validation
    apart = []
    for image, mask in zip(part.images.astype(float), part.masks, strict=True):
        apart.append(np.abs(image[mask].mean(0) - image[~mask].mean(0)).max())
    assert np.median(apart) > 60
    assert np.mean(np.array(apart) < 12) < 0.02


@pytest.mark.parametrize("size", [16, 96])
def test_any_size_is_drawn(size):
    small = load_phantom(size=size, limits=Limits(classes=8, train_per_class=1, validation_per_class=1))
    assert small.train.images.shape == (8, size, size, 3)
    assert small.train.masks.any((1, 2)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_are_centred_and_fit_the_distance_table(shape):
    points = np.concatenate(outline(shape))
    reach = np.hypot(*points.T).max()
    assert 0.999 < reach <= LARGEST < TABLE_REACH
    assert np.allclose(points.min(0), -points.max(0))


def test_signed_distance_of_a_square_with_a_hole():
    square = np.array([(-2, -2), (2, -2), (2, 2), (-2, 2)], float)
    points = np.array([(3, 0), (1.5, 0), (0.5, 0), (4, 6), (2, 0)], float)
    # Outside by 1; in the frame, half a unit from both edges; in the hole, half a unit off; off a corner; on an edge.
    distances = signed_distance(points, [square, square / 2])
    assert np.allclose(distances, [1, -0.5, 0.5, np.hypot(2, 4), 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "of 8 pixels are not offered. Choose 16 to 1024"),
        ({"limits": Limits(classes=201)}, "has 200 classes, 201 were asked for"),
        ({"limits": Limits(classes=1)}, "1 were asked for"),
        ({"limits": Limits(train_per_class=0)}, "0 images a class were asked for"),
        ({"limits": Limits(validation_per_class=-1)}, "-1 images a class"),
    ],
)
def test_impossible_phantoms_are_refused(options, message):
    with pytest.raises(BadOption, match=message):
        load_phantom(**options)
