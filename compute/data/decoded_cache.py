"""Prepared images, kept on disk: the next run on the same files starts at once, and no good file is decoded twice.

An image is known by the content of its file, never by its name or time, and used only while its pixels have the
checksum that they were written with. Images are decoded into the file and mapped from there, so a set may be larger
than the memory. Deleting the cache is always safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import PIL

from compute.data.atomic_folder import unfinished_folder
from compute.data.class_names import quote
from compute.data.dataset import Dataset, ImageSet, Selection, dataset_checksum, image_digests
from compute.data.decode import Preparation, decode_image
from compute.data.image_folder import ImageFiles, Listing
from compute.data.plausibility import file_notes, image_notes, white_level
from compute.errors import BadImage, BadLayout, CacheUnusable, DoesNotFit
from store.format.memory import free_memory
from store.terminal import ProgressBar

FORMAT = 3  # Raise it when decoding changes: older entries are then decoded again.
RESERVE = 200_000_000  # bytes that stay free beside the cache
_BATCH = 64  # Files per task: small enough for an even load, large enough that handing out tasks costs nothing.
_PIXELS, _ROWS, _UNREADABLE = "pixels.bin", "rows.npz", "unreadable.json"
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile)  # what reading a damaged entry raises


@dataclass(frozen=True)
class _Sources:
    """The files to be prepared, and the SHA-256 of each, uint8 (N, 32)."""

    listing: Listing
    paths: tuple[str, ...]  # relative to the listing's root; training images first
    contents: np.ndarray
    preparation: Preparation

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a prepared image."""
        return (*self.preparation.size, 3)

    @property
    def bytes_needed(self) -> int:
        """Bytes of all pixels."""
        return len(self.paths) * int(np.prod(self.shape))


@dataclass(frozen=True)
class _Entry:
    """The readable images of the sources.

    images uint8 (N, h, w, 3); contents and pixels uint8 (N, 32), the SHA-256 of the file and of its pixels; facts int64
    (N, 3), width, height and top level of the file (see `DecodedImage`); unreadable files: path -> SHA-256, message.
    """

    images: np.ndarray
    contents: np.ndarray
    pixels: np.ndarray
    facts: np.ndarray
    unreadable: dict[str, list[str]]

    def is_bad(self, path: str, content: np.ndarray) -> bool:
        """Whether this file was found to be unreadable."""
        return path in self.unreadable and self.unreadable[path][0] == content.tobytes().hex()

    def covers(self, sources: _Sources) -> bool:
        """Whether the images are exactly the readable ones of the sources, in their order."""
        files = zip(sources.paths, sources.contents, strict=True)
        readable = np.array([not self.is_bad(*each) for each in files], bool)
        return np.array_equal(self.contents, sources.contents[readable])


def load_listing(listing: Listing, preparation: Preparation, selection: Selection, cache: Path) -> Dataset:
    """The listed files as a data set of prepared images, from the cache where it knows them.

    If the cache can't be written, the images are decoded into memory, with a warning.

    Raises:
        BadImage: files that are not readable images, unless `selection.skip_unreadable`; the message names the first
            ones and a list of all.
        BadLayout: a path that is not a file, a class without a readable image, or a box outside its image.
        DoesNotFit: neither the cache nor the memory has room for the images.
    """
    paths = (*(() if listing.train is None else listing.train.paths), *listing.validation.paths)
    contents = _content_digests(listing, paths)
    if not preparation.white_level:
        preparation = replace(preparation, white_level=white_level([listing.root / path for path in paths]))
    sources = _Sources(listing, paths, contents, preparation)
    target = cache / "images" / f"{listing.root.resolve().name}-{_key(sources, selection)}"
    entry = _read_entry(target, sources.shape)
    if entry is None or not entry.covers(sources):
        entry = _prepare(sources, entry, target)
    readable, left_out = listing, tuple[str, ...]()
    if entry.unreadable:
        readable, left_out = _without_unreadable(sources, entry, selection, target)
    train, validation = _image_sets(readable, entry, preparation)
    odd = (*file_notes(entry.facts, preparation), *image_notes(train, validation, listing.classes))
    notes = (*listing.notes, *left_out, *odd)
    checksum = dataset_checksum(train, validation, listing.classes)
    return Dataset(listing.name, train, validation, listing.classes, checksum, notes, preparation)


def _key(sources: _Sources, selection: Selection) -> str:
    """A short name for source, preparation, amount and software: a changed source replaces its own older entry."""
    root, has_train = str(sources.listing.root.resolve()), sources.listing.train is not None
    amount = (selection.classes, selection.train_per_class, selection.validation_per_class, has_train)
    return hashlib.sha256(repr((FORMAT, PIL.__version__, root, sources.preparation, amount)).encode()).hexdigest()[:12]


def _content_digests(listing: Listing, paths: Sequence[str]) -> np.ndarray:
    """The SHA-256 of every file, uint8 (N, 32).

    Raises:
        BadLayout: a path is not a file or can't be read.
    """
    digests = np.empty((len(paths), 32), np.uint8)

    def fill(row: int) -> None:
        path = listing.root / paths[row]
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # Opening a pipe would wait for ever.
                raise BadLayout(f"'{path}' is not a file. Replace or remove it.")
            with path.open("rb") as file:
                digests[row] = np.frombuffer(hashlib.file_digest(file, "sha256").digest(), np.uint8)
        except OSError as err:
            raise BadLayout(f"'{path}' can't be read: {err.strerror}. Replace or remove it.") from err

    _in_parallel(fill, range(len(paths)), f"reading {listing.name}")
    return digests


def _in_parallel(work: Callable[[int], None], rows: Sequence[int], title: str) -> None:
    """Calls `work` on every row, on all cores; of several errors the first row's is raised."""

    def batch(start: int) -> int:
        for row in rows[start : start + _BATCH]:
            work(row)
        return len(rows[start : start + _BATCH])

    # Threads are enough: hashing, decoding and resizing release the interpreter's lock.
    with (
        ProgressBar(desc=title, total=len(rows), unit=" images", leave=False) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for count in pool.map(batch, range(0, len(rows), _BATCH)):
            bar.update(count)


# --- An entry on disk ------------------------------------------------------------------------------------------------


def _read_entry(folder: Path, shape: tuple[int, int, int]) -> _Entry | None:
    """The entry at `folder`, mapped copy-on-write; None where there is none, or it is damaged beyond use."""
    try:
        listed = dict(json.loads((folder / _UNREADABLE).read_text()))
        unreadable = {path: _two_texts(each) for path, each in listed.items()}
        with np.load(folder / _ROWS, allow_pickle=False) as rows:
            contents, pixels, facts = rows["contents"], rows["pixels"], rows["facts"]
        images = _mapped(folder / _PIXELS, (len(contents), *shape))
        intact = (image_digests(images) == pixels).all(1)
        entry = _Entry(
            images, np.where(intact[:, None], contents, 0), pixels, facts.reshape(len(images), 3), unreadable
        )
    except _DAMAGED:
        return None
    return entry  # a damaged image has no content in it that any file has: it is decoded again


def _two_texts(value: list[str]) -> list[str]:
    digest, message = value
    return [digest + "", message + ""]  # TypeError unless they are texts


def _mapped(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if path.stat().st_size != int(np.prod(shape)):
        raise ValueError(f"'{path}' has not the size of {shape[0]} images.")
    return np.memmap(path, np.uint8, "c", shape=shape) if shape[0] else np.empty(shape, np.uint8)


def _prepare(sources: _Sources, previous: _Entry | None, target: Path) -> _Entry:
    """A new entry: images that the previous one has are copied, the others decoded."""
    try:
        with unfinished_folder(target) as folder:
            _announce(sources, f"in '{target.parent}'", shutil.disk_usage(folder).free)
            if sources.bytes_needed + RESERVE > shutil.disk_usage(folder).free:
                raise CacheUnusable("There is no room for them.")
            with (folder / _PIXELS).open("w+b") as file:
                # Written, not mapped: a full disk is then an error, and not the end of the process.
                entry = _decode(sources, previous, lambda row, pixels: _write_at(file.fileno(), row, pixels))
            _write_entry(folder, sources, entry)
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
        return replace(entry, images=_mapped(target / _PIXELS, (len(entry.contents), *sources.shape)))
    except (OSError, CacheUnusable) as err:
        other = _read_entry(target, sources.shape)
        if other is not None and other.covers(sources):  # Another process was faster.
            return other
        _announce(sources, "in memory", free_memory())
        if sources.bytes_needed > free_memory() // 2:
            raise DoesNotFit(
                f"The prepared images need {sources.bytes_needed / 1e9:.1f} GB: neither the cache '{target.parent}' "
                f"({str(err).rstrip('.')}) nor the memory has room for them. Set CLASSPRINT_CACHE to a folder with "
                "more room, or take smaller (data.size) or fewer images (data.train_per_class)."
            ) from err
        warnings.warn(f"The images can't be cached in '{target}': {err} The next run decodes again.", stacklevel=2)
    images = np.empty((len(sources.paths), *sources.shape), np.uint8)
    entry = _decode(sources, previous, images.__setitem__)
    return replace(entry, images=images[_readable(sources, entry)])


def _announce(sources: _Sources, where: str, free: int) -> None:
    """Says what is about to be decoded, and how much room it takes, before it starts."""
    print(
        f"Preparing {len(sources.paths):,} images of '{sources.listing.name}': {sources.bytes_needed / 1e6:,.0f} MB "
        f"{where}, where {free / 1e9:.1f} GB are free; the memory has {free_memory() / 1e9:.1f} GB free.",
        file=sys.stderr,
    )


def _write_at(file: int, row: int, pixels: np.ndarray) -> None:
    """Writes an image at its place in the file; from any thread."""
    content = memoryview(np.ascontiguousarray(pixels).tobytes())
    start = row * len(content)
    while content:
        written = os.pwrite(file, content, start)
        content, start = content[written:], start + written


def _decode(sources: _Sources, previous: _Entry | None, put: Callable[[int, np.ndarray], None]) -> _Entry:
    """Every readable image handed to `put`, and an entry of all but its images."""
    count = len(sources.paths)
    pixels, facts = np.zeros((count, 32), np.uint8), np.zeros((count, 3), np.int64)
    errors: dict[int, str] = {}
    known = {} if previous is None else {each.tobytes(): row for row, each in enumerate(previous.contents)}

    def prepare(row: int) -> None:
        old = known.get(sources.contents[row].tobytes())
        if old is not None and previous is not None:
            image, facts[row] = previous.images[old], previous.facts[old]
        else:
            path = sources.listing.root / sources.paths[row]
            try:
                decoded = decode_image(path.read_bytes(), sources.preparation, name=str(path))
            except (BadImage, OSError) as err:
                errors[row] = str(err)
                return
            image, facts[row] = decoded.pixels, (decoded.width, decoded.height, decoded.top_level)
        put(row, image)
        pixels[row] = np.frombuffer(hashlib.sha256(np.ascontiguousarray(image).data).digest(), np.uint8)

    _in_parallel(prepare, range(count), f"decoding {sources.listing.name}")
    good = np.array([row for row in range(count) if row not in errors], np.int64)
    unreadable = {sources.paths[row]: [sources.contents[row].tobytes().hex(), errors[row]] for row in sorted(errors)}
    return _Entry(np.empty(0), sources.contents[good], pixels[good], facts[good], unreadable)


def _readable(sources: _Sources, entry: _Entry) -> np.ndarray:
    """The rows of the sources that the entry holds, (N,)."""
    return np.array([row for row, path in enumerate(sources.paths) if path not in entry.unreadable], np.int64)


def _write_entry(folder: Path, sources: _Sources, entry: _Entry) -> None:
    """Writes what belongs to the pixels, and closes the gaps that unreadable files left in them."""
    size = int(np.prod(sources.shape))
    if entry.unreadable:
        with (folder / _PIXELS).open("r+b") as file:
            for new, old in enumerate(_readable(sources, entry)):
                file.seek(int(old) * size)
                image = file.read(size)
                file.seek(new * size)
                file.write(image)
            file.truncate(len(entry.contents) * size)
    np.savez(folder / _ROWS, contents=entry.contents, pixels=entry.pixels, facts=entry.facts)
    (folder / _UNREADABLE).write_text(json.dumps(entry.unreadable))


# --- From an entry to a data set -------------------------------------------------------------------------------------


def _without_unreadable(
    sources: _Sources, entry: _Entry, selection: Selection, target: Path
) -> tuple[Listing, tuple[str, ...]]:
    """The listing without its unreadable files, and a note; raises BadImage unless they may be left out."""
    listing, messages = sources.listing, [message for _, message in entry.unreadable.values()]
    where = ""
    try:
        report = target.with_name(f"{target.name}.unreadable.txt")
        report.write_text("".join(f"{message}\n" for message in messages))
        where = f" All are listed in '{report}'."
    except OSError:  # no cache: the message names the first ones
        pass
    names = quote(list(entry.unreadable))
    if not selection.skip_unreadable:
        raise BadImage(
            f"{messages[0]} {len(messages)} of {len(sources.paths):,} images can't be read: {names}.{where} "
            "Repair or remove them, or leave them out with --set data.skip_unreadable=true."
        )
    train = None if listing.train is None else _kept_files(listing.train, entry)
    validation = _kept_files(listing.validation, entry)
    for name, files in (("training", train), ("validation", validation)):
        lost = [] if files is None else sorted(set(range(len(listing.classes))) - set(files.labels.tolist()))
        if lost:
            raise BadLayout(
                f"No {name} image of the classes {quote([listing.classes[label].id for label in lost])} can be read."
                f"{where} Repair them, or remove the classes."
            )
    note = f"{len(messages)} of {len(sources.paths):,} images can't be read and are left out: {names}.{where}"
    return replace(listing, train=train, validation=validation), (note,)


def _kept_files(files: ImageFiles, entry: _Entry) -> ImageFiles:
    return files.taken(
        np.array([row for row, path in enumerate(files.paths) if path not in entry.unreadable], np.int64)
    )


def _image_sets(listing: Listing, entry: _Entry, preparation: Preparation) -> tuple[ImageSet | None, ImageSet]:
    """The entry's images with labels, names and boxes, split as the listing says."""

    def image_set(files: ImageFiles, start: int) -> ImageSet:
        rows = slice(start, start + len(files.paths))
        boxes = None
        if files.boxes is not None:
            sized = zip(files.paths, files.boxes.tolist(), entry.facts[rows].tolist(), strict=True)
            moved = [_moved_box(listing.root / path, box, facts, preparation) for path, box, facts in sized]
            boxes = np.array(moved, np.int16).reshape(-1, 4)
        return ImageSet(entry.images[rows], files.labels, files.paths, boxes=boxes, digests=entry.pixels[rows])

    train = None if listing.train is None else image_set(listing.train, 0)
    return train, image_set(listing.validation, 0 if train is None else len(train))


def _moved_box(path: Path, box: list[int], facts: list[int], preparation: Preparation) -> tuple[int, int, int, int]:
    """The box of an image file in the pixels that it becomes."""
    width, height = facts[:2]
    if box[0] >= width or box[1] >= height:
        raise BadLayout(f"The box {box} of '{path}' is outside its {width} x {height} pixels. Correct the annotation.")
    return preparation.placement(width, height).box(box)
