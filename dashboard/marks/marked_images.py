"""The marks of a run's images, found by the images' content."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from dashboard import data
from dashboard.marks.marks_file import Mark, Marks, MarksError, MarksFile
from dashboard.query_cache import cached_query
from store import Run
from store.read.run_folders import split_folders
from store.remote.place import is_remote

FILE_VARIABLE, READ_ONLY_VARIABLE = "CLASSPRINT_MARKS", "CLASSPRINT_READ_ONLY"
FILE_NAME = "marks.sqlite"
SUGGESTED = ("wrong label", "ambiguous", "bad image")
ANY, WITHOUT = "*", "-"  # choices of the filter beside the marks themselves, which have a letter or a digit
_BATCH = 500  # images hashed at a time


# The file


def marks_path() -> Path:
    """Where marks are kept: one file for all runs that a dashboard shows, so that they follow an image between them.

    CLASSPRINT_MARKS, else marks.sqlite in the first folder of runs on this machine that has one or may be written,
    else classprint/marks.sqlite among the user's own data: for runs in buckets and in folders that may only be read.
    """
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named).absolute()
    for location in split_folders(data.runs_setting()):
        folder = Path(location).absolute()
        if not is_remote(location) and (os.path.lexists(folder / FILE_NAME) or os.access(folder, os.W_OK)):
            return folder / FILE_NAME
    own_data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    return own_data.absolute() / "classprint" / FILE_NAME


@lru_cache(16)
def _file_at(path: Path) -> MarksFile:
    return MarksFile(path)


def _file() -> MarksFile:
    return _file_at(marks_path())


def problem() -> str:
    """Why the marks cannot be read; empty where they can."""
    try:
        _file().read()
    except MarksError as error:
        return str(error)
    return ""


def all_marks() -> Marks:
    """All marks in the file, of other runs' images, too; none where they cannot be read (see `problem`)."""
    try:
        return _file().read()
    except MarksError:
        return Marks()


def obstacle() -> str:
    """Why nothing can be marked here, in a sentence; empty where it can."""
    if os.environ.get(READ_ONLY_VARIABLE, "").strip().lower() not in ("", "0", "false", "no"):
        return f"This dashboard is read-only ({READ_ONLY_VARIABLE}): marks are shown, and nobody can set any."
    path = marks_path()
    # SQLite writes a journal beside the file, so the folder counts, too.
    folder = next(parent for parent in path.parents if parent.exists())
    if not all(os.access(place, os.W_OK) for place in (folder, path) if place.exists()):
        return (
            f"This process may not write {str(path)!r}, so nothing can be marked. "
            f"Name a file that it may write in {FILE_VARIABLE}."
        )
    return problem()


def add_marks(marks: Iterable[Mark]) -> int:
    """Save marks; returns how many statements are new.

    Raises:
        MarksError: nothing was saved.
    """
    return _writable().add(marks)


def _writable() -> MarksFile:
    reason = obstacle()
    if reason:
        raise MarksError(reason)
    return _file()


# The images of a run


@dataclass(frozen=True)
class MarkedImages:
    """The images of a run, by number, and their marks: those that it is validated with, or those that trained it."""

    run: Run
    training: bool = False

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """SHA-256 of each image's clean pixels; empty where the run does not say it of its training images."""
        return _hashes(self.run, self.training)

    def obstacle(self) -> str:
        """Why these images cannot be marked here, in a sentence; empty where they can."""
        if not self.hashes:
            return "This run does not say which content its training images have, so they cannot be marked."
        return obstacle()

    def marks(self) -> dict[int, tuple[Mark, ...]]:
        """The marks of each image that has any."""
        marks = all_marks()
        return _by_image(self.run, self.training, marks) if marks.rows else {}

    def column(self, images: Iterable[int]) -> list[str]:
        """The marks of each of some images in one text, empty where it has none."""
        found = self.marks()
        return [", ".join(words_of(found[image])) if image in found else "" for image in images]

    def counts(self, images: Iterable[int]) -> dict[str, int]:
        """How many of some images have each mark, the suggested ones first even where none has them."""
        found = self.marks()
        counts = Counter(word for image in images if image in found for word in words_of(found[image]))
        return {word: counts[word] for word in (*SUGGESTED, *sorted(set(counts) - set(SUGGESTED)))}

    def have(self, images: Sequence[int], wanted: str) -> np.ndarray:
        """Which of some images have a mark, (n,) bool: this one, `ANY`, or none (`WITHOUT`)."""
        found = self.marks()
        if wanted in (ANY, WITHOUT):
            return np.array([(image in found) == (wanted == ANY) for image in images], bool)
        return np.array([any(mark.mark == wanted for mark in found.get(image, ())) for image in images], bool)

    def names(self) -> list[str]:
        """The images' names."""
        return data.training_images(self.run)["name"].tolist() if self.training else list(self.run.image_names)

    def add(self, images: Iterable[int], mark: str, *, note: str = "", reader: str = "") -> int:
        """Mark some images; returns how many statements are new.

        Raises:
            MarksError: nothing was saved.
        """
        names, hashes, classes = self.names(), self.hashes, data.class_names(self.run)
        labels = data.training_images(self.run)["label"].to_numpy() if self.training else self.run.labels
        of_class = [(image, classes[int(labels[image])]) for image in images]
        return add_marks(Mark(hashes[image], mark, note, reader, name, names[image]) for image, name in of_class)

    def remove(self, images: Iterable[int], mark: str, *, note: str | None = None, reader: str | None = None) -> int:
        """Remove a mark from some images; returns how many statements were removed. See `MarksFile.remove`.

        Raises:
            MarksError: nothing was removed.
        """
        hashes = self.hashes
        return _writable().remove({hashes[image] for image in images}, mark, note=note, reader=reader)


def words_of(marks: Iterable[Mark]) -> tuple[str, ...]:
    """The different marks among statements, sorted."""
    return tuple(sorted({mark.mark for mark in marks}))


@cached_query
def _hashes(run: Run, training: bool) -> tuple[bytes, ...]:
    found = run.training_ledger.image_sha256() if training else run.image_sha256()
    if found is not None:
        return tuple(row.tobytes() for row in found)
    if training:
        return ()
    numbers, clean = range(len(run.labels)), run.variants[0]
    batches = (numbers[start : start + _BATCH] for start in numbers[::_BATCH])
    pixels = (image for batch in batches for image in run.pixels(list(batch), variant=clean))
    return tuple(hashlib.sha256(image.tobytes()).digest() for image in pixels)


@cached_query
def _by_hash(run: Run, training: bool) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = defaultdict(list)
    for image, content in enumerate(_hashes(run, training)):
        found[content].append(image)
    return dict(found)


@cached_query
def _by_image(run: Run, training: bool, marks: Marks) -> dict[int, tuple[Mark, ...]]:
    known, found = _by_hash(run, training), defaultdict(list)
    for mark in marks.rows:
        for image in known.get(mark.image, ()):
            found[image].append(mark)
    return {image: tuple(own) for image, own in found.items()}
