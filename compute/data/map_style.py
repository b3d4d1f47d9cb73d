"""Anybody's data set as images that can be recorded: whatever has a length and gives (image, label) for a number.

That is a torchvision or PyTorch map-style `Dataset`, a `Subset`, a DataLoader's data set, or a table of Hugging Face's
`datasets`. Nothing is kept in memory: images are decoded when a slice of them is taken. No torch here: tensors are read
as arrays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compute.data.dataset import spread
from compute.data.decode import Preparation
from compute.data.standard_transform import standard_preparation
from compute.errors import BadImage, BadLayout, BadOption
from store.format.description import ClassInfo

SAMPLE = 16  # images, evenly spread, that are looked at before anything is recorded
TWICE = 3  # of these are decoded twice, to notice random augmentation
LABEL_LISTS = ("targets", "labels", "_labels")  # where torchvision's data sets keep their labels
TRANSFORMS = ("transform", "torch_transforms")  # of torchvision's data sets, and of Ultralytics'
CLASS_LISTS = ("classes", "categories")
TOLERANCE = 0.02  # by which values may leave 0..1 after the normalisation is taken back: resampling in floats


@dataclass(frozen=True)
class Normalisation:
    """(value - mean) / sd of each channel, for intensities from 0 to 1: what the network's input went through."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]


class LabelledItems:
    """The items of a data set in the order of their labels; images are as the data set returns them.

    Args:
        data: has a length and gives (image, label, ...), or a mapping with an image and a label, for a number; or a
            DataLoader of such a data set.

    Raises:
        BadLayout: no items, or no labels.
    """

    def __init__(self, data: Any) -> None:
        is_loader = hasattr(data, "dataset") and hasattr(data, "batch_size")
        self.data: Any = data.dataset if is_loader else data
        if not (hasattr(self.data, "__len__") and hasattr(self.data, "__getitem__")) or not len(self.data):
            raise BadLayout(
                f"A {type(self.data).__name__} cannot be recorded: give a data set with a length that is not 0, which "
                "returns (image, label) for a number from 0 on."
            )
        labels = _listed_labels(self.data)
        self._labels_known = labels is not None
        if labels is None:  # decoded a first time for their labels alone
            labels = np.array([self.item(row)[1] for row in range(len(self.data))], np.int64)
        # By class, as every run is recorded: an image of the run has the same number whoever recorded it.
        self.order = np.argsort(labels, kind="stable")
        self.labels: NDArray[np.int64] = labels[self.order]
        if self.labels[0] < 0:
            raise BadLayout(f"A label is {self.labels[0]}. Labels are the numbers of the classes, from 0 on.")
        self.class_names = _class_names(self.data)

    def __len__(self) -> int:
        return len(self.labels)

    def item(self, index: int) -> tuple[Any, int]:
        """Image and label of a number of the data set."""
        item = self.data[int(index)]
        if isinstance(item, Mapping):
            values = [item[name] for name in _columns(self.data, item)]
        elif isinstance(item, Sequence) and len(item) >= 2:
            values = [item[0], item[1]]
        else:
            raise BadLayout(
                f"The data set returned a {type(item).__name__} for number {index}. Each item is (image, label)."
            )
        label = np.asarray(values[1])
        if label.size != 1 or label.dtype.kind not in "iub":
            raise BadLayout(f"The label of image {index} is {values[1]!r}, but labels are numbers of classes.")
        return values[0], int(label.reshape(()))


class MapStyleImages(LabelledItems):
    """The images of a data set, sorted by class and decoded by slices.

    Args:
        data: as for `LabelledItems`. Images are PIL images, or arrays or tensors (3, h, w), (1, h, w), (h, w, 3) or
            (h, w): bytes, intensities from 0 to 1, or normalised. All have the same height and width.
        normalisation: of the network's input; normalised images are turned back into bytes with it. None: none.

    Raises:
        BadLayout: no images, no labels, or classes that do not fit them.
        BadImage: an image of another kind, size or range, or one that differs each time that it is decoded.
    """

    def __init__(self, data: Any, normalisation: Normalisation | None = None) -> None:
        super().__init__(data)
        self.names = _image_names(self.data, self.order)
        self._look_at_sample(normalisation)

    def _look_at_sample(self, normalisation: Normalisation | None) -> None:
        """Finds channels, shape and whether values are normalised, from images spread over all of them."""
        rows = spread(len(self), SAMPLE)
        arrays = [_as_array(self.item(self.order[row])[0]) for row in rows]
        for row, first in zip(rows[:TWICE], arrays, strict=False):
            if not np.array_equal(first, _as_array(self.item(self.order[row])[0])):
                raise BadImage(
                    f"Image {self.order[row]} of the data set differs each time that it is read. Leave random "
                    "augmentation out of its transform: every epoch is recorded on the same images."
                )
        self.channels = max(1 if array.shape[2] == 1 else 3 for array in arrays)
        self.normalisation = normalisation or Normalisation((0.0,) * self.channels, (1.0,) * self.channels)
        if len(self.normalisation.mean) not in (1, 3) or len(self.normalisation.mean) != len(self.normalisation.sd):
            raise BadOption(
                f"mean = {list(self.normalisation.mean)} and sd = {list(self.normalisation.sd)} must both have one "
                "number, or one for each of 3 channels."
            )
        floats = [array for array in arrays if array.dtype != np.uint8]
        low, high = _range(floats)
        self.is_normalised = low < 0 or high > 1
        if self.is_normalised and normalisation is None:
            raise BadOption(
                f"The images have values from {low:.2f} to {high:.2f}: they are normalised, or not divided by 255. "
                "Give the mean and standard deviation of the transform's Normalize as mean=... and sd=..., or return "
                "bytes."
            )
        self.image_shape: tuple[int, int] = arrays[0].shape[:2]
        for row, array in zip(rows, arrays, strict=True):
            self._pixels(array, row)

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        """Images uint8 (n, h, w, 3), in the order of `labels`."""
        return np.stack([self._read(row) for row in range(*rows.indices(len(self)))])

    def digest(self) -> str:
        """SHA-256 in hex over names, labels and a few images: enough to notice that a run is resumed on other data."""
        found = hashlib.sha256("\n".join(self.names).encode() + self.labels.astype("<i8").tobytes())
        for row in spread(len(self), SAMPLE):
            found.update(self._read(row).tobytes())
        return found.hexdigest()

    def classes(self, count: int, names: Sequence[str] | None = None) -> tuple[ClassInfo, ...]:
        """The classes of a network with `count` outputs: `names`, else the data set's own, else their numbers.

        Raises:
            BadLayout: another number of names, or a label that the network has no output for.
        """
        names = [*map(str, names)] if names is not None else self.class_names
        if names is None:
            names = [str(number) for number in range(count)]
        if len(names) != count or self.labels[-1] >= count:
            raise BadLayout(
                f"The network has {count} outputs, but there are {len(names)} classes and labels up to "
                f"{self.labels[-1]}. Labels are the numbers of the network's outputs."
            )
        distinct = names if len(set(names)) == len(names) else [f"{number} {name}" for number, name in enumerate(names)]
        return tuple(ClassInfo(identity, name, "") for identity, name in zip(distinct, names, strict=True))

    @property
    def preparation(self) -> Preparation | str | None:
        """The data set's transform: what it does, if it is one of torchvision's usual ones, else a text for people."""
        inner, _ = _innermost(self.data)
        transform = next((found for name in TRANSFORMS if (found := getattr(inner, name, None)) is not None), None)
        if (standard := standard_preparation(transform)) and standard.size == self.image_shape:
            return standard
        # an object without a text of its own is shown with its address, which differs in every process
        return None if transform is None else re.sub(r" at 0x[0-9a-f]+", "", repr(transform))[:4000]

    def _read(self, row: int) -> NDArray[np.uint8]:
        image, label = self.item(self.order[row])
        if self._labels_known and label != self.labels[row]:
            raise BadLayout(
                f"Image {self.order[row]} has the label {label}, but the data set's list of labels says "
                f"{self.labels[row]}. A target_transform changes labels: record a data set without that list."
            )
        return self._pixels(_as_array(image), row)

    def _pixels(self, array: NDArray, row: int) -> NDArray[np.uint8]:
        """An image as bytes (h, w, 3)."""
        what = f"Image {self.order[row]} of the data set"
        if array.shape[:2] != self.image_shape:
            raise BadImage(
                f"{what} has {array.shape[0]}×{array.shape[1]} pixels, the first one "
                f"{self.image_shape[0]}×{self.image_shape[1]}. Bring all to one size in the data set's transform, with "
                "Resize and CenterCrop."
            )
        if array.dtype != np.uint8:
            values = array.astype(np.float64)
            if self.is_normalised:
                values = values * np.array(self.normalisation.sd) + np.array(self.normalisation.mean)
            if not (values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE):
                raise BadImage(
                    f"{what} has intensities from {values.min():.2f} to {values.max():.2f} with the mean "
                    f"{list(self.normalisation.mean)} and the standard deviation {list(self.normalisation.sd)}. They "
                    "must be from 0 to 1: give the numbers of the transform's own Normalize."
                )
            array = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
        return np.broadcast_to(array, (*array.shape[:2], 3)).copy() if array.shape[2] == 1 else array


def _range(arrays: Sequence[NDArray]) -> tuple[float, float]:
    """The lowest and the highest value, 0 and 0 where there are no arrays."""
    if not arrays:
        return 0.0, 0.0
    return min(float(array.min()) for array in arrays), max(float(array.max()) for array in arrays)


def _as_array(image: Any) -> NDArray:
    """An image as (h, w, 3) or (h, w, 1), of bytes or floats; raises BadImage for anything else."""
    if isinstance(image, Image.Image):
        return np.asarray(image if image.mode == "L" else image.convert("RGB")).reshape(image.height, image.width, -1)
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim == 3 and array.shape[2] not in (1, 3) and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)  # a tensor's order
    if array.ndim != 3 or array.shape[2] not in (1, 3) or array.dtype.kind not in "uf" or array.size == 0:
        raise BadImage(
            f"An image is a {type(image).__name__} of shape {np.shape(image)} and type {array.dtype}. Images are PIL "
            "images, or arrays or tensors of bytes or floats with 1 or 3 channels."
        )
    if (array.dtype != np.uint8 and array.dtype.kind == "u") or not np.isfinite(array).all():
        raise BadImage(f"An image has values of type {array.dtype}, or some that are not finite: bytes or floats are.")
    return array


def _innermost(data: Any) -> tuple[Any, NDArray[np.int64] | None]:
    """The data set behind Subsets, and the numbers of its images that they take."""
    indices: NDArray[np.int64] | None = None
    while hasattr(data, "dataset") and hasattr(data, "indices"):
        own = np.asarray(data.indices, np.int64)
        indices = own if indices is None else own[indices]
        data = data.dataset
    return data, indices


def _listed_labels(data: Any) -> NDArray[np.int64] | None:
    """The labels where the data set lists them, so that no image is decoded for its label alone."""
    inner, indices = _innermost(data)
    if getattr(inner, "target_transform", None) is not None:
        return None
    listed = next((getattr(inner, name) for name in LABEL_LISTS if hasattr(inner, name)), None)
    if listed is None and hasattr(inner, "features"):
        listed = inner[_columns(inner, inner.features)[1]]
    if listed is None:
        return None
    labels = np.asarray(listed)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(inner):
        return None
    return (labels if indices is None else labels[indices]).astype(np.int64)


def _columns(data: Any, item: Mapping[str, Any]) -> tuple[str, str]:
    """The names of image and label in a data set of mappings, by their type where it says one.

    Raises:
        BadLayout: there are none, or several.
    """
    features = getattr(data, "features", None) or {}
    images = [name for name, kind in features.items() if type(kind).__name__ == "Image" and name in item]
    labels = [name for name, kind in features.items() if type(kind).__name__ == "ClassLabel" and name in item]
    images = images or [name for name in ("image", "img", "pixel_values") if name in item]
    labels = labels or [name for name in ("label", "labels", "cls") if name in item]
    if "label" in labels:
        labels = ["label"]
    if len(images) != 1 or len(labels) != 1:
        raise BadLayout(
            f"The data set has the columns {', '.join(map(repr, item))}. Leave one of images, named 'image', "
            "and one of labels, named 'label'."
        )
    return images[0], labels[0]


def _class_names(data: Any) -> list[str] | None:
    """The names of the classes where the data set lists them."""
    inner, _ = _innermost(data)
    features = getattr(inner, "features", None)
    if isinstance(features, Mapping):
        names = getattr(features[_columns(inner, features)[1]], "names", None)
    else:
        names = next((getattr(inner, name) for name in CLASS_LISTS if hasattr(inner, name)), None)
    return [*map(str, names)] if names is not None else None


def _image_names(data: Any, order: NDArray[np.int64]) -> tuple[str, ...]:
    """Paths below the data set's folder where it lists its files, else numbers."""
    inner, indices = _innermost(data)
    samples = getattr(inner, "samples", None)
    rows = order if indices is None else indices[order]
    if isinstance(samples, list) and len(samples) == len(inner) and isinstance(samples[0], tuple):
        root, paths = getattr(inner, "root", ""), [Path(str(samples[row][0])) for row in rows]
        return tuple(path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name for path in paths)
    return tuple(f"{row:0{len(str(len(inner)))}d}" for row in rows)
