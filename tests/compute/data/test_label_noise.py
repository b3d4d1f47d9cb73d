"""Labels that are wrong on purpose: how many, which, the same ones every time; and the class of threshold samples."""

import numpy as np
import pytest

from compute.data.dataset import Selection
from compute.data.label_noise import add_threshold_class, exchange_labels
from compute.data.phantom.dataset import load_phantom
from compute.errors import BadOption


@pytest.fixture(scope="module")
def dataset():
    """40 training images of 4 classes."""
    selection = Selection(classes=4, train_per_class=10, validation_per_class=1)
    return load_phantom(size=16, selection=selection)


def test_the_share_of_labels_is_exchanged_and_the_old_ones_are_kept(dataset):
    noisy = exchange_labels(dataset, 0.25, seed=3)
    changed = noisy.train.labels != dataset.train.labels
    assert changed.sum() == 10  # never back to the class itself
    assert set(noisy.train.labels.tolist()) <= {0, 1, 2, 3}
    assert np.array_equal(noisy.train.original_labels, dataset.train.labels)
    assert noisy.train.images is dataset.train.images and noisy.validation is dataset.validation
    again, other = (exchange_labels(dataset, 0.25, seed=seed).train.labels for seed in (3, 4))
    assert np.array_equal(noisy.train.labels, again) and not np.array_equal(again, other)


def test_a_share_of_no_image_is_refused(dataset):
    with pytest.raises(BadOption, match=r"data.noise = 0.001 of 40 training images is none. Use 0.0250"):
        exchange_labels(dataset, 0.001, seed=0)


def test_threshold_samples_are_as_many_as_a_class_and_get_a_class_of_their_own(dataset):
    more = add_threshold_class(exchange_labels(dataset, 0.25, seed=3), seed=0)
    assert len(more.classes) == 5 and more.classes[:4] == dataset.classes
    assert (more.train.labels == 4).sum() == 40 // 5
    assert 4 not in more.validation.labels
    assert np.array_equal(more.train.original_labels, dataset.train.labels)
