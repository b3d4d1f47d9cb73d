"""The structure of a file: each dataset is compared with the schema once, before it is first read.

Whoever sends a run chose every byte of it. So a dataset is opened only under a name of the schema and over hard links,
and read only after its kind, shape, chunks, filters and place were found to be those of the format: then no name in a
file leads out of it, and no size in it is believed before it was bounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from store.format.schema import CHUNK_BYTES, PARAMETER_BYTES, TEXT_BYTES, Attribute, Field

# By number: h5py names the Zstandard filter only from 3.16 on, and with older ones whole runs looked damaged.
ZSTD, SHUFFLE = int(hdf5plugin.Zstd.filter_id), h5py.h5z.FILTER_SHUFFLE  # numbers of HDF5's filters
# What h5py makes of HDF5's own errors, such as a failed checksum of metadata: which of them depends on the byte.
HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AssertionError)
ATTRIBUTE_BYTES = 65536  # of a text in an attribute
JSON_DEPTH = 64
_FRAME_BYTES = 12  # a Zstandard frame with content size and checksum is longer
_JSON_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)  # never backtracks: the time is linear in the text

Shape = tuple[int | None, ...]  # None: any length


@dataclass(frozen=True)
class StoredDataset:
    """A dataset that is as the format requires."""

    id: h5d.DatasetID
    path: str
    field: Field
    shape: tuple[int, ...]
    dtype: np.dtype
    chunk: tuple[int, ...] = ()  # empty where it is contiguous or a view
    offset: int = 0  # of a contiguous one, in the file


class Members:
    """The objects of a file by their paths. Only hard links are followed, so that no path leads out of the file."""

    def __init__(self, file: h5py.File) -> None:
        self.bytes = int(file.id.get_filesize())
        self.superblock = int(file.id.get_create_plist().get_version()[0])
        self._groups: dict[str, Any] = {"": h5o.open(file.id, b"/")}

    def find(self, path: str) -> Any:
        """HDF5's object at a path, None where there is none; raises ValueError for a link out of the file."""
        parent, _, name = path.rpartition("/")
        group, key = self._parent(parent), name.encode()
        if group is None or not group.links.exists(key):
            return None
        if group.links.get_info(key).type != h5l.TYPE_HARD:
            raise ValueError(f"{path} is a link to another place, where the format has a part of this file")
        return h5o.open(group, key)

    def has(self, path: str) -> bool:
        """Whether anything lies at a path; raises as `find`."""
        parent, _, name = path.rpartition("/")
        group = self._parent(parent)
        return group is not None and bool(group.links.exists(name.encode()))

    def _parent(self, path: str) -> h5g.GroupID | None:
        if path not in self._groups:
            self._groups[path] = self.group(path)
        return self._groups[path]

    @property
    def root(self) -> h5g.GroupID:
        """The group that everything lies in."""
        return self._groups[""]

    def group(self, path: str) -> h5g.GroupID | None:
        """The group at a path, None where there is none; raises ValueError for anything else."""
        found = self.find(path)
        if found is not None and not isinstance(found, h5g.GroupID):
            raise ValueError(f"{path} is not a group, as the format requires")
        return found


def check_dataset(
    members: Members, path: str, field: Field, shape: Shape, dtype: np.dtype, views: Collection[str] = ()
) -> StoredDataset:
    """The dataset at a path, as the format requires it.

    Args:
        shape: its lengths, None for any.
        dtype: of its values; for text of any length, "S".
        views: of a joined epoch, the names of the files whose values the dataset shows.

    Raises:
        ValueError: it is missing or of another kind, says what.
    """
    found = members.find(path)
    if not isinstance(found, h5d.DatasetID):
        raise ValueError(f"{path} is {'missing' if found is None else 'not a dataset, as the format requires'}")
    dtype, length = _checked_type(found, path, dtype), found.shape
    if len(length or ()) != len(shape) or any(want not in (None, has) for want, has in zip(shape, length, strict=True)):
        wanted = tuple("any" if side is None else side for side in shape)
        raise ValueError(f"{path}: its shape is {length}, but the run requires {wanted}")
    creation = found.get_create_plist()
    layout = creation.get_layout()
    if creation.get_external_count():
        raise ValueError(f"{path} takes its values from another file")
    if views:
        _check_view(creation, layout, path, views)
        return StoredDataset(found, path, field, length, dtype)
    filters = tuple(creation.get_filter(place)[0] for place in range(creation.get_nfilters()))
    if field.storage == "contiguous" or 0 in length:  # HDF5 gives an empty dataset no chunks
        if layout == h5d.VIRTUAL or filters:
            raise ValueError(f"{path} is not stored in one piece, as the format requires")
        offset, count = found.get_offset(), math.prod(length) * dtype.itemsize
        if count and (offset is None or offset + count > members.bytes):
            raise ValueError(f"{path}: its {count:,} bytes are not in the file")
        return StoredDataset(found, path, field, length, dtype, offset=offset or 0)
    wanted_filters = (SHUFFLE, ZSTD) if field.storage == "shuffled" else (ZSTD,)
    if layout != h5d.CHUNKED or filters != wanted_filters:
        raise ValueError(f"{path} is not stored as the format requires, in chunks with the filters {wanted_filters}")
    chunk = creation.get_chunk()
    _check_chunk(path, field, length, chunk, dtype.itemsize, members.bytes)
    return StoredDataset(found, path, field, length, dtype, chunk)


def _checked_type(found: h5d.DatasetID, path: str, wanted: np.dtype) -> np.dtype:
    stored = found.get_type()
    if wanted.kind == "S" and wanted.itemsize == 0:
        most = PARAMETER_BYTES if path == "variants/parameters" else TEXT_BYTES
        if isinstance(stored, h5t.TypeStringID) and not stored.is_variable_str() and stored.get_size() <= most:
            return np.dtype(f"S{stored.get_size()}")
        raise ValueError(f"{path}: the format requires text of a fixed length of at most {most} bytes")
    if not stored.equal(_type_of(wanted)):
        raise ValueError(f"{path}: its type is not {wanted}, as the format requires")
    return wanted


@cache
def _type_of(dtype: np.dtype) -> h5t.TypeID:
    return h5t.py_create(dtype, logical=True)


def _check_view(creation: h5py.h5p.PropDCID, layout: int, path: str, views: Collection[str]) -> None:
    """Refuse a virtual dataset that shows anything but the same dataset of the parts beside it."""
    count = creation.get_virtual_count() if layout == h5d.VIRTUAL else 0
    if not 0 < count <= len(views):
        raise ValueError(f"{path} does not show the parts of the epoch, as the format requires")
    for place in range(count):
        name, dataset = creation.get_virtual_filename(place), creation.get_virtual_dsetname(place)
        if name not in views or dataset.lstrip("/") != path:
            raise ValueError(f"{path} shows {dataset!r} of {name!r}, which is no part of the epoch")


def _check_chunk(
    path: str, field: Field, shape: tuple[int, ...], chunk: tuple[int, ...], itemsize: int, file_bytes: int
) -> None:
    axis = int(field.has_variant_axis)
    whole = (*(1,) * axis, chunk[axis], *shape[axis + 1 :])
    row_bytes = math.prod(shape[axis + 1 :]) * itemsize
    most = max(1, CHUNK_BYTES // row_bytes)
    if chunk != whole or not 1 <= chunk[axis] <= most:
        raise ValueError(
            f"{path}: its chunks are {chunk}, but the format requires whole rows of one variant, at most {most}"
        )
    count = (shape[0] if axis else 1) * -(-shape[axis] // chunk[axis])
    if count * _FRAME_BYTES > file_bytes:
        raise ValueError(f"{path}: its {count:,} chunks cannot be in a file of {file_bytes:,} bytes")


def read_attribute(owner: Any, name: str, wanted: Attribute) -> str | int | float | None:
    """An attribute of a file, group or dataset, None where an optional one is not there.

    Raises:
        ValueError: it is missing, of another kind, or out of its range.
    """
    if not h5a.exists(owner, name.encode()):
        if wanted.optional:
            return None
        raise ValueError(f"the attribute {name} is missing")
    attribute = h5a.open(owner, name.encode())
    stored = attribute.get_type()
    single = attribute.get_space().get_simple_extent_type() == h5s.SCALAR
    if wanted.kind == "text":
        fixed = isinstance(stored, h5t.TypeStringID) and not stored.is_variable_str()
        if not single or not fixed or stored.get_size() > ATTRIBUTE_BYTES:
            raise ValueError(f"the attribute {name} must be a text of fixed length")
        text = np.empty((), f"S{stored.get_size()}")
        attribute.read(text)
        return text.item().decode()
    numbers = (h5t.TypeIntegerID,) if wanted.kind == "whole" else (h5t.TypeIntegerID, h5t.TypeFloatID)
    if not single or not isinstance(stored, numbers) or stored.get_size() > 8:
        raise ValueError(f"the attribute {name} must be a {wanted.kind} number")
    number = np.empty((), np.int64 if wanted.kind == "whole" else np.float64)
    attribute.read(number)
    if not (wanted.low <= number <= wanted.high or (wanted.may_be_nan and np.isnan(number))):
        raise ValueError(f"the attribute {name} is {number}, allowed are {wanted.low:g} to {wanted.high:g}")
    return number.item()


def json_value(raw: bytes, what: str) -> Any:
    """The value of a JSON text, whose length the caller bounds; raises ValueError, also where it is nested too deep."""
    steps = np.zeros(256, np.int8)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    # Counted before it is parsed: a parser goes down with every bracket, and the stack ends before the text does.
    depth = np.cumsum(steps[np.frombuffer(_JSON_TEXT.sub(b"", raw), np.uint8)], dtype=np.int64)
    if depth.max(initial=0) > JSON_DEPTH:
        raise ValueError(f"{what} is nested more than {JSON_DEPTH} deep")
    try:
        return json.loads(raw)
    except ValueError as err:
        raise ValueError(f"{what} is not JSON ({str(err)[:200]})") from err


def unchecked_metadata(path: Path, members: Members, datasets: Iterable[StoredDataset]) -> Iterator[str]:
    """Each part of a file's metadata that lacks the checksum that the format requires, in words."""
    if members.superblock < 3:
        yield "its metadata has no checksums: it is of an older file format of HDF5 than 1.10"
        return
    # HDF5 says nothing about it, but an object's header with a checksum starts with these letters.
    with path.open("rb") as file:
        for dataset in datasets:
            file.seek(h5o.get_info(dataset.id).addr)
            if file.read(4) != b"OHDR":
                yield f"{dataset.path}: its metadata has no checksum, as the format requires"
