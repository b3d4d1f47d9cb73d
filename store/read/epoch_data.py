"""The data of an epoch, whether one process wrote it or several ranks did: checked at every read.

A file closes when nobody refers to it any more, so dropping it from the cache never closes it under a reading thread.
Chunks are decompressed and cached maps are read outside HDF5's lock.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from store.errors import DamagedFile, NotInRun, TooManyFiles
from store.format import layout
from store.format.description import RunFacts
from store.format.hdf5_file import damaged
from store.format.record_file import RecordFile
from store.format.schema import epoch_field
from store.read.source import Source, file_state

Rows = NDArray[np.int64]
Selection = int | Sequence[int] | NDArray | slice | None

T = TypeVar("T")


class EpochData(Protocol):
    """The interface to an epoch, whether one process or many ranks wrote it."""

    @property
    def facts(self) -> dict[str, Any]: ...
    def has(self, path: str) -> bool: ...
    def metrics(self) -> dict[str, float]: ...
    def names(self, group: str) -> tuple[str, ...]: ...
    def rows(self, path: str, variant: int, rows: Rows, columns: Rows | None = None) -> NDArray: ...
    def all_rows(self, path: str, variant: int = 0) -> NDArray: ...
    def cached_rows(self, kind: str, variant: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]: ...


class JoinedEpoch:
    """An epoch in parts: rows come from the parts, datasets over all images from the joined file."""

    def __init__(self, joint: RecordFile, parts: list[RecordFile]) -> None:
        self.joint, self.parts = joint, parts
        self.facts, self.has, self.metrics, self.names = joint.facts, joint.has, joint.metrics, joint.names
        self._edges = np.array([parts[0].facts["first_image"], *(part.facts["end_image"] for part in parts)])

    def rows(self, path: str, variant: int, rows: Rows, columns: Rows | None = None) -> NDArray:
        """Rows of a variant of a dataset, in the requested order."""
        if epoch_field(path).joint:
            return self.joint.rows(path, variant, rows, columns)
        return self._gather(rows, lambda part, local: (part.rows(path, variant, local, columns),))[0]

    def all_rows(self, path: str, variant: int = 0) -> NDArray:
        """All rows of a variant of a dataset."""
        if epoch_field(path).joint:
            return self.joint.all_rows(path, variant)
        return np.concatenate([part.all_rows(path, variant) for part in self.parts])

    def cached_rows(self, kind: str, variant: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Quantised maps (n, H, W) and scales (n,) of cached maps."""
        quantised, scale = self._gather(rows, lambda part, local: part.cached_rows(kind, variant, local))
        return quantised, scale

    def _gather(self, rows: Rows, read: Callable[[RecordFile, Rows], tuple[NDArray, ...]]) -> list[NDArray]:
        """The results of `read` for the rows of each part, combined in the requested order."""
        owner = np.searchsorted(self._edges, rows, side="right") - 1
        places = [np.flatnonzero(owner == number) for number in np.unique(owner)] or [np.arange(0)]
        pieces = []
        for at in places:
            number = int(owner[at[0]]) if len(at) else 0
            pieces.append(read(self.parts[number], rows[at] - self._edges[number]))
        out = [np.empty((len(rows), *piece.shape[1:]), piece.dtype) for piece in pieces[0]]
        for at, found in zip(places, pieces, strict=True):
            for whole, piece in zip(out, found, strict=True):
                whole[at] = piece
        return out


def open_epoch(path: Path, facts: RunFacts, epoch: int) -> RecordFile | JoinedEpoch:
    """The complete epoch at `path`, with its parts if it has any.

    Raises:
        DamagedFile: a file cannot be opened, or is of another run, epoch or part than
            its name says.
        SchemaMismatch: it is of another format version.
    """
    found = RecordFile(path, "epoch")
    check_identity(found, run_id=facts.id, epoch=epoch)
    if "part" in found.facts:
        raise damaged(path, "it is one rank's part, put in the place of the whole epoch")
    found.expect(facts.description)
    if not found.is_joined:
        return found
    return JoinedEpoch(found, open_parts(path.parent.parent, facts, epoch, found.facts["parts"]))


def open_parts(run: Path, facts: RunFacts, epoch: int, world: int) -> list[RecordFile]:
    """All complete parts of an epoch in the order of their images.

    Raises:
        DamagedFile: one is absent, damaged or of another epoch, or they leave a gap.
    """
    parts = []
    for rank in range(world):
        path = run / layout.part_file(epoch, rank, world)
        try:
            part = RecordFile(path, "epoch")
        except FileNotFoundError as err:
            raise DamagedFile(
                f"{str(path)!r} is gone, so epoch {epoch} is not complete. Restore it from a copy."
            ) from err
        check_identity(part, run_id=facts.id, epoch=epoch)
        if (part.facts.get("part"), part.facts.get("parts")) != (rank, world):
            raise damaged(path, f"it contains part {part.facts.get('part')} of {part.facts.get('parts')}")
        part.expect(facts.description)
        parts.append(part)
    parts.sort(key=lambda part: part.facts["first_image"])
    edges = [0, *(part.facts["end_image"] for part in parts)]
    starts = [*(part.facts["first_image"] for part in parts), len(facts.description.labels)]
    for number, (end, first) in enumerate(zip(edges, starts, strict=True)):
        if end != first:
            raise damaged(parts[min(number, world - 1)].path, f"images {end} to {first} are in no part or in two")
    return parts


def check_identity(file: RecordFile, *, run_id: str, epoch: int | None) -> None:
    """Raise DamagedFile if a file belongs to another run or epoch than its name says."""
    found_run, found_epoch = file.facts.get("run_id"), file.facts.get("epoch")
    if found_run != run_id:
        raise damaged(file.path, f"it belongs to run {found_run!r}, not to {run_id!r}")
    if found_epoch != epoch:
        raise damaged(file.path, f"it contains epoch {found_epoch}, but its name says {epoch}")


Opener = Callable[[Path, int], EpochData]


def epoch_opener(source: Source, facts: RunFacts) -> Opener:
    """The function that opens the epochs of a run."""

    # Not a method: a run in a circle with its cache of epochs would keep files open until garbage is collected.
    def opened(path: Path, epoch: int) -> EpochData:
        data = open_epoch(path, facts, epoch)
        source.in_use(path, data)
        return data

    return opened


class EpochCache:
    """At most `limit` open epochs; the least recently used one is closed first; thread-safe.

    `opener` opens the epoch at a path, given its number, or raises DamagedFile.
    """

    def __init__(self, opener: Opener, limit: int = 96) -> None:
        self._opener, self._limit = opener, limit
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str, int], EpochData] = OrderedDict()

    def get(self, path: Path, epoch: int) -> EpochData:
        """The open epoch at `path`; a file that was replaced since is opened again.

        Raises:
            DamagedFile: it is gone, or see the opener.
            TooManyFiles: this process may not open any more files, even after closing some.
        """
        name = str(path)
        try:
            state = os.stat(name)  # noqa: PTH116 - at every query, and four times as fast as Path.stat
        except OSError as err:
            raise DamagedFile(f"{name!r} is gone: {err}. Restore it from a copy.") from err
        key = (name, *file_state(state))
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                self._open.move_to_end(key)
                return found
        try:
            opened = self._opener(path, epoch)
        except TooManyFiles:
            self._close_half()
            opened = self._opener(path, epoch)
        with self._lock:
            found = self._open.setdefault(key, opened)
            while len(self._open) > self._limit:
                self._open.popitem(last=False)
        return found

    def _close_half(self) -> None:
        with self._lock:
            for _ in range((len(self._open) + 1) // 2):
                self._open.popitem(last=False)

    def __len__(self) -> int:
        """Number of open epochs."""
        return len(self._open)


def of_all_classes(values: NDArray, classes: NDArray, count: int) -> NDArray[np.float32]:
    """Values (n, K, ...) of the classes (n, K) as (n, count, ...) of all classes, NaN for the others."""
    out = np.full((len(values), count, *values.shape[2:]), np.nan, np.float32)
    out[np.arange(len(values))[:, None], classes.astype(np.int64)] = values
    return out


def mean_maps_of(data: EpochData, variant: int, rows: Rows, map_shape: tuple[int, int]) -> NDArray[np.float32]:
    """The mean maps (n, H, W) to which the maps of images are relative; 0 if the epoch has none."""
    if data.has("mean_map"):
        return data.rows("mean_map", variant, rows)
    return np.zeros((len(rows), *map_shape), np.float32)


def rows_of(selection: Selection, count: int, *, what: str) -> NDArray[np.int64]:
    """Row numbers of a selection: whole numbers in any order, one, a slice, a mask (count,) bool, or None for all.

    Raises:
        NotInRun: a number outside 0..count-1, named; or a mask of another length.
        TypeError: something else.
    """
    if selection is None:
        return np.arange(count)
    if isinstance(selection, slice):
        return np.arange(count)[selection]
    rows = np.asarray(selection)
    if rows.size == 0 and rows.dtype != bool:
        return np.zeros(0, np.int64)
    rows = np.atleast_1d(rows)
    plural = f"{what.capitalize()}{'es' if what.endswith('s') else 's'}"
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise TypeError(f"{plural} are selected by whole numbers, a slice or a mask, got {selection!r}.")
    if rows.dtype == bool:
        if np.ndim(selection) != 1 or len(rows) != count:
            raise NotInRun(f"A mask of shape {np.shape(selection)} selects no {what}: it needs {count} values.")
        return np.flatnonzero(rows)
    outside = rows[(rows < 0) | (rows >= count)]
    if len(outside):
        raise NotInRun(f"{what.capitalize()} {outside[0]} is not in the run: it has {count}, 0 to {count - 1}.")
    return rows.astype(np.int64)


def int64(array: NDArray) -> NDArray:
    """Whole numbers as int64, so that differences of columns cannot overflow; others as they are."""
    return array.astype(np.int64) if array.dtype.kind in "iu" else array
