"""Folders of the cache, written under a temporary name and renamed when complete.

The half-written folder of a killed process is removed by the next process that writes there.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compute.errors import CacheUnusable

_LOCK = ".lock"
_UNFINISHED = re.compile(r"\.part-[a-z0-9_]{8}")  # How `tempfile.mkdtemp` continues our prefix.


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to be filled and renamed to it; it is removed if that does not happen.

    Raises:
        CacheUnusable: the folder that contains `target` can't be created or written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(target.parent / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as err:
        raise CacheUnusable(
            f"The cache folder '{target.parent}' can't be written: {err.strerror}. "
            "Set CLASSPRINT_CACHE to a folder of yours."
        ) from err
    try:
        _remove_abandoned(target.parent, lock)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
        try:
            yield unfinished
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        os.close(lock)


def _remove_abandoned(folder: Path, lock: int) -> None:
    """Removes the unfinished folders of killed processes, then takes a shared lock.

    Every writer keeps it until it ends, so a process that gets the lock exclusively knows that no other one is writing.
    """
    try:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for each in folder.iterdir():
                if _UNFINISHED.fullmatch(each.name[-14:]) and each.is_dir():
                    shutil.rmtree(each, ignore_errors=True)
        fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError:  # A file system without locks: an unfinished folder may belong to a running process.
        return
