"""Decoded images, cached on disk so that the next run on the same files starts at once.

A cache entry is used only while the source's files are the same in name, size and time, and while its own bytes have
the checksum that they were written with. Deleting the cache is always safe.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL

from compute.data.atomic_folder import unfinished_folder
from compute.data.dataset import Dataset, ImageSet, dataset_checksum
from compute.data.decode import image_size, read_images, square_crop
from compute.data.image_folder import ImageFiles, Listing
from compute.errors import BadLayout, CacheUnusable
from store.terminal import ProgressBar

FORMAT = 1  # Raise it when decoding changes: older entries are then decoded again.
_ENTRY = "entry.json"
_SPLITS = ("train", "validation")


def load_listing(listing: Listing, size: int, cache: Path) -> Dataset:
    """The listed files as a data set of size x size images, from the cache where it is still valid.

    If the cache can't be written, that is a warning and not an error.

    Raises:
        BadImage: a file that is not a readable image; the message names it.
        BadLayout: a path that is not a file, or a box outside its image.
    """
    source = _source_digest(listing, size)
    entry = cache / "images" / f"{listing.root.name}-{_selection_digest(listing, size)}"
    cached = _read_entry(entry, source, listing)
    if cached is not None:
        return cached
    count = len(listing.train.paths) + len(listing.validation.paths)
    with ProgressBar(desc=f"decoding {listing.name}", total=count, unit=" images", leave=False) as bar:
        train, validation = (_decode(listing.root, getattr(listing, split), size, bar.update) for split in _SPLITS)
    dataset = _dataset(listing, train, validation)
    try:
        _write_entry(entry, dataset, source)
    except (OSError, CacheUnusable) as err:
        if _read_entry(entry, source, listing) is None:  # Another process may have been faster.
            warnings.warn(
                f"The decoded images can't be cached in '{entry}': {err} The next run decodes again.", stacklevel=2
            )
    return dataset


def _decode(root: Path, files: ImageFiles, size: int, report: Callable[[int], object]) -> ImageSet:
    paths = [root / path for path in files.paths]
    images = read_images(paths, size, report=report)
    boxes = None
    if files.boxes is not None:
        cropped = [_crop_box(path, box, size) for path, box in zip(paths, files.boxes, strict=True)]
        boxes = np.array(cropped, np.int16).reshape(-1, 4)
    return ImageSet(images, files.labels, files.paths, boxes=boxes)


def _crop_box(path: Path, box: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """The box of an image file in the size x size image that it becomes."""
    width, height = image_size(path)
    if box[0] >= width or box[1] >= height:
        raise BadLayout(
            f"The box {box.tolist()} of '{path}' is outside its {width} x {height} pixels. Correct the annotation."
        )
    return square_crop(width, height, size).box(box.tolist())


def _dataset(listing: Listing, train: ImageSet, validation: ImageSet) -> Dataset:
    checksum = dataset_checksum(train, validation, listing.classes)
    return Dataset(listing.name, train, validation, listing.classes, checksum, listing.notes)


def _read_entry(entry: Path, source: str, listing: Listing) -> Dataset | None:
    """The cached data set, memory-mapped copy-on-write; None where there is none, or an outdated or damaged one."""
    try:
        description = json.loads((entry / _ENTRY).read_text())
        if description.get("source") != source:
            return None
        train, validation = (_read_split(entry / split, getattr(listing, split)) for split in _SPLITS)
        dataset = _dataset(listing, train, validation)
    except (OSError, ValueError, AttributeError):  # Missing or damaged: the images are decoded again.
        return None
    return dataset if dataset.checksum == description.get("checksum") else None


def _read_split(folder: Path, files: ImageFiles) -> ImageSet:
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    boxes = np.load(folder / "boxes.npy", allow_pickle=False) if files.boxes is not None else None
    if len(images) != len(files.paths):
        raise ValueError(f"'{folder}' contains {len(images)} images, not {len(files.paths)}.")
    return ImageSet(images, files.labels, files.paths, boxes=boxes)


def _write_entry(entry: Path, dataset: Dataset, source: str) -> None:
    """Writes an entry under a temporary name and renames it, replacing an older one."""
    with unfinished_folder(entry) as unfinished:
        for split in _SPLITS:
            images: ImageSet = getattr(dataset, split)
            (unfinished / split).mkdir()
            np.save(unfinished / split / "images.npy", images.images, allow_pickle=False)
            if images.boxes is not None:
                np.save(unfinished / split / "boxes.npy", images.boxes, allow_pickle=False)
        description = {"source": source, "checksum": dataset.checksum, "name": dataset.name}
        (unfinished / _ENTRY).write_text(json.dumps(description))
        shutil.rmtree(entry, ignore_errors=True)
        unfinished.rename(entry)


def _selection_digest(listing: Listing, size: int) -> str:
    """A short name for source, image size and amount: the entry of a changed source replaces its older one."""
    counts = (len(listing.classes), len(listing.train.paths), len(listing.validation.paths))
    return hashlib.sha256(repr((str(listing.root.resolve()), size, *counts)).encode()).hexdigest()[:12]


def _source_digest(listing: Listing, size: int) -> str:
    """SHA-256 in hex over all that decoded images depend on: names, sizes and times of the files, boxes, software."""
    digest = hashlib.sha256(repr((FORMAT, PIL.__version__, size)).encode())
    for files in (listing.train, listing.validation):
        for path in files.paths:
            try:
                status = (listing.root / path).stat()
            except OSError as err:
                raise BadLayout(
                    f"'{listing.root / path}' can't be read: {err.strerror}. Replace or remove it."
                ) from err
            if not stat.S_ISREG(status.st_mode):  # Opening a pipe would wait for ever.
                raise BadLayout(f"'{listing.root / path}' is not a file. Replace or remove it.")
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        if files.boxes is not None:
            digest.update(files.boxes.astype("<i4").tobytes())
    return digest.hexdigest()
