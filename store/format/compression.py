"""Chunks of a dataset as the bytes that go to disk, made and undone on any thread without HDF5's lock.

"zstd": one Zstandard frame a chunk, with content size and content checksum, as HDF5's filter 32015 reads it. "gzip":
HDF5's own pipeline with shuffle, deflate and Fletcher-32, for readers without plugins; one thread at a time does it.
"""

from __future__ import annotations

import threading
import zlib
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import zstandard
from numpy.typing import NDArray

from store.format.schema import CHUNK_BYTES, CODECS

ZSTD_LEVEL = 1
ZSTD, SHUFFLE = int(hdf5plugin.Zstd.filter_id), h5py.h5z.FILTER_SHUFFLE  # numbers of HDF5's filters
_CHECK_BYTES = 4  # a frame ends in the low 32 bits of the XXH64 of its content
_local = threading.local()


def filters(codec: str, *, shuffle: bool) -> dict[str, Any]:
    """Arguments of `create_dataset` that declare the codec's filters."""
    if codec == "zstd":
        return {**hdf5plugin.Zstd(clevel=ZSTD_LEVEL), "shuffle": shuffle}
    if codec == "gzip":
        return {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}
    raise ValueError(f"Codec {codec!r} is unknown: choose one of {', '.join(CODECS)}.")


def declared_filters(dataset: h5py.Dataset) -> set[int]:
    """The numbers of a dataset's filters; `Dataset.compression` has a name for Zstandard only from h5py 3.16 on."""
    creation = dataset.id.get_create_plist()
    return {creation.get_filter(place)[0] for place in range(creation.get_nfilters())}


def compress(chunk: NDArray, *, shuffle: bool = False, codes: bool = False) -> bytes:
    """The Zstandard frame of one whole chunk.

    Args:
        shuffle: regroup the bytes of the numbers first, as HDF5's shuffle filter does.
        codes: the chunk holds codes of maps, for which the search for repeats is tuned.
    """
    compressor = _compressor(codes)
    chunk = np.ascontiguousarray(chunk)
    return compressor.compress((shuffled(chunk) if shuffle else chunk).data)


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


def _compressor(codes: bool) -> zstandard.ZstdCompressor:
    """This thread's compressor; they are costly to make and must not be shared."""
    name = f"compressor_{codes}"
    found = getattr(_local, name, None)
    if found is None:
        # Codes look random but for runs of zeros: short repeats are accidents, and naming them costs more than the
        # Huffman code of what they replace. Only long ones are sought, in a small table: 5 % smaller, 20 % faster.
        tuned = {"min_match": 7, "hash_log": 6, "strategy": zstandard.STRATEGY_FAST} if codes else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(
            ZSTD_LEVEL, source_size=CHUNK_BYTES, write_checksum=True, write_content_size=True, **tuned
        )
        found = zstandard.ZstdCompressor(compression_params=parameters)
        setattr(_local, name, found)
    return found


def decompress(frame: bytes, shape: tuple[int, ...], dtype: np.dtype, *, shuffle: bool) -> NDArray:
    """The chunk of a frame, checked against the frame's checksum.

    Raises:
        ValueError: the frame is damaged or is not of this chunk's size.
    """
    if shuffle:
        return unshuffled(decompress(frame, (dtype.itemsize, *shape), np.dtype(np.uint8), shuffle=False), dtype)
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    try:
        header = zstandard.get_frame_parameters(frame)
        # Looked at first: a damaged header could ask for any amount of memory, or switch its own checksum off.
        if header.content_size != expected or not header.has_checksum or header.dict_id:
            raise ValueError(f"a frame header does not fit its chunk of {expected} bytes")
        decompressor = getattr(_local, "decompressor", None)
        if decompressor is None:
            decompressor = _local.decompressor = zstandard.ZstdDecompressor()
        raw = decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as err:
        raise ValueError(str(err)) from err
    return np.frombuffer(raw, dtype).reshape(shape)


def frame_check(frame: bytes) -> int:
    """Check value of a chunk: the end of its frame, the low 32 bits of XXH64 of what it decodes to."""
    return int.from_bytes(frame[-_CHECK_BYTES:], "little")


def plain_check(chunk: NDArray) -> int:
    """Check value of a chunk that HDF5 compresses: CRC-32 of its C-ordered little-endian bytes."""
    return zlib.crc32(np.ascontiguousarray(chunk).data)


def combine(checks: NDArray[np.uint32]) -> int:
    """Check value of a dataset: CRC-32 over those of its chunks in C order, as little-endian 32-bit numbers."""
    return zlib.crc32(np.ascontiguousarray(checks, "<u4").data)
