"""Images that go through a transform of the user's own, such as torchvision's Compose, in place of a `Preparation`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compute.data.dataset import Dataset, ImageSet, Selection, dataset_checksum
from compute.data.decode import open_image, upright_rgb
from compute.data.image_folder import Listing
from compute.data.load import list_selected
from compute.data.map_style import MapStyleImages, Normalisation
from compute.errors import BadImage
from store.format.memory import require_memory
from store.remote.file_cache import cache_folder

Transform = Callable[[Any], Any]


class TransformedFiles:
    """The validation files of a listing as a map-style data set: (transform(PIL image in RGB), label)."""

    def __init__(self, listing: Listing, transform: Transform) -> None:
        self.root, self.files, self.transform = listing.root, listing.validation, transform
        self.targets = listing.validation.labels

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        path = Path(self.root) / self.files.paths[row]
        with open_image(path.read_bytes(), str(path)) as image:
            upright = upright_rgb(image)
        try:
            return self.transform(upright), int(self.targets[row])
        except Exception as err:  # the user's own code may raise anything
            raise BadImage(f"The transform failed on '{path}': {type(err).__name__}: {err}.") from err


def load_transformed(
    source: str,
    transform: Transform,
    normalisation: Normalisation,
    *,
    seed: int = 0,
    selection: Selection = Selection(),
) -> Dataset:
    """The validation images of a folder or archive after the transform, as bytes.

    Args:
        source: a folder or an archive.
        transform: a function of a PIL image that returns one, or an array or tensor; all of one size.
        normalisation: what the transform ends with, which is taken back; the network's input has it again.
        seed, selection: as in `load_dataset`.

    Raises:
        DataError: there are no such images, or the transform does not return images.
        NotEnoughMemory: they do not fit into memory.
    """
    listing = list_selected(source, cache=cache_folder(), selection=selection, seed=seed)
    files = TransformedFiles(listing, transform)
    images = MapStyleImages(files, normalisation)
    height, width = images.image_shape
    require_memory(3 * len(files) * height * width, f"The images of '{listing.name}', transformed,")
    names = tuple(listing.validation.paths[row] for row in images.order)
    validation = ImageSet(images[0 : len(images)], np.asarray(images.labels), names)
    checksum = dataset_checksum(None, validation, listing.classes)
    made = images.preparation
    return Dataset(listing.name, None, validation, listing.classes, checksum, listing.notes, preparation=made)


def normalisation_of(transform: Transform) -> Normalisation | None:
    """The Normalize with which a Compose of torchvision ends, if it does."""
    steps = getattr(transform, "transforms", None) or [transform]
    mean, sd = (getattr(steps[-1], name, None) for name in ("mean", "std"))
    if mean is None or sd is None:
        return None
    return Normalisation(*(tuple(float(value) for value in np.ravel(each)) for each in (mean, sd)))
