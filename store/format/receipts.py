"""Receipts: a small file for run.h5 and for every complete epoch, with the SHA-256 of the whole file.

An epoch that was deleted leaves its receipt behind, so that its absence is noticed; and a copy can be checked byte by
byte without HDF5. A receipt is written after its epoch is complete: where it is absent, it is written again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from store.errors import DamagedFile
from store.format.hdf5_file import atomic_path, damaged
from store.format.layout import EPOCHS, RUN_FILE, epoch_of, receipt_file


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_receipt(run: Path, epoch: int | None, run_id: str) -> None:
    """Write the receipt of an epoch's files, or with `epoch` None of run.h5."""
    # The whole file's SHA-256: HDF5's own checksums do not notice a file that was deleted or exchanged.
    entries = {file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)} for file in files_of(run, epoch)}
    with atomic_path(run / receipt_file(epoch)) as part:
        part.write_text(json.dumps({"run_id": run_id, "epoch": epoch, "files": entries}, indent=1) + "\n")


def read_receipt(run: Path, epoch: int | None) -> dict[str, Any] | None:
    """The receipt of an epoch, or of run.h5; None where there is none.

    Raises:
        DamagedFile: it is not a receipt.
    """
    path = run / receipt_file(epoch)
    try:
        receipt = json.loads(path.read_text())
        complete = all({"bytes", "sha256"} <= entry.keys() for entry in receipt["files"].values())
        if receipt["epoch"] != epoch or not receipt["files"] or not complete or "run_id" not in receipt:
            raise ValueError(f"it is not the receipt of {'run.h5' if epoch is None else f'epoch {epoch}'}")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise damaged(path, str(err)) from err
    return receipt


def files_of(run: Path, epoch: int | None) -> list[Path]:
    """An epoch's file and, where ranks wrote it, their parts; run.h5 for None."""
    if epoch is None:
        return [run / RUN_FILE]
    folder = run / EPOCHS
    return [folder / f"{epoch:04d}.h5", *sorted(folder.glob(f"{epoch:04d}.part*of*.h5"))]


def write_missing_receipts(run: Path, run_id: str) -> None:
    """Write the missing receipts of complete files: their writer stopped too early."""
    epochs = sorted(epoch for path in (run / EPOCHS).glob("*.h5") if (epoch := epoch_of(path.name)) is not None)
    for epoch in (None, *epochs):
        try:
            present = read_receipt(run, epoch) is not None
        except DamagedFile:
            present = False
        if not present:
            write_receipt(run, epoch, run_id)
