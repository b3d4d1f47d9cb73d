"""Checking a run: every byte against its check values, every dataset against the schema, every identity between them.

`python -m store verify RUN` lists the problems and never repairs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from store.check.identities import check_epoch, check_run_file
from store.errors import DamagedFile, StoreError
from store.format import layout
from store.format.chunks import ChunkReader, combine
from store.format.description import RunDescription, RunFacts, read_description
from store.format.hdf5_file import attributes
from store.format.quantization import zero_point
from store.format.receipts import file_sha256, read_receipt
from store.format.schema import CACHED_BLOCK_ROWS, EPOCH_FIELDS, RUN_FIELDS, TRAINING_FIELDS, Field, field_of
from store.read.epoch_data import JoinedEpoch, RecordFile, check_identity, open_epoch
from store.read.source import LocalSource
from store.remote.place import is_remote

Progress = Callable[[int], None]  # called with the number of bytes checked since the last call
ROUNDING = 1e-4  # tolerance: float32 arithmetic may leave a range such as 0..1 by this much
UNREADABLE = (ValueError, KeyError, OSError, RuntimeError, TypeError, DamagedFile)  # what reading a damaged file raises


@dataclass(frozen=True)
class Problem:
    """One problem of a run: the file, relative to the run, and what is wrong with it."""

    file: str
    text: str

    def __str__(self) -> str:
        """As one line."""
        return f"{self.file}: {self.text}"


def verify_run(path: str | Path, *, progress: Progress | None = None) -> list[Problem]:
    """All problems of the run at `path`.

    Raises:
        RunNotFound: there is no run.
        StoreError: `path` is a URL.
    """
    if is_remote(path):
        raise StoreError(
            f"{str(path)!r} is a URL: verifying needs the whole run in a folder. "
            'Fetch it first: "python -m store copy URL FOLDER", which checks every byte.'
        )
    path, report = Path(path), progress or (lambda _: None)
    try:
        facts = read_description(path / layout.RUN_FILE)
        run_file = RecordFile(path / layout.RUN_FILE, "run")
    except DamagedFile as err:
        return [Problem(layout.RUN_FILE, str(err))]
    problems = list(_receipt_problems(path, facts.id, None))
    damage = [Problem(layout.RUN_FILE, text) for text in _file_problems(run_file, facts.description, report)]
    problems += damage or [Problem(layout.RUN_FILE, text) for text in check_run_file(run_file, facts.description)]
    # A receipt without its file is how a deleted epoch is noticed.
    complete, receipts = LocalSource(path).look()
    for epoch in sorted(complete.keys() | receipts):
        problems += _epoch_problems(path, facts, epoch, report)
    return [*problems, *_ledger_problems(path, facts, report)]


def bytes_to_check(path: str | Path) -> int:
    """Size of all complete files of a run."""
    folders = (Path(path) / layout.EPOCHS, Path(path) / layout.TRAINING)
    files = [Path(path) / layout.RUN_FILE, *(file for folder in folders for file in folder.glob("*.h5"))]
    return sum(file.stat().st_size for file in files if file.exists())


def _epoch_problems(path: Path, facts: RunFacts, epoch: int, report: Progress) -> list[Problem]:
    name = layout.epoch_file(epoch)
    problems = list(_receipt_problems(path, facts.id, epoch))
    if not (path / name).exists():
        return problems or [Problem(name, "its receipt exists, but the file is gone")]
    try:
        data = open_epoch(path / name, facts.id, epoch)
        data.metrics()
        files = [*data.parts, data.joint] if isinstance(data, JoinedEpoch) else [data]
        damage = [
            Problem(f"{layout.EPOCHS}/{file.path.name}", text)
            for file in files
            for text in _file_problems(file, facts.description, report)
        ]
        # Identities between damaged numbers would only repeat the same problems.
        return problems + (damage or [Problem(name, text) for text in check_epoch(data, facts)])
    except StoreError as err:
        return [*problems, Problem(name, str(err))]


def _ledger_problems(run: Path, facts: RunFacts, report: Progress) -> Iterator[Problem]:
    """Problems of the training ledger, whose files have no receipts."""
    counts: dict[str, int] = {}
    for path in sorted((run / layout.TRAINING).glob("*.h5")):
        name = f"{layout.TRAINING}/{path.name}"
        is_images = name == layout.TRAINING_IMAGES
        try:
            file = RecordFile(path, "training_images" if is_images else "training_epoch")
            check_identity(file, run_id=facts.id, epoch=None if is_images else layout.epoch_of(path.name))
            counts[name] = _training_images(file)
            yield from (Problem(name, text) for text in _file_problems(file, facts.description, report))
        except StoreError as err:
            yield Problem(name, str(err))
    if counts and not (run / layout.TRAINING_IMAGES).exists():
        yield Problem(layout.TRAINING_IMAGES, "it is missing, so nobody knows which images the ledger is about")
    images = counts.get(layout.TRAINING_IMAGES)
    for name, count in counts.items():
        if images is not None and count != images:
            yield Problem(name, f"it contains {count} training images, {layout.TRAINING_IMAGES} lists {images}")


def _training_images(file: RecordFile) -> int:
    return int(file.dataset("labels" if file.kind == "training_images" else "prediction").shape[0])


def _receipt_problems(path: Path, run_id: str, epoch: int | None) -> Iterator[Problem]:
    name = layout.receipt_file(epoch)
    try:
        receipt = read_receipt(path, epoch)
    except DamagedFile as err:
        yield Problem(name, str(err))
        return
    if receipt is None:
        yield Problem(name, "it is missing: resume or copy the run to have it written again")
        return
    if receipt["run_id"] != run_id:
        yield Problem(name, f"it is of run {receipt['run_id']!r}, run.h5 of {run_id!r}")
    for entry_name, entry in receipt["files"].items():
        file = (path / name).parent / Path(entry_name).name
        if not file.exists():
            text = "it was recorded, but the file is gone"
        elif file.stat().st_size != entry["bytes"]:
            text = f"it has {file.stat().st_size} bytes, but {entry['bytes']} were recorded"
        elif file_sha256(file) != entry["sha256"]:
            text = "its bytes are not those that were recorded (SHA-256 differs from the receipt)"
        else:
            continue
        yield Problem(str(file.relative_to(path)), text)


def _file_problems(file: RecordFile, description: RunDescription, report: Progress) -> Iterator[str]:
    """Problems of the datasets of one file, each on its own."""
    reported = 0
    for path, shape in expected_datasets(file, description).items():
        try:
            field = field_of(file.kind, path)
            if not description.kept_maps:
                field = field.of_all_classes()
            _check_declaration(file.dataset(path), field, shape)
            if path == "maps" and file.dataset(path).attrs["zero_point"] != zero_point(description.signed):
                raise ValueError(f"its zero point must be {zero_point(description.signed)}")
            if field.storage == "contiguous":
                _check_cached(file, path)
            else:
                _check_chunks(file.reader(path), field, description.sizes)
        except UNREADABLE as err:
            yield f"{path}: {err}"
        report(file.stored_bytes(path))
        reported += file.stored_bytes(path)
    report(max(0, file.path.stat().st_size - reported))


def expected_datasets(file: RecordFile, description: RunDescription) -> dict[str, tuple[int, ...] | None]:
    """Path -> shape (None for any) of every dataset that a complete file must contain, and of its optional ones."""
    sizes = dict(description.sizes)
    if file.kind != "epoch":
        fields = [field for field in (*RUN_FIELDS, *TRAINING_FIELDS) if field.kind == file.kind]
        if file.kind != "run":
            sizes["M"] = _training_images(file)
        return {
            field.path: None if "B" in field.dims else field.shape(sizes)
            for field in fields
            if not field.optional or file.has(field.path)
        }
    is_part = "part" in file.facts
    has_own_images = is_part or file.facts.get("parts", 1) == 1  # else its parts contain the datasets of single images
    if is_part:
        sizes["N"] = int(file.facts["end_image"]) - int(file.facts["first_image"])
        sizes["R"] = -(-sizes["N"] // CACHED_BLOCK_ROWS)
    required = ("map_classes", "logits") if description.kept_maps else ()
    found: dict[str, tuple[int, ...] | None] = {
        field.path: field.shape(sizes)
        for field in EPOCH_FIELDS
        if "*" not in field.path
        and (not is_part if field.joint else has_own_images)
        and (not field.optional or field.path in required or file.has(field.path))
    }
    if has_own_images:
        for name, shape in description.layers.items():
            found |= {f"layers/{name}/quantised": (sizes["N"], *shape), f"layers/{name}/scale": (sizes["N"], shape[0])}
        found |= {f"stages/{name}": (sizes["N"], *shape) for name, shape in description.stages.items()}
    return found


def _check_declaration(dataset: h5py.Dataset, field: Field, shape: tuple[int, ...] | None) -> None:
    """Refuse a dataset whose shape, type or axes differ from what the format requires."""
    wanted = np.dtype(field.dtype)
    if shape is not None and dataset.shape != shape:
        raise ValueError(f"its shape is {dataset.shape}, but the run requires {shape}")
    if dataset.dtype.kind != wanted.kind or (wanted.kind != "S" and dataset.dtype != wanted):
        raise ValueError(f"its type is {dataset.dtype}, but the format requires {wanted}")
    axes = attributes(dataset).get("axes")
    if axes != field.axes:
        raise ValueError(f"its axes are {axes!r}, but the format requires {field.axes!r}")


def _check_chunks(reader: ChunkReader, field: Field, sizes: Mapping[str, int]) -> None:
    grid = reader.grid
    if grid.chunk != (*(1,) * grid.has_variant_axis, grid.chunk_rows, *grid.row_shape):
        raise ValueError(f"its chunks are {grid.chunk}, but the format requires whole rows of one variant")
    checks = np.zeros((grid.variants, grid.chunks), np.uint32)
    for index in np.ndindex(*checks.shape):
        rows, checks[index] = reader.check(*index)
        # A valid checksum shows that the bytes are as written, not that the values written are possible.
        _check_values(rows, field, sizes)
    if combine(checks) != int(reader.dataset.attrs["check"]):
        raise ValueError("its chunks are not those that were recorded (the check value differs)")


def _check_cached(file: RecordFile, path: str) -> None:
    variants, images = file.dataset(path).shape[:2]
    for variant in range(variants):
        file.cached_rows(path.removeprefix("cached/").removesuffix("_map"), variant, np.arange(images))


def _check_values(values: NDArray, field: Field, sizes: Mapping[str, int]) -> None:
    """Refuse numbers that the unit of a dataset rules out: NaN without a meaning, a fraction of 2, class 200 of 200."""
    if values.dtype.kind == "S":
        return
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all() and not _may_be_nan(field):
            raise ValueError("it contains numbers that are not finite")
        values = values[finite]
    low, high = _range_of(field, sizes)
    if np.isinf([low, high]).all() or not values.size:
        return
    if values.min() < low or values.max() > high:
        raise ValueError(f"it contains {values.min():g} to {values.max():g}, allowed are {low:g} to {high:g}")


def _may_be_nan(field: Field) -> bool:
    """Whether NaN has a meaning: means over no images."""
    return "NaN" in field.meaning or field.path.startswith("variant_metrics/")


def _range_of(field: Field, sizes: Mapping[str, int]) -> tuple[float, float]:
    """Smallest and largest value that the unit of a dataset allows."""
    if field.name.endswith("scale"):
        return float(np.finfo(np.float32).tiny), np.inf
    ranges = {
        "fraction": (-ROUNDING, 1 + ROUNDING),
        "0..1": (-ROUNDING, 1 + ROUNDING),
        "0..2": (-ROUNDING, 2 + ROUNDING),
        "-1..1": (-1 - ROUNDING, 1 + ROUNDING),
        "boolean": (0, 1),
        "class": (0, sizes["C"] - 1),
        "rank": (1, sizes["C"]),
        "cell": (0, sizes["H"] * sizes["W"]),
        "image": (0, sizes["N"]),
    }
    return ranges.get(field.unit, (-np.inf, np.inf))
