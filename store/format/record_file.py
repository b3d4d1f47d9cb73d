"""One complete HDF5 file of a run: each dataset is compared with the format before it is read, then its values."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from h5py import h5a
from numpy.typing import NDArray

from store.errors import StoreError
from store.format import layout
from store.format.chunks import ChunkReader
from store.format.hdf5_file import check_format, damaged, open_file
from store.format.memory import require_memory
from store.format.schema import (
    ATTRIBUTES,
    CACHED_BLOCK_ROWS,
    FIELDS,
    MOST_METRICS,
    Attribute,
    Field,
    check_values,
    field_of,
    metric_attribute,
)
from store.format.structure import HDF5_ERRORS, Members, Shape, StoredDataset, check_dataset, read_attribute

if TYPE_CHECKING:
    from store.format.description import RunDescription

Rows = NDArray[np.int64]
T = TypeVar("T")
_FREE = {"B", "M", "S"}  # dimensions that each file has of its own
_ANY_TEXT, _ANY_NUMBER = Attribute("text", optional=True), Attribute("whole", optional=True)


@cache
def _field(kind: str, path: str, kept: bool) -> Field:
    """The entry of a dataset, in a run that keeps some maps or all."""
    field = field_of(kind, path)
    return field if kept else field.of_all_classes()


class RecordFile:
    """One complete HDF5 file of a run; every read either returns what was written or raises DamagedFile.

    `kind` is that of `Field`. `expect` says what the file must contain; after that each dataset is compared with the
    format when it is first used.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._file = open_file(path)
        self.members = self._guard("", lambda: Members(self._file))
        self.facts: dict[str, Any] = self._guard("", self._attributes)
        if self.facts["kind"] != kind:
            raise damaged(path, f"it is not a complete {kind} file")
        self.views: dict[str, StoredDataset] = {}  # datasets of a joined epoch that its parts hold
        self.sizes: Mapping[str, int] = {}
        self._description: RunDescription | None = None
        self._checked: dict[str, StoredDataset] = {}
        self._readers: dict[str, ChunkReader] = {}
        self._checked_columns: set[tuple[str, int]] = set()
        self._metrics: dict[str, float] | None = None
        self._descriptor = self._file.id.get_vfd_handle()  # HDF5's own: for reads at an offset, which leave no trace

    def _attributes(self) -> dict[str, Any]:
        root = self.members.root
        identity = {"format": _ANY_TEXT, "format_version": _ANY_NUMBER, "schema_version": _ANY_NUMBER}
        found = {name: read_attribute(root, name, wanted) for name, wanted in identity.items()}
        check_format(self.path, {name: value for name, value in found.items() if value is not None})
        found |= {name: read_attribute(root, name, wanted) for name, wanted in ATTRIBUTES[self.kind].items()}
        run_id = str(found["run_id"])
        if len(run_id) != 32 or not set(run_id) <= set("0123456789abcdef"):
            raise ValueError("the attribute run_id must be 32 hexadecimal digits")
        return {name: value for name, value in found.items() if value is not None}

    @property
    def is_joined(self) -> bool:
        """Whether it shows an epoch that ranks recorded in parts."""
        return self.facts.get("parts", 1) > 1 and "part" not in self.facts

    @property
    def training_images(self) -> int:
        """Number of training images that a file of the training ledger is about; of thumbnails, how many there are."""
        longest = {"training_images": "labels", "training_epoch": "prediction", "training_thumbnails": "images"}
        return self.dataset(longest[self.kind]).shape[0]

    def expect(self, description: RunDescription) -> None:
        """Say which run the file belongs to, and so which datasets it must hold.

        Raises:
            DamagedFile: it contains other images than a part of that run, or shows other files than its parts.
        """
        self._description, self.sizes = description, dict(description.sizes)
        self._guard("", lambda: self._check_ranks(len(description.labels)))
        for path, found in self._checked.items():  # read before their lengths were known
            if any(length not in (None, has) for length, has in zip(self._own[path], found.shape, strict=True)):
                raise damaged(self.path, f"{path}: its shape is {found.shape}, but the run requires {self._own[path]}")
        if self.kind.startswith("training"):
            lengths = {stored.shape[0] for stored in self.stored.values()}
            if len(lengths) > 1:
                raise damaged(self.path, f"its datasets have {sorted(lengths)} training images")
        if self.is_joined:  # at once: the parts are read instead, so nothing else would look at what it shows of them
            epoch, world = self.facts["epoch"], self.facts["parts"]
            names = {Path(layout.part_file(epoch, rank, world)).name for rank in range(world)}
            shown = {path: shape for path, shape in self._required.items() if path not in self._own}
            # Check values of cached blocks stay with the parts.
            shown = {path: shape for path, shape in shown.items() if not path.endswith("_crc32")}
            self.views = {path: self._compared(path, shape, names) for path, shape in shown.items()}

    @property
    def stored(self) -> dict[str, StoredDataset]:
        """Path -> every dataset that the file itself must hold; raises DamagedFile where one is not as required."""
        return {path: self.dataset(path) for path in self._own}

    def dataset(self, path: str) -> StoredDataset:
        """A dataset, compared with the format when it is first asked for.

        Not all of them when the file is opened: that took 3 ms for each epoch, five times as long as opening it.

        Raises:
            DamagedFile: it is missing or not as the format requires.
        """
        found = self._checked.get(path)
        if found is None:
            if path not in self._own:
                raise damaged(self.path, f"{path}: it is missing")
            found = self._checked[path] = self._compared(path, self._own[path])
        return found

    def read_early(self, path: str) -> None:
        """Check a list of any length that describes the run, which is not known yet; raises as `dataset`."""
        self._checked[path] = self._compared(path, (None,))

    def _compared(self, path: str, shape: Shape, views: Collection[str] = ()) -> StoredDataset:
        field = _field(self.kind, path, self._description is not None and self._description.kept_maps > 0)
        dtype = np.dtype(field.dtype).newbyteorder("<")
        return self._guard("", lambda: check_dataset(self.members, path, field, shape, dtype, views))

    def _check_ranks(self, images: int) -> None:
        if self.kind != "epoch" or "part" not in self.facts:
            return
        first, end, parts = (self.facts.get(name, -1) for name in ("first_image", "end_image", "parts"))
        if not 0 <= first < end <= images or not self.facts["part"] < parts <= images:
            raise ValueError(f"it contains images {first} to {end} as part {self.facts['part']} of {parts}")
        rows = end - first
        self.sizes = {**self.sizes, "N": rows, "R": -(-rows // CACHED_BLOCK_ROWS)}

    @cached_property
    def _required(self) -> dict[str, Shape]:
        """Path -> shape of every dataset that the file must hold or, where it is joined, show of its parts."""
        return self._guard("", self._shapes_in_run)

    def _shapes_in_run(self) -> dict[str, Shape]:
        run = self._description
        if run is None:
            raise RuntimeError("Call expect first: which datasets a file must hold depends on its run.")
        lengths: dict[str, int | None] = {**self.sizes, **dict.fromkeys(_FREE)}
        needed = ["map_classes", "logits"] if run.kept_maps else []
        if run.signed and self.members.has("mean_map"):
            needed.append("mean_map")
        found: dict[str, Shape] = {
            field.path: tuple(int(dim) if dim.isdigit() else lengths[dim] for dim in field.dims)
            for (kind, _), field in FIELDS.items()
            if kind == self.kind and (not field.optional or field.path in needed or self._has_optional(field))
        }
        if self.kind == "epoch":
            found |= run.inner_shapes(self.sizes["N"])
        return found

    def _has_optional(self, field: Field) -> bool:
        # Of an epoch, what each image has follows from the description of the run.
        return (field.joint or self.kind != "epoch") and self.members.has(field.path)

    @cached_property
    def _own(self) -> dict[str, Shape]:
        """Path -> shape of the datasets that the file itself must hold."""
        if self.is_joined or "part" in self.facts:
            joint = self.is_joined
            return {path: shape for path, shape in self._required.items() if field_of("epoch", path).joint == joint}
        return self._required

    def has(self, path: str) -> bool:
        """Whether the file holds or shows a dataset at `path`."""
        return path in self._own or path in self.views

    def stored_bytes(self, path: str) -> int:
        """Bytes that a dataset takes in the file, 0 where its parts hold it."""
        if path not in self._own:
            return 0
        return self._guard(path, lambda: int(self.dataset(path).id.get_storage_size()))

    def names(self, group: str) -> tuple[str, ...]:
        """Names of the datasets of a group."""
        start = f"{group}/"
        return tuple(path.removeprefix(start) for path in (*self._own, *self.views) if path.startswith(start))

    def metrics(self) -> dict[str, float]:
        """The attributes of the group `metrics`."""
        if self._metrics is None:  # a complete file does not change, and reading attributes is slow
            self._metrics = self._guard("metrics", self._read_metrics)
        return dict(self._metrics)

    def _read_metrics(self) -> dict[str, float]:
        group = self.members.group("metrics")
        if group is None:
            raise ValueError("it is missing")
        count = h5a.get_num_attrs(group)
        if count > MOST_METRICS:
            raise ValueError(f"it has {count} attributes, at most {MOST_METRICS} are allowed")
        names = [h5a.open(group, index=place).name.decode() for place in range(count)]
        return {name: float(read_attribute(group, name, metric_attribute(name)) or 0) for name in names}

    def attribute(self, path: str, name: str, wanted: Attribute) -> Any:
        """An attribute of a dataset; raises DamagedFile where it is not as wanted."""
        place = self.views[path] if path in self.views else self.dataset(path)
        return self._guard(path, lambda: read_attribute(place.id, name, wanted))

    def rows(self, path: str, variant: int, rows: Rows, columns: Rows | None = None) -> NDArray:
        """Rows of a variant of a dataset, in the order asked for."""
        return self._guard(path, lambda: self._in_range(path, self.reader(path).read(variant, rows, columns)))

    def all_rows(self, path: str, variant: int = 0) -> NDArray:
        """All rows of a variant of a dataset."""
        return self._guard(path, lambda: self._all_rows(path, variant))

    def _all_rows(self, path: str, variant: int) -> NDArray:
        values = self.reader(path).variant(variant)
        if (path, variant) not in self._checked_columns:  # once: it took as long as reading, and the file is complete
            self._in_range(path, values)
            self._checked_columns.add((path, variant))
        return values

    def _in_range(self, path: str, values: NDArray) -> NDArray:
        """The values: a class or image among them is an index for whoever asked."""
        field = self.dataset(path).field
        if self.sizes and field.unit not in ("activation", "quantised"):  # a network may have gone to infinity
            check_values(values, field, self.sizes)
        return values

    def reader(self, path: str) -> ChunkReader:
        """The reader of a dataset; raises DamagedFile or ValueError where it cannot be read."""
        found = self._readers.get(path)
        if found is None:
            stored = self.dataset(path)
            if 0 in stored.shape:
                raise ValueError("it is empty")
            found = self._readers[path] = ChunkReader(stored)
        return found

    def cached_rows(self, kind: str, variant: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Quantised maps (n, H, W) and scales (n,); `kind` is "true_class" or "predicted_class"."""
        quantised = self._guard(f"cached/{kind}_map", lambda: self._cached_maps(kind, variant, rows))
        return quantised, self.all_rows(f"cached/{kind}_scale", variant)[rows]

    def _cached_maps(self, kind: str, variant: int, rows: Rows) -> NDArray[np.uint8]:
        place = self.dataset(f"cached/{kind}_map")
        offset, shape = place.offset, place.shape
        row_bytes = int(np.prod(shape[2:]))
        checks = self.reader(f"cached/{kind}_crc32").variant(variant)
        require_memory(5 * len(rows) * row_bytes, f"Reading {place.path}")  # a byte of each cell, and four once decoded
        out = np.empty((len(rows), *shape[2:]), np.uint8)
        order = np.argsort(rows, kind="stable")
        blocks = rows[order] // CACHED_BLOCK_ROWS
        for group in np.split(order, np.flatnonzero(np.diff(blocks)) + 1) if len(rows) else []:
            block = int(rows[group[0]]) // CACHED_BLOCK_ROWS
            first = block * CACHED_BLOCK_ROWS
            count = min(CACHED_BLOCK_ROWS, shape[1] - first)
            # Not a memory map: a file that is cut short under one kills the process, where this gets too few bytes.
            raw = os.pread(self._descriptor, count * row_bytes, offset + (variant * shape[1] + first) * row_bytes)
            if len(raw) != count * row_bytes or zlib.crc32(raw) != checks[block]:
                raise ValueError(f"rows {first} to {first + count - 1} of variant {variant} fail their checksum")
            out[group] = np.frombuffer(raw, np.uint8).reshape(count, *shape[2:])[rows[group] - first]
        return out

    def _guard(self, path: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except StoreError:
            raise
        except HDF5_ERRORS as err:
            raise damaged(self.path, f"{path}: {err}" if path else str(err)) from err
