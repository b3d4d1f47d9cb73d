"""The built-in image set: like a phantom in medical imaging, its content is known exactly.

200 classes = 25 shapes x 4 hues x 2 textures. Red, green and blue are channel permutations of each other, so the effect
of a perturbation is known beforehand: [B,G,R] turns red classes into blue ones, `gray` turns a class into its gray
sibling, a wide blur turns striped into plain.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from compute.data.dataset import Dataset, ImageSet, Selection, dataset_checksum
from compute.data.decode import Preparation
from compute.data.phantom.render import render
from compute.data.phantom.scene import GRAY, HUES, TEXTURES, draw_scenes
from compute.data.phantom.shapes import SHAPES
from compute.errors import BadOption
from store.format.description import ClassInfo

TRAIN_PER_CLASS = 40
VALIDATION_PER_CLASS = 10
LARGEST_SIZE = 1024
_BATCH = 8  # Images rendered in one call: enough to amortise numpy's overhead, few enough to stay in the CPU's cache.
_GRID = (len(SHAPES), len(HUES), len(TEXTURES))


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
    """The class of the same shape and texture whose images are gray: what the variant `gray` turns it into."""
    return _with_hue(class_index, GRAY)


def reordered_sibling(class_index: int, channels: Sequence[int]) -> int:
    """The class that a class's images belong to once output channel i is input channel `channels[i]`.

    `(2, 1, 0)` is [B,G,R]; gray classes do not change.
    """
    hue = int(np.unravel_index(class_index, _GRID)[1])
    return class_index if hue == GRAY else _with_hue(class_index, list(channels).index(hue))


def plain_sibling(class_index: int) -> int:
    """The class of the same shape and hue without stripes: what a wide blur turns it into."""
    return class_index - class_index % len(TEXTURES)


def load_phantom(*, size: int = 64, seed: int = 0, selection: Selection = Selection()) -> Dataset:
    """The phantom as a data set: 40 training and 10 validation images per class unless limited otherwise.

    A smaller limit gives a subset of the same images; `selection.classes` takes the first classes, eight to a shape.

    Raises:
        BadOption: a size outside 16..1024 or a number of classes or images that the phantom does not have.
    """
    classes = phantom_classes()
    count = len(classes) if selection.classes is None else selection.classes
    if not 16 <= size <= LARGEST_SIZE:
        raise BadOption(f"Phantom images of {size} pixels are not possible. Choose 16 to {LARGEST_SIZE}.")
    if not 2 <= count <= len(classes):
        raise BadOption(f"{count} classes were requested; the phantom has {len(classes)}. Choose 2 to {len(classes)}.")
    train_count = _per_class(selection.train_per_class, TRAIN_PER_CLASS)
    validation_count = _per_class(selection.validation_per_class, VALIDATION_PER_CLASS)
    train = None if selection.validation_only else _image_set(0, count, train_count, size, seed)
    validation = _image_set(1, count, validation_count, size, seed)
    chosen = classes[:count]
    checksum = dataset_checksum(train, validation, chosen)
    return Dataset("phantom", train, validation, chosen, checksum, preparation=Preparation((size, size)))


def _with_hue(class_index: int, hue: int) -> int:
    shape, _, texture = np.unravel_index(class_index, _GRID)
    return int(np.ravel_multi_index((int(shape), hue, int(texture)), _GRID))


def _per_class(limit: int | None, default: int) -> int:
    if limit is not None and limit < 1:
        raise BadOption(f"{limit} images per class were requested. Choose 1 or more.")
    return default if limit is None else limit


def _image_set(split: int, classes: int, per_class: int, size: int, seed: int) -> ImageSet:
    """The images of one split, 0 for training and 1 for validation, sorted by label."""
    labels = np.repeat(np.arange(classes, dtype=np.int64), per_class)
    numbers = np.tile(np.arange(per_class), classes)
    images = np.empty((len(labels), size, size, 3), np.uint8)
    masks = np.empty((len(labels), size, size), bool)

    def fill(start: int) -> None:
        rows = slice(start, start + _BATCH)
        scenes = draw_scenes(labels[rows], numbers[rows], seed=seed, split=split)
        images[rows], masks[rows] = render(scenes, size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, len(labels), _BATCH)))
    infos = phantom_classes()
    names = tuple(f"{infos[label].id}-{number:03}" for label, number in zip(labels, numbers, strict=True))
    return ImageSet(images, labels, names, masks)
