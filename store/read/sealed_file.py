"""Open sealed files: checked when opened and at every read, shared by threads, few at a time.

A handle closes when nobody refers to it any more, so putting it out of the cache never pulls it from under a reading
thread. Chunks are decompressed and cached maps are read outside HDF5's lock.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from store.errors import DamagedFile, TooManyFiles
from store.format.chunks import ChunkReader
from store.format.hdf5_file import attributes, check_version, damaged, open_file
from store.format.schema import CACHED_BLOCK_ROWS, Field, epoch_field, run_field

Rows = NDArray[np.int64]

T = TypeVar("T")


class SealedFile:
    """One sealed HDF5 file; every read either returns what was sealed or raises DamagedFile."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._file = open_file(path)
        try:
            self.facts = attributes(self._file)
        except ValueError as err:
            raise damaged(path, str(err)) from err
        check_version(path, self.facts.get("schema_version"))
        if self.facts.get("kind") != kind or self.facts.get("sealed") != 1:
            raise damaged(path, f"it is not a sealed {kind} file")
        self._readers: dict[str, ChunkReader] = {}
        self._metrics: dict[str, float] | None = None
        self._cached: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._descriptor = self._file.id.get_vfd_handle()  # HDF5's own: for reads at an offset, which leave no trace

    def has(self, path: str) -> bool:
        """Whether the file has a dataset at `path`."""
        return self._guard(path, lambda: path in self._file)

    def stored_bytes(self, path: str) -> int:
        """Bytes that a dataset takes in the file, 0 where it does not exist."""
        try:
            return int(self._file[path].id.get_storage_size())
        except (KeyError, OSError, RuntimeError):
            return 0

    def names(self, group: str) -> tuple[str, ...]:
        """Names inside a group, none where it does not exist."""
        return self._guard(group, lambda: tuple(self._file[group]) if group in self._file else ())

    def shape_and_type(self, path: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and type of a dataset."""
        return self._guard(path, lambda: (self._file[path].shape, self._file[path].dtype))

    def metrics(self) -> dict[str, float]:
        """The attributes of the group `metrics`."""
        if self._metrics is None:  # a sealed file does not change, and reading attributes is slow
            self._metrics = self._guard("metrics", lambda: _floats(attributes(self._file["metrics"])))
        return dict(self._metrics)

    def rows(self, path: str, strip: int, rows: Rows, columns: Rows | None = None) -> NDArray:
        """Rows of a strip of a dataset, in the order asked for."""
        return self._guard(path, lambda: self.reader(path).read(strip, rows, columns))

    def strip(self, path: str, strip: int = 0) -> NDArray:
        """All rows of a strip of a dataset."""
        return self._guard(path, lambda: self._strip(path, strip))

    def _strip(self, path: str, strip: int) -> NDArray:
        reader = self.reader(path)
        if reader.grid.chunks == 1:
            return reader.chunk(strip, 0)
        return np.concatenate([reader.chunk(strip, number) for number in range(reader.grid.chunks)])

    def reader(self, path: str) -> ChunkReader:
        """The reader of a dataset; raises ValueError or KeyError where it is not as the format demands."""
        found = self._readers.get(path)
        if found is None:
            found = self._readers[path] = ChunkReader(self._file[path], self._field(path))
        return found

    def _field(self, path: str) -> Field:
        return run_field(path) if self.kind == "run" else epoch_field(path)

    def cached_rows(self, kind: str, strip: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Codes (n, H, W) and steps (n,) of cached maps; `kind` is "own" or "predicted"."""
        codes = self._guard(f"cached/{kind}_map", lambda: self._cached_codes(kind, strip, rows))
        return codes, self.strip(f"cached/{kind}_scale", strip)[rows]

    def _cached_codes(self, kind: str, strip: int, rows: Rows) -> NDArray[np.uint8]:
        offset, shape = self._cached_offset(kind)
        row_bytes = int(np.prod(shape[2:]))
        checks = self._strip(f"cached/{kind}_crc32", strip)
        out = np.empty((len(rows), *shape[2:]), np.uint8)
        order = np.argsort(rows, kind="stable")
        blocks = rows[order] // CACHED_BLOCK_ROWS
        for group in np.split(order, np.flatnonzero(np.diff(blocks)) + 1) if len(rows) else []:
            block = int(rows[group[0]]) // CACHED_BLOCK_ROWS
            first = block * CACHED_BLOCK_ROWS
            count = min(CACHED_BLOCK_ROWS, shape[1] - first)
            raw = os.pread(self._descriptor, count * row_bytes, offset + (strip * shape[1] + first) * row_bytes)
            if len(raw) != count * row_bytes or zlib.crc32(raw) != checks[block]:
                raise ValueError(f"rows {first} to {first + count - 1} of strip {strip} fail their checksum")
            out[group] = np.frombuffer(raw, np.uint8).reshape(count, *shape[2:])[rows[group] - first]
        return out

    def _cached_offset(self, kind: str) -> tuple[int, tuple[int, ...]]:
        place = self._cached.get(kind)
        if place is None:
            dataset = self._file[f"cached/{kind}_map"]
            offset = dataset.id.get_offset()
            if offset is None or dataset.dtype != np.uint8 or dataset.ndim != 4:
                raise ValueError("it is not stored in one piece")
            place = self._cached[kind] = (offset, dataset.shape)
        return place

    def _guard(self, path: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except (ValueError, KeyError, OSError, RuntimeError, TypeError) as err:
            raise damaged(self.path, f"{path}: {err}") from err


def _floats(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


class EpochData(Protocol):
    """What a reader asks of an epoch, whether one process or many ranks wrote it."""

    def metrics(self) -> dict[str, float]: ...
    def rows(self, path: str, strip: int, rows: Rows, columns: Rows | None = None) -> NDArray: ...
    def strip(self, path: str, strip: int = 0) -> NDArray: ...
    def cached_rows(self, kind: str, strip: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]: ...
    def names(self, group: str) -> tuple[str, ...]: ...


def check_identity(sealed: SealedFile, *, run_id: str, epoch: int) -> None:
    """Refuse a file that was put in another's place; raises DamagedFile."""
    found_run, found_epoch = sealed.facts.get("run_id"), sealed.facts.get("epoch")
    if found_run != run_id:
        raise damaged(sealed.path, f"it belongs to run {found_run!r}, not to {run_id!r}")
    if found_epoch != epoch:
        raise damaged(sealed.path, f"it holds epoch {found_epoch}, its name says {epoch}")


Opener = Callable[[Path, str, int], EpochData]


class HandleCache:
    """At most `limit` open epochs, the least recently used leaves first; thread-safe.

    `opener` opens the epoch at a path, given the run's id and the epoch, or raises DamagedFile.
    """

    def __init__(self, opener: Opener, limit: int = 96) -> None:
        self._opener, self._limit = opener, limit
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, int, int], EpochData] = OrderedDict()

    def get(self, path: Path, *, run_id: str, epoch: int) -> EpochData:
        """The open epoch at `path`; a file that was replaced since is opened anew.

        Raises:
            DamagedFile: it is gone, or see the opener.
            TooManyFiles: the system lets this process open no more, although some were closed.
        """
        name = str(path)
        try:
            state = os.stat(name)  # noqa: PTH116 - at every query, and four times as fast as Path.stat
        except OSError as err:
            raise DamagedFile(f"{name!r} is gone: {err}. Restore it from a copy.") from err
        key = (name, state.st_mtime_ns, state.st_size)
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                self._open.move_to_end(key)
                return found
        try:
            opened = self._opener(path, run_id, epoch)
        except TooManyFiles:
            self._close_half()
            opened = self._opener(path, run_id, epoch)
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
