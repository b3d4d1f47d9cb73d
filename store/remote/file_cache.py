"""The cache folder, and its part for files of remote runs, which is limited in bytes.

CLASSPRINT_CACHE names the folder (default ~/.cache/classprint); all of it may be deleted at any time. Its subfolder
`runs` has the fetched files, at most CLASSPRINT_RUN_CACHE_GB gigabytes (default 20): the least recently used are
removed first. A file that is being read stays, even when that exceeds the limit: its readers, in any process, have a
shared lock on it.

An entry is a file and those that belong to it (an epoch's parts and receipt). Its marker, NAME.state, has the state of
the fetched original; the marker's time is when the entry was last used.
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
from store.remote.place import free_bytes

CACHE_VARIABLE, LIMIT_VARIABLE = "CLASSPRINT_CACHE", "CLASSPRINT_RUN_CACHE_GB"
DEFAULT_GB = 20.0
MARKER = ".state"
ABANDONED = 86400  # seconds after which an unfinished download counts as abandoned


def cache_folder() -> Path:
    """The folder of everything that can be fetched or computed again: $CLASSPRINT_CACHE, else ~/.cache/classprint."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "classprint"


@dataclass(frozen=True)
class Entry:
    """A file in the cache, all files that belong to it, their size in bytes, and when it was last used."""

    path: Path
    files: tuple[Path, ...]
    size: int
    used: float


class FileCache:
    """Fetched files of all runs in one folder, at most `limit` bytes of them besides what is being read."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    @classmethod
    def from_environment(cls) -> FileCache:
        """The cache that the environment names; raises StoreError where the limit is not a number."""
        given = os.environ.get(LIMIT_VARIABLE) or str(DEFAULT_GB)
        try:
            limit = float(given)
        except ValueError:
            limit = -1.0
        if not limit >= 0:  # also NaN
            raise StoreError(f"{LIMIT_VARIABLE} is {given!r}: set it to a number of gigabytes, such as 20.")
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
        """Remove entries, the least recently used first, until `needed` more bytes fit into the limit.

        Raises:
            StoreError: they would not fit on the disk; nothing is removed for them.
        """
        self._remove_abandoned_downloads()
        self._refuse_full_disk(needed)
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries) + needed
        for entry in entries:
            if total <= self.limit:
                return
            total -= entry.size if _remove(entry) else 0

    def _refuse_full_disk(self, needed: int) -> None:
        free = free_bytes(self.folder) + sum(entry.size for entry in self.entries())
        if needed > free:  # a listing may claim any size
            raise StoreError(
                f"A file of {needed:,} bytes is to be fetched, and the disk of {str(self.folder)!r} has room for "
                f"{free:,}. Set {CACHE_VARIABLE} to a folder on a larger one."
            )

    def _remove_abandoned_downloads(self) -> None:
        for part in self.folder.glob(f"**/*{PART}"):
            with suppress(OSError):
                if abs(time.time() - part.stat().st_mtime) > ABANDONED:
                    part.unlink()


def marker_of(path: Path) -> Path:
    """Where the state of a file in the cache is noted."""
    return path.with_name(path.name + MARKER)


def hold_file(path: Path, holder: object) -> bool:
    """Keep a file in the cache for as long as `holder` lives; False where it is not (or no longer) there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    weakref.finalize(holder, os.close, descriptor)
    # A lock, not an age: no file leaves the cache under a reader, and a clock that jumps only changes their order.
    # Fails on a file system without locks, or while the file is being removed: then the link count is 0.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return os.fstat(descriptor).st_nlink > 0


def _remove(entry: Entry) -> bool:
    """Whether an entry was removed; one that is being read stays."""
    marker = marker_of(entry.path)
    try:
        descriptor = os.open(entry.path, os.O_RDONLY)
    except FileNotFoundError:
        marker.unlink(missing_ok=True)
        return True
    try:
        with suppress(OSError):  # a file system without locks: a reader keeps the file that it has open
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        marker.unlink(missing_ok=True)  # first: a file without its marker would be fetched again
        for file in entry.files:
            file.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
