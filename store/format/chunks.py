"""Datasets as grids of chunks: rows go in from any thread in any order, rows come out checked.

A row is one image (or class, in a table of classes). A dataset whose first axis is the variant has a strip of chunks
per variant; one without is a single strip.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from store.format import compression
from store.format.atomic_file import NewFile
from store.format.hdf5_file import set_attributes, writing
from store.format.schema import Field, chunk_shape

ZSTD_KIND = "xxh64-32"  # a chunk's check value is the end of its Zstandard frame
_INDEX_BYTES = 64  # of HDF5's index, for each chunk
PLAIN_KIND = "crc32"  # a chunk's check value is the CRC-32 of its decoded bytes


@dataclass(frozen=True)
class ChunkGrid:
    """How the rows of a dataset are cut into chunks."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    lead: int  # 1 where a variant axis comes before the rows, else 0

    @classmethod
    def of(cls, field: Field, shape: tuple[int, ...], itemsize: int) -> ChunkGrid:
        """The grid that this format prescribes for a dataset."""
        chunk = chunk_shape(field, shape, itemsize)
        return cls(shape, chunk, field.lead)

    @property
    def strips(self) -> int:
        """Number of variants, 1 without a variant axis."""
        return self.shape[0] if self.lead else 1

    @property
    def rows(self) -> int:
        """Rows in a strip."""
        return self.shape[self.lead]

    @property
    def step(self) -> int:
        """Rows in a chunk."""
        return self.chunk[self.lead]

    @property
    def chunks(self) -> int:
        """Chunks in a strip."""
        return -(-self.rows // self.step)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.shape[self.lead + 1 :]

    def offset(self, strip: int, number: int) -> tuple[int, ...]:
        """Index of a chunk's first element."""
        return (strip,) * self.lead + (number * self.step,) + (0,) * len(self.row_shape)

    def extent(self, number: int) -> tuple[int, int]:
        """First row of a chunk and the one after its last."""
        return number * self.step, min((number + 1) * self.step, self.rows)


class ChunkWriter:
    """One dataset being written; `put` may be called from several threads, each row once."""

    def __init__(
        self,
        file: NewFile,
        path: str,
        field: Field,
        *,
        shape: tuple[int, ...],
        codec: str,
        dtype: np.dtype | None = None,
    ) -> None:
        self.dtype = np.dtype(dtype or field.dtype).newbyteorder("<")
        self.grid = ChunkGrid.of(field, shape, self.dtype.itemsize)
        self.path, self._codec = path, codec
        self._shuffle, self._codes = field.storage == "shuffled", field.unit == "code"
        self._file = file
        self._lock = threading.Lock()
        self._partial: dict[tuple[int, int], tuple[NDArray, int]] = {}
        self._checks = np.zeros((self.grid.strips, self.grid.chunks), np.uint32)
        with writing(file.path):
            declared = compression.filters(codec, shuffle=self._shuffle)
            file.make_room(_INDEX_BYTES * self._checks.size)
            self.dataset = file.create_dataset(path, shape, self.dtype, chunks=self.grid.chunk, **declared)

    def put(self, strip: int, start: int, rows: NDArray) -> None:
        """Record rows start.. of a strip; chunks go to disk as soon as they are whole."""
        rows = rows.astype(self.dtype, copy=False)
        stop = start + len(rows)
        for number in range(start // self.grid.step, -(-stop // self.grid.step)):
            first, last = self.grid.extent(number)
            piece = rows[max(first, start) - start : min(last, stop) - start]
            if len(piece) == self.grid.step:
                self._write(strip, number, piece)
            else:
                self._gather(strip, number, max(first, start) - first, piece)

    def _gather(self, strip: int, number: int, at: int, piece: NDArray) -> None:
        first, last = self.grid.extent(number)
        with self._lock:
            # Rows past the end of the last chunk stay zero, as HDF5 would fill them.
            empty = (np.zeros((self.grid.step, *self.grid.row_shape), self.dtype), 0)
            buffer, filled = self._partial.pop((strip, number), empty)
            buffer[at : at + len(piece)] = piece
            filled += len(piece)
            if filled < last - first:
                self._partial[strip, number] = (buffer, filled)
                return
        self._write(strip, number, buffer)

    def _write(self, strip: int, number: int, chunk: NDArray) -> None:
        offset = self.grid.offset(strip, number)
        if self._codec == "zstd":
            frame = compression.compress(chunk, shuffle=self._shuffle, codes=self._codes)
            self._checks[strip, number] = compression.frame_check(frame)
            with writing(self._file.path):
                self._file.make_room(len(frame))
                self.dataset.id.write_direct_chunk(offset, frame)
            return
        first, last = self.grid.extent(number)
        chunk = chunk[: last - first]
        self._checks[strip, number] = compression.plain_check(chunk)
        with writing(self._file.path):
            self._file.make_room(chunk.nbytes)
            self.dataset[(strip,) * self.grid.lead + (slice(first, last),)] = chunk

    def finish(self) -> None:
        """Write the dataset's check value; every row must have been put."""
        if self._partial:
            raise ValueError(f"Rows of {self.path!r} are missing in {len(self._partial)} chunks.")
        kind = ZSTD_KIND if self._codec == "zstd" else PLAIN_KIND
        with writing(self._file.path):
            set_attributes(self.dataset, {"check": compression.combine(self._checks), "check_kind": kind})


def write_array(file: NewFile, path: str, field: Field, array: NDArray, codec: str) -> None:
    """Record a whole array as the dataset `path`."""
    writer = ChunkWriter(
        file, path, field, shape=array.shape, codec=codec, dtype=array.dtype if field.dtype == "S" else None
    )
    if writer.grid.lead:
        for strip, rows in enumerate(array):
            writer.put(strip, 0, rows)
    else:
        writer.put(0, 0, array)
    writer.finish()


class ChunkReader:
    """One dataset of a sealed file; thread-safe.

    Every method raises ValueError where the file does not hold what was sealed.
    """

    def __init__(self, dataset: h5py.Dataset, field: Field) -> None:
        if dataset.chunks is None or len(dataset.shape) != len(field.dims):
            raise ValueError(f"{dataset.name} is not stored as the format demands")
        self.grid = ChunkGrid(dataset.shape, dataset.chunks, field.lead)
        self.dataset, self.dtype = dataset, dataset.dtype
        declared = compression.declared_filters(dataset)
        self._shuffle, self.direct = compression.SHUFFLE in declared, compression.ZSTD in declared

    def chunk(self, strip: int, number: int) -> NDArray:
        """The rows of one chunk, those past the end left out."""
        first, last = self.grid.extent(number)
        if self.direct:
            chunk = compression.decompress(
                self.frame(strip, number), self.grid.chunk, self.dtype, shuffle=self._shuffle
            )
            return (chunk[0] if self.grid.lead else chunk)[: last - first]
        try:
            return self.dataset[(strip,) * self.grid.lead + (slice(first, last),)]
        except (OSError, RuntimeError) as err:
            raise ValueError(f"{self.dataset.name}, chunk {number}: {err}") from err

    def frame(self, strip: int, number: int) -> bytes:
        """The stored bytes of one chunk."""
        try:
            mask, frame = self.dataset.id.read_direct_chunk(self.grid.offset(strip, number))
        except (OSError, RuntimeError, ValueError) as err:
            raise ValueError(f"{self.dataset.name}, chunk {number} of strip {strip} cannot be read ({err})") from err
        if mask:
            raise ValueError(f"{self.dataset.name}, chunk {number} of strip {strip} was not compressed as declared")
        return frame

    def check(self, strip: int, number: int) -> tuple[NDArray, int]:
        """The rows of one chunk and their check value."""
        chunk = self.chunk(strip, number)
        return chunk, compression.frame_check(self.frame(strip, number)) if self.direct else compression.plain_check(
            chunk
        )

    def read(self, strip: int, rows: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> NDArray:
        """Rows of a strip in the order asked for, repeats allowed; `columns` selects along the axis after the rows."""
        numbers = rows // self.grid.step
        if len(rows) and (numbers == numbers[0]).all():  # as for one image: nothing to put together
            return self._pick(strip, int(numbers[0]), rows, columns)
        shape = self.grid.row_shape if columns is None else (len(columns), *self.grid.row_shape[1:])
        out = np.empty((len(rows), *shape), self.dtype)
        order = np.argsort(numbers, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(rows) else []:
            out[group] = self._pick(strip, int(numbers[group[0]]), rows[group], columns)
        return out

    def _pick(self, strip: int, number: int, rows: NDArray[np.int64], columns: NDArray[np.int64] | None) -> NDArray:
        """Rows of one chunk, always a copy."""
        local = rows - number * self.grid.step
        chosen = (local,) if columns is None else (local[:, None], columns)
        if not (self.direct and self._shuffle):
            return self.chunk(strip, number)[chosen]
        # Picked before the bytes of the numbers are put together again: a row out of forty is a fortieth of the work.
        stored = (self.dtype.itemsize, *self.grid.chunk[self.grid.lead :])
        planes = compression.decompress(self.frame(strip, number), stored, np.dtype(np.uint8), shuffle=False)
        return compression.unshuffled(planes[(slice(None), *chosen)], self.dtype)

    def all(self) -> NDArray:
        """The whole dataset."""
        rows = np.arange(self.grid.rows)
        strips = [self.read(strip, rows) for strip in range(self.grid.strips)]
        return np.stack(strips) if self.grid.lead else strips[0]
