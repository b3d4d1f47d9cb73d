"""Training labels that are wrong on purpose: to test how they are found, and to set the threshold for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compute.data.dataset import Dataset, ImageSet
from compute.errors import BadOption
from store.format.description import ClassInfo

THRESHOLD = ClassInfo("threshold-samples", "threshold samples", "threshold samples")


def exchange_labels(dataset: Dataset, share: float, *, seed: int) -> Dataset:
    """The data set with the labels of a share of its training images replaced by another class, each as likely.

    The number of images is share * N, rounded, drawn without replacement; `original_labels` keeps what they were.

    Raises:
        BadOption: the share is less than half an image.
    """
    train = dataset.training_images()
    count = round(share * len(train))
    if not count:
        raise BadOption(
            f"data.noise = {share} of {len(train)} training images is none. Use {1 / len(train):.4f} or more, or 0."
        )
    random = np.random.default_rng([seed, 1])
    rows = random.choice(len(train), count, replace=False)
    labels = train.labels.copy()
    # a step of 1 to C - 1 around the classes: never back to the class itself
    labels[rows] = (labels[rows] + random.integers(1, len(dataset.classes), count)) % len(dataset.classes)
    return replace(dataset, train=_relabelled(train, labels))


def add_threshold_class(dataset: Dataset, *, seed: int) -> Dataset:
    """The data set with a further class of N / (C + 1) training images drawn at random, which have nothing in common.

    The network can learn them only by heart, so their AUM shows what that of a wrong label looks like (Pleiss et al.
    2020, Sec. 3.2). The class has no validation images.
    """
    train, index = dataset.training_images(), len(dataset.classes)
    rows = np.random.default_rng([seed, 2]).choice(len(train), max(1, len(train) // (index + 1)), replace=False)
    labels = train.labels.copy()
    labels[rows] = index
    return replace(dataset, train=_relabelled(train, labels), classes=(*dataset.classes, THRESHOLD))


def _relabelled(train: ImageSet, labels: np.ndarray) -> ImageSet:
    original = train.labels if train.original_labels is None else train.original_labels
    return replace(train, labels=labels, original_labels=original)
