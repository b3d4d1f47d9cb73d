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
from store.format.hdf5_file import atomic_path, damaged, read_small_file
from store.format.layout import EPOCHS, RUN_FILE, epochs_among, inside, receipt_file
from store.format.structure import json_value

RECEIPT_BYTES = 1 << 20  # some hundred in practice, a few thousand with many ranks


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
        receipt = parse_receipt(read_small_file(path, RECEIPT_BYTES), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if receipt["epoch"] != epoch:
        raise damaged(path, f"it is not the receipt of {'run.h5' if epoch is None else f'epoch {epoch}'}")
    return receipt


def parse_receipt(raw: bytes, where: str) -> dict[str, Any]:
    """The receipt `raw`: run_id, epoch, and by file name "bytes" and "sha256"; raises DamagedFile where it is none.

    A file's name is a plain name: receipt and files lie in one folder.
    """
    try:
        if len(raw) > RECEIPT_BYTES:
            raise ValueError(f"it has more than {RECEIPT_BYTES:,} bytes")
        receipt = json_value(raw, "it")
        files = receipt.get("files") if isinstance(receipt, dict) else None
        if not isinstance(files, dict) or not files or not all(map(_is_entry, files.values())):
            raise ValueError('"files" must map names to "bytes" and "sha256"')
        if not isinstance(receipt.get("run_id"), str) or not isinstance(receipt.get("epoch", ""), (int, type(None))):
            raise ValueError('"run_id" must be a text, and "epoch" a number or null')
    except ValueError as err:
        raise DamagedFile(
            f"{where} is not a receipt: {err}. Restore it from a copy, or resume the run to have it written again."
        ) from err
    for name in files:
        if "/" in inside(name, where):
            raise DamagedFile(f"{where} names {name!r}, which is not in its folder. Do not use this run.")
    return receipt


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("bytes"), int)
        and 0 <= entry["bytes"] < 2**63
        and isinstance(entry.get("sha256"), str)
        and len(entry["sha256"]) == 64
    )


def files_of(run: Path, epoch: int | None) -> list[Path]:
    """An epoch's file and, where ranks wrote it, their parts; run.h5 for None."""
    if epoch is None:
        return [run / RUN_FILE]
    folder = run / EPOCHS
    return [folder / f"{epoch:04d}.h5", *sorted(folder.glob(f"{epoch:04d}.part*of*.h5"))]


def write_missing_receipts(run: Path, run_id: str) -> None:
    """Write the missing receipts of complete files: their writer stopped too early."""
    for epoch in (None, *epochs_among(path.name for path in (run / EPOCHS).glob("*.h5"))):
        try:
            present = read_receipt(run, epoch) is not None
        except DamagedFile:
            present = False
        if not present:
            write_receipt(run, epoch, run_id)
