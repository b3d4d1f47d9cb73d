"""Datasets as grids of compressed chunks: rows go in from any thread in any order, rows come out checked.

A row is one image (or class, in a table of classes). Each chunk is one Zstandard frame with content size and content
checksum, as HDF5's filter 32015 reads it; it is compressed and decompressed on any thread without HDF5's lock, which
is why several cores help.
"""

from __future__ import annotations

import math
import threading
import zlib
from dataclasses import dataclass
from functools import cached_property

import hdf5plugin
import numpy as np
import zstandard
from numpy.typing import NDArray

from store.errors import BadMaps
from store.format.hdf5_file import NewFile, set_attributes, write_errors
from store.format.memory import require_memory
from store.format.schema import CHUNK_BYTES, Field, chunk_shape, not_finite
from store.format.structure import HDF5_ERRORS, StoredDataset

# Levels 2 to 9, bzip2 and larger chunks made maps no smaller, or by less than they took time (docs/measurements.md).
ZSTD_LEVEL = 1
_CHECK_BYTES = 4  # a frame ends in the low 32 bits of the XXH64 of its content
_INDEX_BYTES = 64  # of HDF5's index, for each chunk
_local = threading.local()


@dataclass(frozen=True)
class ChunkGrid:
    """How the rows of a dataset are divided into chunks."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    has_variant_axis: bool  # before the rows

    @classmethod
    def of(cls, field: Field, shape: tuple[int, ...], itemsize: int) -> ChunkGrid:
        """The grid that this format prescribes for a dataset."""
        return cls(shape, chunk_shape(field, shape, itemsize), field.has_variant_axis)

    @cached_property
    def variants(self) -> int:
        """Number of variants, 1 without a variant axis."""
        return self.shape[0] if self.has_variant_axis else 1

    @cached_property
    def rows(self) -> int:
        """Rows of a variant."""
        return self.shape[self.has_variant_axis]

    @cached_property
    def chunk_rows(self) -> int:
        """Rows in a chunk."""
        return self.chunk[self.has_variant_axis]

    @cached_property
    def chunks(self) -> int:
        """Chunks of a variant."""
        return -(-self.rows // self.chunk_rows)

    @cached_property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.shape[self.has_variant_axis + 1 :]

    @cached_property
    def _zeros(self) -> tuple[int, ...]:
        return (0,) * len(self.row_shape)

    def offset(self, variant: int, number: int) -> tuple[int, ...]:
        """Index of a chunk's first element."""
        return (variant,) * self.has_variant_axis + (number * self.chunk_rows, *self._zeros)

    def extent(self, number: int) -> tuple[int, int]:
        """First row of a chunk and the one after its last."""
        return number * self.chunk_rows, min((number + 1) * self.chunk_rows, self.rows)


class ChunkWriter:
    """One dataset being written; `put` may be called from several threads, each row once."""

    def __init__(
        self, file: NewFile, path: str, field: Field, shape: tuple[int, ...], dtype: np.dtype | None = None
    ) -> None:
        self.dtype = np.dtype(dtype or field.dtype).newbyteorder("<")
        self.grid = ChunkGrid.of(field, shape, self.dtype.itemsize)
        self.path = path
        self._shuffle, self._quantised = field.storage == "shuffled", field.unit == "quantised"
        self._file, self._field = file, field
        self._lock = threading.Lock()
        self._partial: dict[tuple[int, int], tuple[NDArray, int]] = {}
        self._checks = np.zeros((self.grid.variants, self.grid.chunks), np.uint32)
        filters = {**hdf5plugin.Zstd(clevel=ZSTD_LEVEL), "shuffle": self._shuffle}
        with write_errors(file.path):
            file.reserve(_INDEX_BYTES * self._checks.size)
            self.dataset = file.create_dataset(path, shape, self.dtype, chunks=self.grid.chunk, **filters)
            set_attributes(self.dataset, {"axes": field.axes})
            self._id = self.dataset.id

    def put(self, variant: int, start: int, rows: NDArray) -> None:
        """Record rows start.. of a variant; a chunk is written as soon as it is complete.

        Raises:
            BadMaps: a number is infinite, NaN without a meaning, or too large for the dataset's type.
        """
        rows = self._finite(rows, start)
        stop = start + len(rows)
        with write_errors(self._file.path):
            for number in range(start // self.grid.chunk_rows, -(-stop // self.grid.chunk_rows)):
                first, last = self.grid.extent(number)
                piece = rows[max(first, start) - start : min(last, stop) - start]
                if len(piece) == self.grid.chunk_rows:
                    self._write(variant, number, piece)
                else:
                    self._gather(variant, number, max(first, start) - first, piece)

    def _finite(self, rows: NDArray, start: int) -> NDArray:
        with np.errstate(over="ignore"):
            values = rows.astype(self.dtype, copy=False)
        if values.dtype.kind == "f" and (wrong := not_finite(values, self._field)).any():
            raise BadMaps(
                f"{self.path}, row {start + int(np.argwhere(wrong)[0, 0])}: {rows[wrong][0]:g} cannot be recorded as a "
                f"number from {-np.finfo(self.dtype).max:.3g} to {np.finfo(self.dtype).max:.3g}. "
                "Check the training: its activations have probably grown beyond all bounds."
            )
        return values

    def _gather(self, variant: int, number: int, at: int, piece: NDArray) -> None:
        first, last = self.grid.extent(number)
        with self._lock:
            # Rows past the end of the last chunk stay zero, as HDF5 would fill them.
            empty = (np.zeros((self.grid.chunk_rows, *self.grid.row_shape), self.dtype), 0)
            buffer, filled = self._partial.pop((variant, number), empty)
            buffer[at : at + len(piece)] = piece
            filled += len(piece)
            if filled < last - first:
                self._partial[variant, number] = (buffer, filled)
                return
        self._write(variant, number, buffer)

    def _write(self, variant: int, number: int, chunk: NDArray) -> None:
        frame = compress(chunk, shuffle=self._shuffle, quantised=self._quantised)
        self._checks[variant, number] = frame_check(frame)
        self._file.reserve(len(frame))
        # Bypasses HDF5's own filters, which only one thread at a time may run.
        self._id.write_direct_chunk(self.grid.offset(variant, number), frame)

    def finish(self) -> None:
        """Write the dataset's check value; every row must have been put."""
        if self._partial:
            raise ValueError(f"Rows of {self.path!r} are missing in {len(self._partial)} chunks.")
        with write_errors(self._file.path):
            set_attributes(self.dataset, {"check": combine(self._checks)})


def write_array(file: NewFile, path: str, field: Field, array: NDArray) -> None:
    """Record a whole array as the dataset `path`."""
    writer = ChunkWriter(file, path, field, array.shape, array.dtype if field.dtype in ("S", "V") else None)
    for variant, rows in enumerate(array if writer.grid.has_variant_axis else [array]):
        writer.put(variant, 0, rows)
    writer.finish()


class ChunkReader:
    """One dataset of a complete file; thread-safe.

    Every method raises ValueError where the file does not contain what was written.
    """

    def __init__(self, stored: StoredDataset) -> None:
        self.grid = ChunkGrid(stored.shape, stored.chunk, stored.field.has_variant_axis)
        self.dtype = stored.dtype
        self._stored, self._shuffle = stored, stored.field.storage == "shuffled"
        content = math.prod(stored.chunk) * stored.dtype.itemsize
        require_memory(2 * content, f"A chunk of {stored.path}")
        self._most = content + (content >> 7) + 1024  # bytes of a frame: what cannot be compressed grows by less

    def chunk(self, variant: int, number: int) -> NDArray:
        """The rows of one chunk, without the padding after the last row."""
        return self._rows_of(self._frame(variant, number), number)

    def _rows_of(self, frame: memoryview, number: int) -> NDArray:
        first, last = self.grid.extent(number)
        chunk = decompress(frame, self.grid.chunk, self.dtype, shuffle=self._shuffle)
        return (chunk[0] if self.grid.has_variant_axis else chunk)[: last - first]

    def _frame(self, variant: int, number: int) -> memoryview:
        """The stored bytes of one chunk; valid until this thread reads the next one."""
        # Into memory of our size: HDF5's index of chunks may claim any number of bytes for one. And always the same
        # memory: as new pages it cost as much as decompressing.
        frame = getattr(_local, "frame", None)
        if frame is None or len(frame) < self._most:
            frame = _local.frame = np.empty(self._most, np.uint8)
        try:
            mask, stored = self._stored.id.read_direct_chunk(self.grid.offset(variant, number), out=frame[: self._most])
        except HDF5_ERRORS as err:
            raise ValueError(f"chunk {number} of variant {variant} cannot be read ({err})") from err
        if mask:
            raise ValueError(f"chunk {number} of variant {variant} is not compressed as declared")
        return memoryview(stored)

    def check(self, variant: int, number: int) -> tuple[NDArray, int]:
        """The rows of one chunk and their check value."""
        frame = self._frame(variant, number)
        return self._rows_of(frame, number), frame_check(frame)

    def read(self, variant: int, rows: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> NDArray:
        """Rows of a variant in the given order, repeats allowed; `columns` selects along the axis after the rows."""
        numbers = rows // self.grid.chunk_rows
        if len(rows) and (numbers == numbers[0]).all():  # as for one image: nothing to assemble
            return self._pick(variant, int(numbers[0]), rows, columns)
        shape = self.grid.row_shape if columns is None else (len(columns), *self.grid.row_shape[1:])
        self._require(len(rows) * math.prod(shape))
        out = np.empty((len(rows), *shape), self.dtype)
        order = np.argsort(numbers, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(rows) else []:
            out[group] = self._pick(variant, int(numbers[group[0]]), rows[group], columns)
        return out

    def _pick(self, variant: int, number: int, rows: NDArray[np.int64], columns: NDArray[np.int64] | None) -> NDArray:
        """Rows of one chunk, always a copy."""
        local = rows - number * self.grid.chunk_rows
        chosen = (local,) if columns is None else (local[:, None], columns)
        if not self._shuffle:
            return self.chunk(variant, number)[chosen]
        # Selected before the bytes are regrouped into numbers: one row of forty is a fortieth of the work.
        stored = (self.dtype.itemsize, *self.grid.chunk[self.grid.has_variant_axis :])
        planes = decompress(self._frame(variant, number), stored, np.dtype(np.uint8), shuffle=False)
        return unshuffled(planes[(slice(None), *chosen)], self.dtype)

    def variant(self, variant: int) -> NDArray:
        """All rows of a variant."""
        self._require(self.grid.rows * math.prod(self.grid.row_shape))
        chunks = [self.chunk(variant, number) for number in range(self.grid.chunks)]
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def all(self) -> NDArray:
        """The whole dataset."""
        self._require(math.prod(self.grid.shape))
        variants = [self.variant(variant) for variant in range(self.grid.variants)]
        return np.stack(variants) if self.grid.has_variant_axis else variants[0]

    def _require(self, values: int) -> None:
        """Refuse to read more values than there is memory for, decoded to four bytes each or widened to eight."""
        require_memory(values * (self.dtype.itemsize + max(4, self.dtype.itemsize)), f"Reading {self._stored.path}")


def compress(chunk: NDArray, *, shuffle: bool = False, quantised: bool = False) -> bytes:
    """The Zstandard frame of one whole chunk.

    Args:
        shuffle: regroup the bytes of the numbers first, as HDF5's shuffle filter does.
        quantised: the chunk holds quantised maps, for which the search for repeats is tuned.
    """
    chunk = np.ascontiguousarray(chunk)
    return _compressor(quantised).compress((shuffled(chunk) if shuffle else chunk).data)


def shuffled(numbers: NDArray) -> NDArray[np.uint8]:
    """The bytes of C-contiguous numbers regrouped as HDF5's shuffle filter does: (itemsize, n), first bytes first."""
    bytes_of = numbers.reshape(-1).view(np.uint8).reshape(-1, numbers.itemsize)
    planes = np.empty(bytes_of.shape[::-1], np.uint8)
    for place, plane in enumerate(planes):  # a third of the time of a transposed copy
        plane[:] = bytes_of[:, place]
    return planes


def unshuffled(planes: NDArray[np.uint8], dtype: np.dtype) -> NDArray:
    """The numbers (...) of their bytes regrouped (itemsize, ...)."""
    numbers = np.empty(planes.shape[1:], dtype)
    bytes_of = numbers.view(np.uint8).reshape(*planes.shape[1:], dtype.itemsize)
    for place, plane in enumerate(planes):
        bytes_of[..., place] = plane
    return numbers


def _compressor(quantised: bool) -> zstandard.ZstdCompressor:
    """This thread's compressor: one is costly to create and must not be shared."""
    name = f"compressor_{quantised}"
    found = getattr(_local, name, None)
    if found is None:
        # Quantised maps look random but for runs of zeros: short repeats are accidents, and encoding them costs more
        # than the Huffman code of what they replace. Only long ones are searched for, in a small table: 5 % smaller, 20
        # % faster.
        tuned = {"min_match": 7, "hash_log": 6, "strategy": zstandard.STRATEGY_FAST} if quantised else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(
            ZSTD_LEVEL, source_size=CHUNK_BYTES, write_checksum=True, write_content_size=True, **tuned
        )
        found = zstandard.ZstdCompressor(compression_params=parameters)
        setattr(_local, name, found)
    return found


def decompress(frame: bytes | memoryview, shape: tuple[int, ...], dtype: np.dtype, *, shuffle: bool) -> NDArray:
    """The chunk of a frame, checked against the frame's checksum.

    Raises:
        ValueError: the frame is damaged or is not of this chunk's size.
    """
    if shuffle:
        return unshuffled(decompress(frame, (dtype.itemsize, *shape), np.dtype(np.uint8), shuffle=False), dtype)
    expected = math.prod(shape) * dtype.itemsize
    try:
        header = zstandard.get_frame_parameters(frame)
        # Checked first: a damaged header could demand any amount of memory, or switch its own checksum off.
        if header.content_size != expected or not header.has_checksum or header.dict_id:
            raise ValueError(f"a frame header does not fit its chunk of {expected} bytes")
        decompressor = getattr(_local, "decompressor", None)
        if decompressor is None:
            decompressor = _local.decompressor = zstandard.ZstdDecompressor()
        raw = decompressor.decompress(frame, max_output_size=expected, allow_extra_data=False)
    except zstandard.ZstdError as err:
        raise ValueError(str(err)) from err
    return np.frombuffer(raw, dtype).reshape(shape)


def frame_check(frame: bytes | memoryview) -> int:
    """Check value of a chunk: the end of its frame, the low 32 bits of XXH64 of what it decodes to."""
    return int.from_bytes(frame[-_CHECK_BYTES:], "little")


def combine(checks: NDArray[np.uint32]) -> int:
    """Check value of a dataset: CRC-32 over those of its chunks in C order, as little-endian 32-bit numbers."""
    return zlib.crc32(np.ascontiguousarray(checks, "<u4").data)
