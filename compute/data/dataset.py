"""What a data source provides: decoded images, labels and classes, in memory or memory-mapped from a file."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from compute.data.decode import Preparation
from compute.errors import BadLayout
from store.format.description import ClassInfo

_HASH_BLOCK = 256


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
    digests: np.ndarray | None = None  # uint8 (N, 32), the SHA-256 of each image's bytes, where computed already
    original_labels: np.ndarray | None = None  # int64 (N,), where some were exchanged on purpose

    def __len__(self) -> int:
        return len(self.labels)

    def taken(self, rows: np.ndarray) -> ImageSet:
        """The images of some rows, in their order, in memory."""
        arrays = {name: value[rows] for name, value in vars(self).items() if name != "names" and value is not None}
        arrays["images"] = np.ascontiguousarray(arrays["images"])
        return ImageSet(names=tuple(self.names[row] for row in rows), **arrays)


@dataclass(frozen=True)
class Dataset:
    """A validation set, sorted by label, and a training set over the same classes where there is one.

    The images of both have the same height and width. `checksum` is a SHA-256 in hex over both sets' images and labels
    and the class ids: equal data, equal checksum. `notes` are sentences for the plan: what the data set leaves out, and
    what looks wrong with it. `preparation` says how files became pixels, as a text for a transform of the user's own.
    """

    name: str
    train: ImageSet | None
    validation: ImageSet
    classes: tuple[ClassInfo, ...]
    checksum: str
    notes: tuple[str, ...] = ()
    preparation: Preparation | str | None = None

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of every image."""
        return self.validation.images.shape[1], self.validation.images.shape[2]

    def training_images(self) -> ImageSet:
        """The training set.

        Raises:
            BadLayout: the data set has none.
        """
        if self.train is None:
            raise BadLayout(
                f"The data set '{self.name}' has only validation images, so no network can be trained on it. Name the "
                "folder that also holds the training images, or record a trained network: python -m compute record."
            )
        return self.train


@dataclass(frozen=True)
class Selection:
    """Which images of a source are taken, and in which order its classes.

    None takes all images (phantom: its default amount). `validation_only` neither needs nor decodes training images;
    where the source has no split, all of its images are validation images. `skip_unreadable` leaves out what can't be
    read. `validation_share` of each class is set apart where the source has no validation images. `class_order`
    "natural" puts the class 2 before 10, "text" after it, as torchvision's ImageFolder does: a network trained
    elsewhere numbers its classes so.
    """

    classes: int | None = None
    train_per_class: int | None = None
    validation_per_class: int | None = None
    validation_only: bool = False
    skip_unreadable: bool = False
    validation_share: float = 0.2
    class_order: str = "natural"


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the rows 0 .. count - 1, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def dataset_checksum(train: ImageSet | None, validation: ImageSet, classes: tuple[ClassInfo, ...]) -> str:
    """SHA-256 in hex over both sets' shapes and labels, the class ids, and the SHA-256 of each image."""
    digest = hashlib.sha256("\n".join(info.id for info in classes).encode())
    for split in filter(None, (train, validation)):
        digest.update(repr(split.images.shape).encode())
        digest.update(split.labels.astype("<i8").tobytes())
        digests = image_digests(split.images) if split.digests is None else split.digests
        digest.update(np.ascontiguousarray(digests).data)
    return digest.hexdigest()


def image_digests(images: np.ndarray) -> np.ndarray:
    """The SHA-256 of the bytes of each image, uint8 (N, 32)."""
    digests = np.empty((len(images), 32), np.uint8)

    def fill(start: int) -> None:
        for row in range(start, min(start + _HASH_BLOCK, len(images))):
            image = np.ascontiguousarray(images[row])
            digests[row] = np.frombuffer(hashlib.sha256(image.data).digest(), np.uint8)

    # Blocks use every core: hashing releases the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, len(images), _HASH_BLOCK)))
    return digests
