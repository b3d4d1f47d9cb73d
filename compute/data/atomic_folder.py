"""Folders written beside their place and moved there whole; what a killed process left half-written is swept away."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.data.errors import CacheUnusable

try:
    import fcntl
except ImportError:  # Windows has no flock: nothing is swept there, and nothing else is lost.
    fcntl = None  # type: ignore[assignment]

_LOCK = ".lock"
_LEFT = re.compile(r"\.part-[a-z0-9_]{8}")  # How `tempfile.mkdtemp` names what follows our prefix.


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to be filled and renamed to it; it is gone afterwards if that did not happen.

    Folders that killed processes left there are removed first, unless another process is writing there, too.

    Raises:
        CacheUnusable: the folder that is to hold `target` can't be made or written.
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
        _sweep(target.parent, lock)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
        try:
            yield unfinished
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        os.close(lock)


def _sweep(folder: Path, lock: int) -> None:
    """Removes what nobody writes any more and leaves the lock shared.

    Every writer holds the lock as long as it lives: it can be had alone only when all of them are done or dead.
    """
    if fcntl is None:
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            for left in folder.iterdir():
                if _LEFT.fullmatch(left.name[-14:]) and left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
        fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError:  # A file system without locks: what lies there may belong to a living process.
        return
