"""Checking a run: every byte against its check values, every dataset against the schema, every identity between them.

`python -m store verify RUN` lists the problems and never repairs anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.analysis.analysis_file import analysis_problems
from store.check.identities import check_epoch, check_run_file
from store.errors import DamagedFile, StoreError
from store.format import layout
from store.format.chunks import combine
from store.format.description import RunDescription, RunFacts, open_run_file
from store.format.hdf5_file import folder_entries, regular_file
from store.format.quantization import zero_point
from store.format.receipts import file_sha256, read_receipt
from store.format.record_file import RecordFile
from store.format.schema import Attribute, check_values
from store.format.structure import unchecked_metadata
from store.read.epoch_data import JoinedEpoch, check_identity, open_epoch
from store.read.source import LocalSource
from store.read.training_ledger import TrainingLedger
from store.remote.place import is_remote

Progress = Callable[[int], None]  # is given the bytes checked since the last call


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
    _refuse_url(path)
    path, report = Path(path), progress or (lambda _: None)
    try:
        run_file, facts = open_run_file(path / layout.RUN_FILE)
    except DamagedFile as err:
        return [Problem(layout.RUN_FILE, str(err))]
    problems = list(_receipt_problems(path, facts.id, None))
    damage = [Problem(layout.RUN_FILE, text) for text in _file_problems(run_file, facts.description, report)]
    problems += damage or [Problem(layout.RUN_FILE, text) for text in check_run_file(run_file, facts.description)]
    # A receipt without its file is how a deleted epoch is noticed.
    try:
        complete, receipts = LocalSource(path).look()
        ledger = sorted(entry.name for entry in folder_entries(path / layout.TRAINING) if entry.name.endswith(".h5"))
    except DamagedFile as err:
        return [*problems, Problem(layout.EPOCHS, str(err))]
    for epoch in sorted(complete.keys() | receipts):
        problems += _epoch_problems(path, facts, epoch, report)
    problems += _ledger_problems(path, ledger, facts, report)
    # No part of the record, but read beside it.
    return problems + [Problem(layout.ANALYSIS_FILE, text) for text in analysis_problems(path, facts)]


def _refuse_url(path: str | Path) -> None:
    if is_remote(path):
        raise StoreError(
            f"{str(path)!r} is a URL: verifying needs the whole run in a folder. "
            'Fetch it first: "python -m store copy URL FOLDER", which checks every byte.'
        )


def bytes_to_check(path: str | Path) -> int:
    """Size of all complete files of a run; raises StoreError for a URL."""
    _refuse_url(path)
    folders = (Path(path) / layout.EPOCHS, Path(path) / layout.TRAINING)
    files = [Path(path) / layout.RUN_FILE, *(file for folder in folders for file in folder.glob("*.h5"))]
    return sum(file.stat().st_size for file in files if file.exists())


def _epoch_problems(path: Path, facts: RunFacts, epoch: int, report: Progress) -> list[Problem]:
    name = layout.epoch_file(epoch)
    problems = list(_receipt_problems(path, facts.id, epoch))
    if not os.path.lexists(path / name):
        return problems or [Problem(name, "its receipt exists, but the file is gone")]
    try:
        data = open_epoch(path / name, facts, epoch)
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


def _ledger_problems(run: Path, names: list[str], facts: RunFacts, report: Progress) -> Iterator[Problem]:
    """Problems of the training ledger, whose files have no receipts."""
    counts: dict[str, int] = {}
    kinds = {layout.TRAINING_IMAGES: "training_images", layout.TRAINING_THUMBNAILS: "training_thumbnails"}
    for name in (f"{layout.TRAINING}/{file}" for file in names):
        kind = kinds.get(name, "training_epoch")
        try:
            file = RecordFile(run / name, kind)
            check_identity(file, run_id=facts.id, epoch=None if name in kinds else layout.epoch_of(Path(name).name))
            file.expect(facts.description)
            if kind == "training_thumbnails":
                TrainingLedger(run, facts).thumbnails()
            else:
                counts[name] = file.training_images
            yield from (Problem(name, text) for text in _file_problems(file, facts.description, report))
        except StoreError as err:
            yield Problem(name, str(err))
    if counts and layout.TRAINING_IMAGES not in counts and not (run / layout.TRAINING_IMAGES).exists():
        yield Problem(layout.TRAINING_IMAGES, "it is missing, so nobody knows which images the ledger is about")
    images = counts.get(layout.TRAINING_IMAGES)
    for name, count in counts.items():
        if images is not None and count != images:
            yield Problem(name, f"it contains {count} training images, {layout.TRAINING_IMAGES} lists {images}")


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
        file = (path / name).parent / entry_name
        try:
            size = regular_file(file).st_size
            if size != entry["bytes"]:
                text = f"it has {size} bytes, but {entry['bytes']} were recorded"
            elif file_sha256(file) != entry["sha256"]:
                text = "its bytes are not those that were recorded (SHA-256 differs from the receipt)"
            else:
                continue
        except (FileNotFoundError, NotADirectoryError):
            text = "it was recorded, but the file is gone"
        except DamagedFile as err:
            text = str(err)
        yield Problem(str(file.relative_to(path)), text)


def _file_problems(file: RecordFile, description: RunDescription, report: Progress) -> Iterator[str]:
    """Problems of the datasets of one file, each on its own."""
    reported = 0
    yield from unchecked_metadata(file.path, file.members, [*file.stored.values(), *file.views.values()])
    for path, stored in {**file.views, **file.stored}.items():
        try:
            axes = file.attribute(path, "axes", Attribute("text"))
            if axes != stored.field.axes:
                raise ValueError(f"its axes are {axes!r}, but the format requires {stored.field.axes!r}")
            if path == "maps":
                zero = zero_point(description.signed)
                if file.attribute(path, "zero_point", Attribute("whole")) != zero:
                    raise ValueError(f"its zero point must be {zero}")
            if path in file.views:
                continue
            if stored.field.storage == "contiguous":
                _check_cached(file, path)
            else:
                _check_chunks(file, path, description.sizes)
        except (ValueError, StoreError) as err:
            yield f"{path}: {err}"
        size = file.stored_bytes(path)
        report(size)
        reported += size
    report(max(0, file.path.stat().st_size - reported))


def _check_chunks(file: RecordFile, path: str, sizes: Mapping[str, int]) -> None:
    reader, field = file.reader(path), file.dataset(path).field
    checks = np.zeros((reader.grid.variants, reader.grid.chunks), np.uint32)
    for index in np.ndindex(*checks.shape):
        rows, checks[index] = reader.check(*index)
        # A valid checksum says that bytes are as written, not that the writer wrote values that can be.
        check_values(rows, field, sizes)
    if combine(checks) != file.attribute(path, "check", Attribute("whole", 0, 2**32 - 1)):
        raise ValueError("its chunks are not those that were recorded (the check value differs)")


def _check_cached(file: RecordFile, path: str) -> None:
    variants, images = file.dataset(path).shape[:2]
    for variant in range(variants):
        file.cached_rows(path.removeprefix("cached/").removesuffix("_map"), variant, np.arange(images))
