"""What a data source provides: decoded images, labels and classes, in memory or memory-mapped."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from store.format.description import ClassInfo

_HASH_BLOCK = 4096


@dataclass(frozen=True)
class ImageSet:
    """N images of one split.

    images uint8 (N,h,w,3); labels int64 (N,), indices into the classes; names (N) as in the source;
    masks bool (N,h,w), True on the object, where known; boxes int16 (N,4) x0, y0, x1, y1 in pixels, end excluded.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    masks: np.ndarray | None = None
    boxes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training and a validation set over the same classes; the validation set is sorted by label.

    `checksum` is a SHA-256 in hex over both sets' images and labels and the class ids: equal data, equal checksum.
    `notes` are sentences about images of the source that the data set leaves out.
    """

    name: str
    train: ImageSet
    validation: ImageSet
    classes: tuple[ClassInfo, ...]
    checksum: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How much of a source to take; None takes all of it (phantom: its default amount)."""

    classes: int | None = None
    train_per_class: int | None = None
    validation_per_class: int | None = None


def dataset_checksum(train: ImageSet, validation: ImageSet, classes: tuple[ClassInfo, ...]) -> str:
    """SHA-256 in hex over both sets' shapes and labels, the class ids, and the SHA-256 of each 4096 images.

    Images are hashed in blocks to use every core: a gigabyte takes a second or two.
    """
    digest = hashlib.sha256("\n".join(info.id for info in classes).encode())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for split in (train, validation):
            digest.update(repr(split.images.shape).encode())
            digest.update(split.labels.astype("<i8").tobytes())
            blocks = (split.images[start : start + _HASH_BLOCK] for start in range(0, len(split), _HASH_BLOCK))
            for block_digest in pool.map(_images_digest, blocks):
                digest.update(block_digest)
    return digest.hexdigest()


def _images_digest(images: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(images).data).digest()
