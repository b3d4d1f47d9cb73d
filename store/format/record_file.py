"""One complete HDF5 file of a run, whose structure is checked when it is opened and whose values at every read."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Collection, Mapping
from functools import cache
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
    EPOCH_FIELDS,
    FIELDS,
    METRIC,
    MOST_METRICS,
    Attribute,
    Field,
    check_values,
    field_of,
)
from store.format.structure import (
    HDF5_ERRORS,
    Members,
    Shape,
    StoredDataset,
    check_dataset,
    read_attribute,
)

if TYPE_CHECKING:
    from store.format.description import RunDescription

Rows = NDArray[np.int64]
T = TypeVar("T")
_FREE = {"B", "M"}  # dimensions that each file has of its own
_ANY_TEXT, _ANY_NUMBER = Attribute("text", optional=True), Attribute("whole", optional=True)


@cache
def _field(kind: str, path: str, kept: bool) -> Field:
    """The entry of a dataset, in a run that keeps some maps or all."""
    field = field_of(kind, path)
    return field if kept else field.of_all_classes()


class RecordFile:
    """One complete HDF5 file of a run; every read either returns what was written or raises DamagedFile.

    `kind` is "run", "epoch", "training_images" or "training_epoch". Datasets can be read once `check_structure` found
    them to be as the format requires in a run of that description.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path, self.kind = path, kind
        self._file = open_file(path)
        self.members = self._guard("", lambda: Members(self._file))
        self.facts: dict[str, Any] = self._guard("", self._attributes)
        if self.facts["kind"] != kind:
            raise damaged(path, f"it is not a complete {kind} file")
        self.stored: dict[str, StoredDataset] = {}
        self.views: dict[str, StoredDataset] = {}  # datasets of a joined epoch that its parts hold
        self.sizes: Mapping[str, int] = {}
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
        """Number of training images of a file of the training ledger."""
        return self.stored["labels" if self.kind == "training_images" else "prediction"].shape[0]

    def check_structure(self, description: RunDescription) -> None:
        """Compare every dataset that a complete file must hold, and optional ones it has, with the format.

        Raises:
            DamagedFile: one is missing or not as the format requires.
        """
        self.sizes = dict(description.sizes)
        self._guard("", lambda: self._check_ranks(len(description.labels)))
        own, shown = self._guard("", lambda: self._expected(description))
        kept = bool(description.kept_maps)
        for path, shape in own.items():
            self.require(path, shape, kept=kept)
        lengths = {stored.shape[0] for stored in self.stored.values()}
        if self.kind.startswith("training") and len(lengths) > 1:
            raise damaged(self.path, f"its datasets have {sorted(lengths)} training images")
        if shown:
            epoch, world = self.facts["epoch"], self.facts["parts"]
            names = {Path(layout.part_file(epoch, rank, world)).name for rank in range(world)}
            self.views = {path: self._checked_dataset(path, shape, kept, names) for path, shape in shown.items()}

    def require(self, path: str, shape: Shape, *, kept: bool = False) -> None:
        """Find the dataset at a path as the format requires it, lengths of None being free, or raise DamagedFile."""
        self.stored[path] = self._checked_dataset(path, shape, kept)

    def _checked_dataset(self, path: str, shape: Shape, kept: bool, views: Collection[str] = ()) -> StoredDataset:
        field = _field(self.kind, path, kept)
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

    def _expected(self, description: RunDescription) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """Path -> shape of the datasets that the file itself holds, and of those that it shows of its parts."""
        sizes = self.sizes
        if self.kind != "epoch":
            free = {**sizes, **dict.fromkeys(_FREE)}
            fields = [field for (kind, _), field in FIELDS.items() if kind == self.kind]
            own: dict[str, Shape] = {
                field.path: tuple(int(dim) if dim.isdigit() else free[dim] for dim in field.dims)
                for field in fields
                if not field.optional or self.members.find(field.path) is not None
            }
            return own, {}
        required = ["map_classes", "logits"] if description.kept_maps else []
        if description.signed and self.members.find("mean_map") is not None:
            required.append("mean_map")
        of_images: dict[str, Shape] = {}
        of_all: dict[str, Shape] = {}
        for field in EPOCH_FIELDS:
            if "*" in field.path or (field.optional and field.path not in required and not field.joint):
                continue
            if field.optional and field.joint and self.members.find(field.path) is None:
                continue
            (of_all if field.joint else of_images)[field.path] = field.shape(sizes)
        for name, shape in description.layers.items():
            of_images |= {f"layers/{name}/quantised": (sizes["N"], *shape)}
            of_images |= {f"layers/{name}/scale": (sizes["N"], shape[0])}
        of_images |= {f"stages/{name}": (sizes["N"], *shape) for name, shape in description.stages.items()}
        if self.is_joined:  # check values of cached blocks stay with the parts
            return of_all, {path: shape for path, shape in of_images.items() if not path.endswith("_crc32")}
        return (of_images if "part" in self.facts else of_images | of_all), {}

    def has(self, path: str) -> bool:
        """Whether the file holds or shows a dataset at `path`."""
        return path in self.stored or path in self.views

    def stored_bytes(self, path: str) -> int:
        """Bytes that a dataset takes in the file, 0 where its parts hold it."""
        place = self.stored.get(path)
        return 0 if place is None else self._guard(path, lambda: int(place.id.get_storage_size()))

    def names(self, group: str) -> tuple[str, ...]:
        """Names of the datasets of a group."""
        start = f"{group}/"
        return tuple(path.removeprefix(start) for path in (*self.stored, *self.views) if path.startswith(start))

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
        return {name: float(read_attribute(group, name, METRIC) or 0) for name in names}

    def attribute(self, path: str, name: str, wanted: Attribute) -> Any:
        """An attribute of a dataset; raises DamagedFile where it is not as wanted."""
        place = {**self.views, **self.stored}[path]
        return self._guard(path, lambda: read_attribute(place.id, name, wanted))

    def rows(self, path: str, variant: int, rows: Rows, columns: Rows | None = None) -> NDArray:
        """Rows of a variant of a dataset, in the order asked for."""
        return self._guard(path, lambda: self._checked(path, self.reader(path).read(variant, rows, columns)))

    def all_rows(self, path: str, variant: int = 0) -> NDArray:
        """All rows of a variant of a dataset."""
        return self._guard(path, lambda: self._all_rows(path, variant))

    def _all_rows(self, path: str, variant: int) -> NDArray:
        values = self.reader(path).variant(variant)
        if (path, variant) not in self._checked_columns:  # once: it took as long as reading, and the file is complete
            self._checked(path, values)
            self._checked_columns.add((path, variant))
        return values

    def _checked(self, path: str, values: NDArray) -> NDArray:
        """The values: a class or image among them is an index for whoever asked."""
        field = self.stored[path].field
        if self.sizes and field.unit not in ("activation", "quantised"):  # a network may have gone to infinity
            check_values(values, field, self.sizes)
        return values

    def reader(self, path: str) -> ChunkReader:
        """The reader of a dataset; raises ValueError where the file does not hold it."""
        found = self._readers.get(path)
        if found is None:
            if path not in self.stored:
                raise ValueError("it is missing")
            if not np.prod(self.stored[path].shape):
                raise ValueError("it is empty")
            found = self._readers[path] = ChunkReader(self.stored[path])
        return found

    def cached_rows(self, kind: str, variant: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Quantised maps (n, H, W) and scales (n,); `kind` is "true_class" or "predicted_class"."""
        quantised = self._guard(f"cached/{kind}_map", lambda: self._cached_maps(kind, variant, rows))
        return quantised, self.all_rows(f"cached/{kind}_scale", variant)[rows]

    def _cached_maps(self, kind: str, variant: int, rows: Rows) -> NDArray[np.uint8]:
        place = self.stored[f"cached/{kind}_map"]
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
