"""The phantom as a data set: deterministic, with masks that fit and classes related as the perturbations need."""

import numpy as np
import pytest

from compute.data.dataset import Selection
from compute.data.phantom.dataset import (
    class_parts,
    gray_sibling,
    load_phantom,
    phantom_classes,
    plain_sibling,
    reordered_sibling,
)
from compute.errors import BadOption

BGR, BRG = (2, 1, 0), (2, 0, 1)


def index_of(name: str) -> int:
    return [info.name for info in phantom_classes()].index(name)


def test_there_are_200_named_classes_in_25_groups():
    classes = phantom_classes()
    assert len(classes) == len({info.name for info in classes}) == len({info.id for info in classes}) == 200
    assert len({info.group for info in classes}) == 25
    info = classes[index_of("striped red crescent")]
    assert (info.id, info.group) == ("crescent-red-striped", "crescent")
    assert class_parts(index_of("striped red crescent")) == ("crescent", "red", "striped")
    assert class_parts(index_of("gray key")) == ("key", "gray", "plain")


def test_gray_and_blur_lead_to_the_gray_and_the_plain_sibling():
    assert gray_sibling(index_of("striped red crescent")) == index_of("striped gray crescent")
    assert plain_sibling(index_of("striped red crescent")) == index_of("red crescent")


@pytest.mark.parametrize(
    ("name", "channels", "sibling"),
    [
        ("striped red crescent", BGR, "striped blue crescent"),
        ("striped red crescent", BRG, "striped green crescent"),  # output channel 1 is input channel 0
        ("green fish", BGR, "green fish"),
        ("green fish", BRG, "blue fish"),
        ("blue fish", BRG, "red fish"),
        ("gray fish", BRG, "gray fish"),
    ],
)
def test_reordered_channels_lead_to_the_sibling_of_the_exchanged_hue(name, channels, sibling):
    assert reordered_sibling(index_of(name), channels) == index_of(sibling)


def test_images_masks_and_labels_fit_together(phantom):
    for split, per_class in ((phantom.train, 3), (phantom.validation, 2)):
        assert split.images.shape == (200 * per_class, 64, 64, 3)
        assert split.images.dtype == np.uint8
        assert split.masks.shape == (200 * per_class, 64, 64)
        assert split.labels.tolist() == np.repeat(np.arange(200), per_class).tolist()
        assert len(set(split.names)) == len(split)
        covered = split.masks.mean((1, 2))
        assert covered.min() > 0.02
        assert covered.max() < 0.6


def test_the_same_seed_gives_the_same_images_and_another_seed_others(phantom):
    selection = Selection(classes=24, train_per_class=2, validation_per_class=2)
    first = load_phantom(selection=selection)
    assert load_phantom(selection=selection).checksum == first.checksum
    assert np.array_equal(first.validation.images, phantom.validation.images[:48])
    assert load_phantom(selection=selection, seed=1).checksum != first.checksum


def test_the_phantom_is_the_same_on_every_machine():
    small = load_phantom(selection=Selection(classes=200, train_per_class=1, validation_per_class=1), size=32)
    assert small.checksum == "d1f163e4df6db520354d11c8a3c37472dc8dab955c89c4f83af6dbfea7eebbc5"


def test_limits_take_a_subset_of_the_same_images(phantom):
    few = load_phantom(selection=Selection(classes=16, train_per_class=2, validation_per_class=1))
    assert len(few.classes) == 16
    assert {info.group for info in few.classes} == {"circle", "ellipse"}
    rows = (phantom.train.labels < 16) & (np.arange(len(phantom.train)) % 3 < 2)
    assert np.array_equal(few.train.images, phantom.train.images[rows])
    assert few.train.names == tuple(np.array(phantom.train.names)[rows])


def test_training_and_validation_share_no_image(phantom):
    train = {image.tobytes() for image in phantom.train.images}
    assert len(train) == len(phantom.train)
    assert not any(image.tobytes() in train for image in phantom.validation.images)


@pytest.mark.parametrize("size", [16, 96])
def test_any_size_is_drawn(size):
    small = load_phantom(size=size, selection=Selection(classes=8, train_per_class=1, validation_per_class=1))
    assert small.train.images.shape == (8, size, size, 3)
    assert small.train.masks.any((1, 2)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "of 8 pixels are not possible. Choose 16 to 1024"),
        ({"selection": Selection(classes=201)}, "201 classes were requested; the phantom has 200"),
        ({"selection": Selection(classes=1)}, "1 classes were requested"),
        ({"selection": Selection(train_per_class=0)}, "0 images per class were requested"),
        ({"selection": Selection(validation_per_class=-1)}, "-1 images per class"),
    ],
)
def test_impossible_phantoms_are_refused(options, message):
    with pytest.raises(BadOption, match=message):
        load_phantom(**options)
