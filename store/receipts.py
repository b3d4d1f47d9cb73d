"""Receipts: a small file beside every sealed epoch with the SHA-256 of the whole file.

An epoch that was deleted leaves its receipt behind, so that its absence is noticed; and a copy can be checked byte by
byte without HDF5. A receipt is written after its epoch was sealed: where it is absent, it is made anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from store.errors import DamagedFile
from store.files import PART, damaged, seal_file, writing
from store.layout import EPOCHS, epoch_of, receipt_file


def digest(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_receipt(run: Path, epoch: int, run_id: str, files: list[Path]) -> None:
    """Write an epoch's receipt over its file, or over the joining file and its parts."""
    entries = {file.name: {"bytes": file.stat().st_size, "sha256": digest(file)} for file in files}
    final = run / receipt_file(epoch)
    part = final.with_name(final.name + PART)
    with writing(final):
        part.write_text(json.dumps({"run_id": run_id, "epoch": epoch, "files": entries}, indent=1) + "\n")
    seal_file(part, final)


def read_receipt(run: Path, epoch: int) -> dict[str, Any] | None:
    """An epoch's receipt, None where there is none.

    Raises:
        DamagedFile: it is not a receipt.
    """
    path = run / receipt_file(epoch)
    try:
        receipt = json.loads(path.read_text())
        if receipt["epoch"] != epoch or not all("sha256" in entry for entry in receipt["files"].values()):
            raise ValueError(f"it is not the receipt of epoch {epoch}")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise damaged(path, str(err)) from err
    return receipt


def files_of(run: Path, epoch: int) -> list[Path]:
    """An epoch's file and, where ranks wrote it, their parts."""
    folder = run / EPOCHS
    return [folder / f"{epoch:04d}.h5", *sorted(folder.glob(f"{epoch:04d}.part*of*.h5"))]


def write_missing_receipts(run: Path, run_id: str) -> None:
    """Make the receipts of sealed epochs whose writer stopped before it came to that."""
    for path in sorted((run / EPOCHS).glob("*.h5")):
        epoch = epoch_of(path.name)
        if epoch is None:
            continue
        try:
            present = read_receipt(run, epoch) is not None
        except DamagedFile:
            present = False
        if not present:
            write_receipt(run, epoch, run_id, files_of(run, epoch))
