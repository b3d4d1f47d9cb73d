"""Checking a run: every byte against its check values, every dataset against the schema, every identity between them.

`python -m store verify RUN`. What is found wrong is listed, in words, and never repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.check.identities import check_identities
from store.errors import DamagedFile, StoreError
from store.format import compression, layout
from store.format.chunks import ChunkReader
from store.format.description import RunDescription
from store.format.receipts import file_sha256, read_receipt
from store.format.schema import CACHED_BLOCK_ROWS, EPOCH_FIELDS, RUN_FIELDS, Field, epoch_field, run_field
from store.read.epoch_parts import JoinedEpoch, open_epoch
from store.read.sealed_file import EpochData, SealedFile
from store.remote.place import is_remote

Progress = Callable[[int], None]  # told the bytes that were checked since the last call


@dataclass(frozen=True)
class Problem:
    """One problem of a run: the file, inside the run, and what is wrong with it."""

    file: str
    what: str

    def __str__(self) -> str:
        """As one line."""
        return f"{self.file}: {self.what}"


def verify_run(path: str | Path, *, progress: Progress | None = None) -> list[Problem]:
    """Everything that is wrong with the run at `path`; empty when nothing is.

    Raises:
        RunNotFound: there is no run.
        StoreError: `path` is a URL.
    """
    if is_remote(path):
        raise StoreError(
            f"{str(path)!r} is a URL: verifying needs the whole run in a folder. "
            'Fetch it first: "python -m store copy URL FOLDER", which checks every byte.'
        )
    path = Path(path)
    tell = progress or (lambda _: None)
    try:
        facts = layout.read_description(path / layout.RUN_FILE)
        sealed = SealedFile(path / layout.RUN_FILE, "run")
    except DamagedFile as err:
        return [Problem(layout.RUN_FILE, str(err))]
    problems = [Problem(file, what) for file, what in _against_receipt(path, facts.id, None)]
    problems += [Problem(layout.RUN_FILE, what) for what in _wrong_in_file(sealed, facts.description, tell)]
    for epoch in epochs_on_record(path):
        problems += _wrong_in_epoch(path, facts, epoch, tell)
    return problems


def epochs_on_record(path: Path) -> list[int]:
    """Epochs that have a file or a receipt, ascending."""
    folder = path / layout.EPOCHS
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    found = {layout.epoch_of(name) for name in names} | {
        layout.epoch_of(name.replace(".json", ".h5")) for name in names
    }
    return sorted(epoch for epoch in found if epoch is not None)


def bytes_to_check(path: str | Path) -> int:
    """Size of all sealed files of a run."""
    path = Path(path)
    return sum(
        file.stat().st_size for file in [path / layout.RUN_FILE, *(path / layout.EPOCHS).glob("*.h5")] if file.exists()
    )


def _wrong_in_epoch(path: Path, facts: layout.RunFacts, epoch: int, tell: Progress) -> list[Problem]:
    name = layout.epoch_file(epoch)
    problems = [Problem(file, what) for file, what in _against_receipt(path, facts.id, epoch)]
    if not (path / name).exists():
        return problems or [Problem(name, "its receipt is there, the file is gone")]
    try:
        data = open_epoch(path / name, facts.id, epoch)
        data.metrics()
    except StoreError as err:
        return [*problems, Problem(name, str(err))]
    whole = True
    for sealed in _files_of(data):
        wrong = list(_wrong_in_file(sealed, facts.description, tell))
        problems += [Problem(f"{layout.EPOCHS}/{sealed.path.name}", what) for what in wrong]
        whole = whole and not wrong
    if whole:  # identities between damaged numbers would only repeat the same news
        try:
            problems += [Problem(name, what) for what in check_identities(data, facts)]
        except StoreError as err:
            problems.append(Problem(name, str(err)))
    return problems


def _against_receipt(path: Path, run_id: str, epoch: int | None) -> Iterator[tuple[str, str]]:
    note = layout.receipt_file(epoch)
    try:
        receipt = read_receipt(path, epoch)
    except DamagedFile as err:
        yield note, str(err)
        return
    if receipt is None:
        yield note, "it is absent: resume the run, or copy it, to have it made anew"
        return
    if receipt["run_id"] != run_id:
        yield note, f"it is of run {receipt['run_id']!r}, run.h5 of {run_id!r}"
    for entry_name, entry in receipt["files"].items():
        file = (path / note).parent / Path(entry_name).name
        name = str(file.relative_to(path))
        if not file.exists():
            yield name, "it was recorded, but the file is gone"
        elif file.stat().st_size != entry["bytes"]:
            yield name, f"it has {file.stat().st_size} bytes, {entry['bytes']} were recorded"
        elif file_sha256(file) != entry["sha256"]:
            yield name, "its bytes are not those that were recorded (SHA-256 differs from the receipt)"


def _files_of(data: EpochData) -> list[SealedFile]:
    if isinstance(data, JoinedEpoch):
        return [*data.parts, data.joint]
    assert isinstance(data, SealedFile)
    return [data]


def _wrong_in_file(sealed: SealedFile, description: RunDescription, tell: Progress) -> Iterator[str]:
    """What is wrong with the datasets of one file."""
    before = 0
    for path, shape in expected_datasets(sealed, description).items():
        try:
            field = run_field(path) if sealed.kind == "run" else epoch_field(path)
            if field.storage == "contiguous":
                _check_cached(sealed, path, shape)
            else:
                _check_dataset(sealed.reader(path), field, shape)
        except (ValueError, KeyError, OSError, RuntimeError, TypeError, DamagedFile) as err:
            yield f"{path}: {err}"
        now = sealed.stored_bytes(path)
        tell(now)
        before += now
    tell(max(0, sealed.path.stat().st_size - before))


def expected_datasets(sealed: SealedFile, description: RunDescription) -> dict[str, tuple[int, ...] | None]:
    """Path -> shape (None where any length will do) of every dataset that a sealed file must hold itself."""
    sizes = dict(description.sizes)
    if sealed.kind == "run":
        optional = {"masks": sealed.has("masks"), "boxes": sealed.has("boxes")}
        return {f.path: None if "B" in f.dims else f.shape(sizes) for f in RUN_FIELDS if optional.get(f.path, True)}
    part, joint = "part" in sealed.facts, sealed.facts.get("parts", 1) > 1 and "part" not in sealed.facts
    if part:
        sizes["N"] = int(sealed.facts["end_image"]) - int(sealed.facts["first_image"])
        sizes["R"] = -(-sizes["N"] // CACHED_BLOCK_ROWS)
    found: dict[str, tuple[int, ...] | None] = {
        f.path: f.shape(sizes)
        for f in EPOCH_FIELDS
        if "*" not in f.path
        and not (part and f.joint)
        and not (joint and not f.joint)
        and not (f.optional and not sealed.has(f.path))
    }
    if not joint:
        for name, shape in description.layers.items():
            found |= {f"layers/{name}/quantised": (sizes["N"], *shape), f"layers/{name}/scale": (sizes["N"], shape[0])}
        found |= {f"stages/{name}": (sizes["N"], *shape) for name, shape in description.stages.items()}
    return found


def _check_dataset(reader: ChunkReader, field: Field, shape: tuple[int, ...] | None) -> None:
    dataset = reader.dataset
    if shape is not None and dataset.shape != shape:
        raise ValueError(f"its shape is {dataset.shape}, the run demands {shape}")
    wanted = np.dtype(field.dtype)
    if dataset.dtype.kind != wanted.kind or (wanted.kind != "S" and dataset.dtype != wanted):
        raise ValueError(f"its type is {dataset.dtype}, the format demands {wanted}")
    grid = reader.grid
    if grid.chunk != (*(1,) * grid.lead, grid.step, *grid.row_shape):
        raise ValueError(f"its chunks are {dataset.chunks}, the format demands whole rows of one variant")
    checks = np.array(
        [[reader.check(strip, number)[1] for number in range(grid.chunks)] for strip in range(grid.strips)], np.uint32
    )
    if compression.combine(checks) != int(dataset.attrs["check"]):
        raise ValueError("its chunks are not those that were recorded (the check value differs)")


def _check_cached(sealed: SealedFile, path: str, shape: tuple[int, ...] | None) -> None:
    found, dtype = sealed.shape_and_type(path)
    if found != shape or dtype != np.uint8:
        raise ValueError(f"it is {found} {dtype}, the run demands {shape} uint8")
    kind = path.removeprefix("cached/").removesuffix("_map")
    for strip in range(found[0]):
        sealed.cached_rows(kind, strip, np.arange(found[1]))
