"""The built-in image set, whose correct predictions are known, as a test phantom in medical imaging.

200 classes = 25 shapes x 4 hues x 2 textures. Red, green and blue are channel permutations of each other, so what a
perturbation must do is known beforehand: [B,G,R] turns red classes into blue ones, gray sends a class to its gray
sibling, a wide blur melts stripes into plain.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from compute.data.dataset import Dataset, ImageSet, Limits, dataset_checksum
from compute.data.phantom.render import render
from compute.data.phantom.scene import GRAY, HUES, TEXTURES, draw_scenes
from compute.data.phantom.shapes import SHAPES
from compute.errors import BadOption
from store.format.description import ClassInfo

TRAIN_PER_CLASS = 40
VALIDATION_PER_CLASS = 10
LARGEST_SIZE = 1024
_SPLITS = {"train": 0, "validation": 1}
_BATCH = 8  # Images rendered together: enough to amortise the calls of numpy, few enough to stay in the cache.


def phantom_classes() -> tuple[ClassInfo, ...]:
    """The 200 classes, ordered by shape, then hue, then texture; the group is the shape."""
    return tuple(
        ClassInfo(
            f"{shape}-{hue}-{texture}", f"striped {hue} {shape}" if texture == "striped" else f"{hue} {shape}", shape
        )
        for shape in SHAPES
        for hue in HUES
        for texture in TEXTURES
    )


def class_parts(class_index: int) -> tuple[str, str, str]:
    """The shape, hue and texture of a class."""
    shape, hue, texture = np.unravel_index(class_index, _GRID)
    return SHAPES[shape], HUES[hue], TEXTURES[texture]


def gray_sibling(class_index: int) -> int:
    """The class of the same shape and texture whose images are gray: where the variant `gray` must lead."""
    return _with_hue(class_index, GRAY)


def reordered_sibling(class_index: int, channels: Sequence[int]) -> int:
    """The class that a class's images belong to once output channel i is input channel `channels[i]`.

    `(2, 1, 0)` is [B,G,R]; gray classes stay what they are.
    """
    hue = int(np.unravel_index(class_index, _GRID)[1])
    return class_index if hue == GRAY else _with_hue(class_index, list(channels).index(hue))


def plain_sibling(class_index: int) -> int:
    """The class of the same shape and hue without stripes: where a wide blur leads."""
    return class_index - class_index % len(TEXTURES)


def load_phantom(*, size: int = 64, seed: int = 0, limits: Limits = Limits()) -> Dataset:
    """The phantom as a data set: 40 training and 10 validation images a class unless limited otherwise.

    A smaller limit gives a subset of the same images; `limits.classes` takes the first classes, eight to a shape.

    Raises:
        BadOption: a size outside 16..1024 or a number of classes or images that the phantom can't give.
    """
    classes = phantom_classes()
    count = len(classes) if limits.classes is None else limits.classes
    if not 16 <= size <= LARGEST_SIZE:
        raise BadOption(f"Phantom images of {size} pixels are not offered. Choose 16 to {LARGEST_SIZE}.")
    if not 2 <= count <= len(classes):
        raise BadOption(f"The phantom has {len(classes)} classes, {count} were asked for. Choose 2 to {len(classes)}.")
    many = _per_class(limits.train_per_class, TRAIN_PER_CLASS)
    few = _per_class(limits.validation_per_class, VALIDATION_PER_CLASS)
    train = _image_set("train", count, many, size, seed)
    validation = _image_set("validation", count, few, size, seed)
    chosen = classes[:count]
    return Dataset("phantom", train, validation, chosen, dataset_checksum(train, validation, chosen))


_GRID = (len(SHAPES), len(HUES), len(TEXTURES))


def _with_hue(class_index: int, hue: int) -> int:
    shape, _, texture = np.unravel_index(class_index, _GRID)
    return int(np.ravel_multi_index((int(shape), hue, int(texture)), _GRID))


def _per_class(asked: int | None, default: int) -> int:
    if asked is not None and asked < 1:
        raise BadOption(f"{asked} images a class were asked for. Choose 1 or more.")
    return default if asked is None else asked


def _image_set(split: str, classes: int, per_class: int, size: int, seed: int) -> ImageSet:
    labels = np.repeat(np.arange(classes, dtype=np.int64), per_class)
    numbers = np.tile(np.arange(per_class), classes)
    images = np.empty((len(labels), size, size, 3), np.uint8)
    masks = np.empty((len(labels), size, size), bool)

    def fill(start: int) -> None:
        rows = slice(start, start + _BATCH)
        scenes = draw_scenes(labels[rows], numbers[rows], seed=seed, split=_SPLITS[split])
        images[rows], masks[rows] = render(scenes, size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, len(labels), _BATCH)))
    infos = phantom_classes()
    names = tuple(f"{infos[label].id}-{number:03}" for label, number in zip(labels, numbers, strict=True))
    return ImageSet(images, labels, names, masks)
