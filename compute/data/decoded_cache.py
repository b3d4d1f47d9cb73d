"""Image files decoded into a data set, and kept decoded on disk: the next run on the same files starts at once.

A cache entry counts only while the source's files are the same in name, size and time, and while its own bytes have the
checksum that they were written with. Deleting the cache is always safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
from tqdm import tqdm

from compute.data.atomic_folder import unfinished_folder
from compute.data.dataset import Dataset, ImageSet, dataset_checksum
from compute.data.decode import frame, image_size, read_images
from compute.data.errors import BadLayout, CacheUnusable
from compute.data.file_listing import Files, Listing

FORMAT = 1  # Raise it when decoding changes: older entries are then decoded again.
_ENTRY = "entry.json"


def default_cache() -> Path:
    """Where decoded images, downloads and unpacked archives are kept: $CLASSPRINT_CACHE, else the user's cache."""
    chosen = os.environ.get("CLASSPRINT_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "classprint"


def load_listing(listing: Listing, size: int, cache: Path) -> Dataset:
    """The listed files as a data set of size x size images, from the cache where it still holds.

    A cache that can't be written is a warning, not an error.

    Raises:
        BadPicture: a file that is not a readable image; the message names it.
    """
    fingerprint = _fingerprint(listing, size)
    entry = cache / "images" / f"{listing.root.name}-{_place(listing, size)}"
    cached = _read(entry, fingerprint, listing)
    if cached is not None:
        return cached
    dataset = _decode(listing, size)
    try:
        _write(entry, dataset, fingerprint)
    except (OSError, CacheUnusable) as err:
        if _read(entry, fingerprint, listing) is None:  # Another process may have been faster.
            warnings.warn(
                f"The decoded images can't be kept in '{entry}': {err} The next run decodes again.", stacklevel=2
            )
    return dataset


def _decode(listing: Listing, size: int) -> Dataset:
    count = len(listing.train.paths) + len(listing.validation.paths)
    with tqdm(desc=f"decoding {listing.name}", total=count, unit=" images", disable=None, leave=False) as bar:
        train = _decode_files(listing.root, listing.train, size, bar.update)
        validation = _decode_files(listing.root, listing.validation, size, bar.update)
    return _dataset(listing, train, validation)


def _decode_files(root: Path, files: Files, size: int, report: Callable[[int], object]) -> ImageSet:
    paths = [root / path for path in files.paths]
    images = read_images(paths, size, report=report)
    boxes = None
    if files.boxes is not None:
        placed = [_placed(path, box, size) for path, box in zip(paths, files.boxes, strict=True)]
        boxes = np.array(placed, np.int16).reshape(-1, 4)
    return ImageSet(images, files.labels, files.paths, boxes=boxes)


def _placed(path: Path, box: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """The box of an image file in the image of size x size that is made of it."""
    width, height = image_size(path)
    if box[0] >= width or box[1] >= height:
        raise BadLayout(
            f"The box {box.tolist()} of '{path}' lies outside of its {width} x {height} pixels. Correct the annotation."
        )
    return frame(width, height, size).box(box.tolist(), size)


def _dataset(listing: Listing, train: ImageSet, validation: ImageSet) -> Dataset:
    checksum = dataset_checksum(train, validation, listing.classes)
    return Dataset(listing.name, train, validation, listing.classes, checksum, listing.notes)


def _read(entry: Path, fingerprint: str, listing: Listing) -> Dataset | None:
    """The cached data set, memory-mapped copy-on-write; None where there is none, or a stale or damaged one."""
    try:
        described = json.loads((entry / _ENTRY).read_text())
        if described.get("fingerprint") != fingerprint:
            return None
        train, validation = (_read_set(entry / split, getattr(listing, split)) for split in ("train", "validation"))
        dataset = _dataset(listing, train, validation)
    except (OSError, ValueError, AttributeError):  # Missing or damaged: decoding again puts it right.
        return None
    return dataset if dataset.checksum == described.get("checksum") else None


def _read_set(folder: Path, files: Files) -> ImageSet:
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    boxes = np.load(folder / "boxes.npy", allow_pickle=False) if files.boxes is not None else None
    if len(images) != len(files.paths):
        raise ValueError(f"'{folder}' holds {len(images)} images, not {len(files.paths)}.")
    return ImageSet(images, files.labels, files.paths, boxes=boxes)


def _write(entry: Path, dataset: Dataset, fingerprint: str) -> None:
    """Write an entry beside its place and move it there in one step, in place of an older one."""
    with unfinished_folder(entry) as unfinished:
        for split in ("train", "validation"):
            part: ImageSet = getattr(dataset, split)
            (unfinished / split).mkdir()
            np.save(unfinished / split / "images.npy", part.images, allow_pickle=False)
            if part.boxes is not None:
                np.save(unfinished / split / "boxes.npy", part.boxes, allow_pickle=False)
        described = {"fingerprint": fingerprint, "checksum": dataset.checksum, "name": dataset.name}
        (unfinished / _ENTRY).write_text(json.dumps(described))
        shutil.rmtree(entry, ignore_errors=True)
        unfinished.rename(entry)


def _place(listing: Listing, size: int) -> str:
    """A short name for (source, image size, selection): a changed source takes the place of its older self."""
    what = (
        str(listing.root.resolve()),
        size,
        len(listing.classes),
        len(listing.train.paths),
        len(listing.validation.paths),
    )
    return hashlib.sha256(repr(what).encode()).hexdigest()[:12]


def _fingerprint(listing: Listing, size: int) -> str:
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
