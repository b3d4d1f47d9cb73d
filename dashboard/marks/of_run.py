"""The marks of a run's images, found by the images' content."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from dashboard import data
from dashboard.marks.marks_file import Mark, Marks, MarksError, MarksFile
from dashboard.query_cache import cached_query
from store import Run

FILE_VARIABLE, READ_ONLY_VARIABLE = "CLASSPRINT_MARKS", "CLASSPRINT_READ_ONLY"
SUGGESTED = ("wrong label", "ambiguous", "bad image")
ANY, WITHOUT = "*", "-"  # choices of the filter beside the marks themselves, which have a letter or a digit
_BATCH = 500  # images hashed at a time


@lru_cache(16)
def _file(path: Path) -> MarksFile:
    return MarksFile(path)


def marks_file(run: Run) -> MarksFile | None:
    """The file of marks for a run: CLASSPRINT_MARKS, else marks.sqlite beside the run; None beside a run at a URL."""
    path = os.environ.get(FILE_VARIABLE)
    if not path and not run.source.is_local:
        return None
    return _file(Path(path) if path else Path(run.path).absolute().parent / "marks.sqlite")


def obstacle(run: Run) -> str:
    """Why images of a run cannot be marked here, in a sentence; empty where they can."""
    if os.environ.get(READ_ONLY_VARIABLE, "").strip().lower() not in ("", "0", "false", "no"):
        return f"This dashboard is read-only ({READ_ONLY_VARIABLE}): marks are shown, and nobody can set any."
    file = marks_file(run)
    if file is None:
        return f"Marks of a run at a URL need a file: set {FILE_VARIABLE}=/path/of/file for the dashboard."
    if not os.access(file.path if file.path.exists() else file.path.parent, os.W_OK):
        return (
            f"This process may not write {str(file.path)!r}, so nothing can be marked. "
            f"Name a file that it may write in {FILE_VARIABLE}."
        )
    return problem(run)


def problem(run: Run) -> str:
    """Why the marks cannot be read; empty where they can."""
    try:
        _read(run)
    except MarksError as error:
        return str(error)
    return ""


def _read(run: Run) -> Marks:
    file = marks_file(run)
    return Marks() if file is None else file.read()


@cached_query
def image_hashes(run: Run) -> tuple[bytes, ...]:
    """SHA-256 of each image's clean pixels, also of a run that does not hold them."""
    found = run.image_sha256()
    if found is not None:
        return tuple(row.tobytes() for row in found)
    numbers, clean = range(len(run.labels)), run.variants[0]
    batches = (numbers[start : start + _BATCH] for start in numbers[::_BATCH])
    pixels = (image for batch in batches for image in run.pixels(list(batch), variant=clean))
    return tuple(hashlib.sha256(image.tobytes()).digest() for image in pixels)


@cached_query
def _images_by_hash(run: Run) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = defaultdict(list)
    for image, content in enumerate(image_hashes(run)):
        found[content].append(image)
    return dict(found)


@cached_query
def _by_image(run: Run, marks: Marks) -> dict[int, tuple[Mark, ...]]:
    known, found = _images_by_hash(run), defaultdict(list)
    for mark in marks.rows:
        for image in known.get(mark.image, ()):
            found[image].append(mark)
    return {image: tuple(own) for image, own in found.items()}


def marks_by_image(run: Run) -> dict[int, tuple[Mark, ...]]:
    """The marks of each marked image of a run; empty where they cannot be read (see `problem`)."""
    try:
        marks = _read(run)
    except MarksError:
        return {}
    return _by_image(run, marks) if marks.rows else {}


def words_of(marks: Iterable[Mark]) -> tuple[str, ...]:
    """The different marks among statements, sorted."""
    return tuple(sorted({mark.mark for mark in marks}))


def mark_column(run: Run, images: Iterable[int]) -> list[str]:
    """The marks of each image in one text, empty where it has none."""
    found = marks_by_image(run)
    return [", ".join(words_of(found[image])) if image in found else "" for image in images]


def mark_counts(run: Run, images: Iterable[int]) -> dict[str, int]:
    """How many of some images have each mark, the suggested ones first even where none has them."""
    found = marks_by_image(run)
    counts = Counter(word for image in images if image in found for word in words_of(found[image]))
    return {word: counts[word] for word in (*SUGGESTED, *sorted(set(counts) - set(SUGGESTED)))}


def has_mark(run: Run, images: Sequence[int], wanted: str) -> np.ndarray:
    """Which of some images have a mark, (n,) bool: this one, `ANY`, or none (`WITHOUT`)."""
    found = marks_by_image(run)
    if wanted in (ANY, WITHOUT):
        return np.array([(image in found) == (wanted == ANY) for image in images], bool)
    return np.array([any(mark.mark == wanted for mark in found.get(image, ())) for image in images], bool)


def add_mark(run: Run, images: Iterable[int], mark: str, *, note: str = "", reader: str = "") -> int:
    """Mark images of a run; returns how many statements are new.

    Raises:
        MarksError: nothing was saved.
    """
    hashes, names = image_hashes(run), run.image_names
    classes, labels = data.class_names(run), run.labels
    marks = [
        Mark(hashes[image], mark, note, reader, classes[int(labels[image])], str(names[image])) for image in images
    ]
    return _writable(run).add(marks)


def remove_mark(
    run: Run, images: Iterable[int], mark: str, *, note: str | None = None, reader: str | None = None
) -> int:
    """Remove a mark from images of a run; returns how many statements were removed. See `MarksFile.remove`.

    Raises:
        MarksError: nothing was removed.
    """
    hashes = image_hashes(run)
    return _writable(run).remove({hashes[image] for image in images}, mark, note=note, reader=reader)


def add_marks(run: Run, marks: Iterable[Mark]) -> int:
    """Save marks that were read from a table; returns how many are new. Raises MarksError."""
    return _writable(run).add(marks)


def _writable(run: Run) -> MarksFile:
    file, reason = marks_file(run), obstacle(run)
    if file is None or reason:
        raise MarksError(reason)
    return file


def all_marks(run: Run) -> tuple[Mark, ...]:
    """All marks in the file, of other runs' images, too; none where they cannot be read."""
    try:
        return _read(run).rows
    except MarksError:
        return ()
