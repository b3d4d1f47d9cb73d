"""The folder of files that were fetched from elsewhere: bounded in bytes, the least recently used leaves first.

`CLASSPRINT_CACHE` names the folder (default ~/.cache/classprint), in which `runs` is this cache; all of it may be
deleted at any time. `CLASSPRINT_RUN_CACHE_GB` bounds it (default 20). What somebody is reading stays even when that
keeps the cache over its bound; readers, in whatever process, show by a shared lock that they do.

An entry is a file with what belongs to it (an epoch's parts and receipt); its marker, NAME.state, says which state of
the original it is, and the time of the marker when it was last used.
"""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store.errors import StoreError
from store.format.hdf5_file import PART

CACHE_VARIABLE, LIMIT_VARIABLE = "CLASSPRINT_CACHE", "CLASSPRINT_RUN_CACHE_GB"
DEFAULT_GB = 20.0
MARKER = ".state"
ABANDONED = 86400  # seconds after which an unfinished download is predicted as one that was killed


def cache_folder() -> Path:
    """The folder of everything that can be fetched or computed again: $CLASSPRINT_CACHE, else ~/.cache/classprint."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "classprint"


@dataclass(frozen=True)
class Entry:
    """A file in the cache, what belongs to it, its size in bytes with them, and when it was last used."""

    path: Path
    files: tuple[Path, ...]
    size: int
    used: float

    @property
    def marker(self) -> Path:
        """Where its state is kept."""
        return self.path.with_name(self.path.name + MARKER)


class FileCache:
    """Fetched files of all runs under one folder, at most `limit` bytes of them beside what is being read."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    @classmethod
    def of_this_user(cls) -> FileCache:
        """The cache that the environment names; raises StoreError where the bound is not a number."""
        given = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_GB)
        try:
            limit = float(given)
        except ValueError:
            limit = -1.0
        if not limit >= 0:
            raise StoreError(
                f"{LIMIT_VARIABLE} is {given!r}: give the gigabytes that fetched runs may take, such as 20."
            )
        return cls(cache_folder() / "runs", int(min(limit, 1e9) * 1e9))

    def entries(self) -> Iterator[Entry]:
        """Every entry of every run."""
        for marker in self.folder.glob(f"**/*{MARKER}"):
            path = marker.with_name(marker.name.removesuffix(MARKER))
            files = [path, *path.parent.glob(f"{path.stem}.part*of*.h5"), path.with_suffix(".json")]
            with suppress(FileNotFoundError):  # another process is making room
                sizes = {file: file.stat().st_size for file in files if file.exists()}
                yield Entry(path, tuple(sizes), sum(sizes.values()), marker.stat().st_mtime)

    def make_room(self, needed: int) -> None:
        """Remove entries, the least recently used first, until `needed` bytes more keep the bound."""
        self._sweep()
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries) + needed
        for entry in entries:
            if total <= self.limit:
                return
            total -= entry.size if _remove(entry) else 0

    def _sweep(self) -> None:
        for part in self.folder.glob(f"**/*{PART}"):
            with suppress(OSError):
                if abs(time.time() - part.stat().st_mtime) > ABANDONED:
                    part.unlink()


def hold(path: Path, holder: object) -> bool:
    """Keep a file from being removed for as long as `holder` lives; False where it is not there (any more)."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    weakref.finalize(holder, os.close, descriptor)
    with suppress(OSError):  # a file system without locks, or it is being removed: the next line tells
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return os.fstat(descriptor).st_nlink > 0


def _remove(entry: Entry) -> bool:
    """Whether an entry was removed; one that is being read is left."""
    try:
        descriptor = os.open(entry.path, os.O_RDONLY)
    except FileNotFoundError:
        entry.marker.unlink(missing_ok=True)
        return True
    try:
        with suppress(OSError):  # a file system without locks: whoever has the file open keeps what was open
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        entry.marker.unlink(missing_ok=True)  # first: without it the file would be fetched again
        for file in entry.files:
            file.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
