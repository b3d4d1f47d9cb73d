"""HDF5 files as this format uses them: how they are created, sealed, opened and checked.

Metadata carries checksums (file format of HDF5 1.10 and later), text has a fixed length (variable-length text would sit
in a heap without one), and every chunk has its own; so no byte that matters can change unnoticed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.errors import DamagedFile, RunExists, SchemaMismatch, StoreError, TooManyFiles, WriteFailed
from store.format.schema import SCHEMA_VERSION

PART = ".part"  # ending of a file that is being written


def open_file(path: Path) -> h5py.File:
    """The sealed file at `path`, read-only.

    Raises:
        DamagedFile: HDF5 cannot open it, or it is not ours to read.
        TooManyFiles: the system lets this process open no more.
        FileNotFoundError, NotADirectoryError: it is not there.
    """
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except PermissionError as err:
        raise DamagedFile(
            f"{str(path)!r} may not be read: you have no right to. Change that, or ask its owner."
        ) from err
    except (OSError, RuntimeError) as err:
        if getattr(err, "errno", None) in (errno.EMFILE, errno.ENFILE):
            raise TooManyFiles(
                f"{str(path)!r} cannot be opened: this process has too many files open. Allow it more (ulimit -n)."
            ) from err
        raise DamagedFile(f"{str(path)!r} cannot be opened: {err}. {_REMEDY}") from err


_REMEDY = "Restore it from a copy, or delete it and record it again."


def damaged(path: Path | str, what: str) -> DamagedFile:
    """The error for a sealed file in which `what` is wrong."""
    return DamagedFile(f"{str(path)!r} is damaged: {what}. {_REMEDY}")


def set_attributes(target: h5py.File | h5py.Group | h5py.Dataset, values: Mapping[str, Any]) -> None:
    """Write numbers and texts as attributes; text gets a fixed length."""
    for name, value in values.items():
        if isinstance(value, str):
            value = np.bytes_(value.encode() or b"\0")
        elif isinstance(value, bool):
            value = np.uint8(value)
        target.attrs[name] = value


def attributes(target: h5py.File | h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """All attributes as Python numbers and texts.

    Raises:
        ValueError: one of them cannot be read.
    """
    values: dict[str, Any] = {}
    try:
        for name, value in target.attrs.items():
            values[name] = value.decode() if isinstance(value, bytes) else value.item()
    except (OSError, RuntimeError, KeyError, AttributeError, UnicodeDecodeError) as err:
        raise ValueError(f"an attribute cannot be read ({err})") from err
    return values


def check_version(path: Path | str, found: int | None) -> None:
    """Refuse a file of another schema version; raises SchemaMismatch."""
    if found == SCHEMA_VERSION:
        return
    if found is None:
        raise SchemaMismatch(f"{str(path)!r} has no schema version: it is not a file of a Classprint run.")
    raise SchemaMismatch(
        f"{str(path)!r} has schema version {found}, this code reads version {SCHEMA_VERSION}. "
        + (
            "Update Classprint to read it."
            if found > SCHEMA_VERSION
            else "Record the run again, or read it with an older Classprint."
        )
    )


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn what the file system or HDF5 refuses inside the block into WriteFailed."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, RuntimeError) as err:
        # HDF5 tells the whole story of its buffers; the system's own word for the reason is what helps.
        number = getattr(err, "errno", None)
        reason = os.strerror(number) if number else str(err)
        raise WriteFailed(
            f"{str(path)!r} could not be written: {reason}. What was sealed before is intact: "
            f"{_remedy(number)}, then start again to resume."
        ) from err


def _remedy(number: int | None) -> str:
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "change the rights or choose another folder"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space, or be allowed more of it"
    return "mend the disk"


def refuse_sealed(final: Path) -> None:
    """Refuse to write what another process sealed meanwhile: to be asked once the unfinished file is claimed.

    Raises:
        RunExists: the file is there.
    """
    if final.exists():
        raise RunExists(f"{str(final)!r} was sealed by another process meanwhile, and is never written again.")


def seal_file(part: Path, final: Path) -> None:
    """Put a finished file under its final name so that it is there whole or not at all, even after a power cut."""
    with writing(final):
        _sync(part)
        part.replace(final)
        _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def claim(part: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold an unfinished file against other processes; yields whether it is ours (always, unless `wait` is False).

    The hold ends with the process, however that ends, so what a killed writer left is free to be removed.

    Raises:
        WriteFailed: `wait` and another process is writing it.
    """
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        descriptor, ours = _locked(part)
    try:
        if wait and not ours:
            raise WriteFailed(f"{str(part)!r} is being written by another process. Wait for it, or stop it first.")
        yield ours
    finally:
        os.close(descriptor)


def _locked(part: Path) -> tuple[int, bool]:
    """An open descriptor of a file, made where it is not there, and whether the lock on it is ours."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return descriptor, False
        except OSError:
            return descriptor, True  # a file system without locks: nothing to ask
        # Between the two calls its holder may have sealed or removed it: the lock would then be on another file.
        if part.exists() and os.path.samestat(os.fstat(descriptor), part.stat()):
            return descriptor, True
        os.close(descriptor)
