"""Files of tensors: each record held against its CRC-32, then loaded without ever unpickling code."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

_ZIP_START = b"PK\x03\x04"  # how torch.load tells its own archives from older files


def load_tensors(path: Path) -> Any:
    """What torch.save wrote into a file, on the CPU; only tensors and plain values are unpickled.

    torch.load compares no checksum, so a changed byte would be predicted as a changed weight: this compares them first.
    A file without any, written before PyTorch 1.6 or under set_crc32_options(False), is loaded as it is.

    Raises:
        ValueError: a record is not what was written.
        pickle.UnpicklingError, RuntimeError, OSError and others: what torch.load raises.
    """
    with path.open("rb") as file:
        archived = file.read(len(_ZIP_START)) == _ZIP_START
    if archived:
        _check_records(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_records(path: Path) -> None:
    """Returns when every record of the archive has the CRC-32 that it was written with.

    Raises:
        ValueError: one has not, or the archive cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            checked = any(entry.CRC for entry in archive.infolist())  # PyTorch writes 0 throughout where it writes none
            wrong = archive.testzip() if checked else None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, LookupError, OverflowError) as err:
        raise ValueError(f"its archive is damaged: {err}") from err
    if wrong is not None:
        raise ValueError(f"its record '{wrong}' does not have the checksum that it was written with: it was changed")
