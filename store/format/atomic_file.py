"""HDF5 files while they are written, on a disk that may fill up at any moment without taking the process along.

HDF5 (2.0) may crash some time after it could not write. So the disk is asked beforehand to set room aside for what
HDF5 is about to write, and says here that it is full, or the quota used up; and what is given up is closed into memory.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.format.hdf5_file import seal_file, writing

_LIBRARY_VERSIONS = ("v110", "v114")
_SLACK = 1 << 18  # bytes for HDF5's own structures
_OF_A_DATASET = 4096  # bytes of them, and of attributes, besides its index
_AHEAD = 16 << 20  # bytes to ask for at a time
VIEW_BYTES = 1024  # what a virtual dataset takes for each file that it shows
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: set blocks aside, leave the length as it is
_NOT_KNOWN = (errno.EOPNOTSUPP, errno.ENOSYS)


class NewFile(h5py.File):
    """A file being written: `finish` or `give_up` ends it. Mode "r+" alters a file that has no final name yet."""

    def __init__(self, path: Path, mode: str = "w") -> None:
        super().__init__(path, mode, libver=_LIBRARY_VERSIONS, locking=False, rdcc_nbytes=0)
        self.path = path
        self._room = threading.Lock()
        self._expected = self._kept = 0  # bytes it will have, and bytes that are set aside
        try:
            self.make_room(0)
        except OSError:
            self.give_up()
            raise

    def make_room(self, count: int) -> None:
        """Set room aside for `count` bytes more; thread-safe.

        Raises:
            OSError: the disk is full, the quota used up, or the file too long for this process.
        """
        with self._room:
            self._expected = max(self._expected, self.id.get_filesize()) + count
            if self._expected + _SLACK > self._kept:
                end = self._expected + _SLACK + _AHEAD
                try:
                    _set_aside(self.id.get_vfd_handle(), self.path, self._kept, end)
                except OSError:  # not so far ahead, then
                    end = self._expected + _SLACK
                    _set_aside(self.id.get_vfd_handle(), self.path, self._kept, end)
                self._kept = end

    def create_dataset(
        self, name: str, shape: Any = None, dtype: Any = None, data: Any = None, **options: Any
    ) -> h5py.Dataset:
        """As h5py's."""
        self.make_room(_OF_A_DATASET + (0 if data is None else np.asarray(data).nbytes))
        return super().create_dataset(name, shape, dtype, data, **options)

    def finish(self) -> None:
        """Write everything and close; raises OSError or RuntimeError where the disk refuses: then give it up."""
        self.flush()
        self.close()
        os.truncate(self.path, self.path.stat().st_size)  # hands back what was set aside

    def give_up(self) -> None:
        """Close what need not be written, whatever state the disk is in."""
        if not self:
            return
        with suppress(OSError, RuntimeError):
            memory = _memory()
            os.dup2(memory, self.id.get_vfd_handle())
            os.close(memory)
        with suppress(OSError, RuntimeError):
            self.close()


def _set_aside(descriptor: int, path: Path, start: int, stop: int) -> None:
    longest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if longest != resource.RLIM_INFINITY and stop > longest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if fallocate is not None:
        if fallocate(descriptor, _KEEP_SIZE, ctypes.c_int64(start), ctypes.c_int64(stop - start)) == 0:
            return
        number = ctypes.get_errno()
        if number not in _NOT_KNOWN:
            raise OSError(number, os.strerror(number))
    if shutil.disk_usage(path.parent).free < stop - start:  # a system or file system that sets nothing aside
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _memory() -> int:
    """A descriptor of a file that is not on the disk, where the system has that, and nowhere to be found elsewhere."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("given up")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def create_file(path: Path) -> NewFile:
    """A new, empty file at `path`, replacing a stale one; raises WriteFailed."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return NewFile(path)


def discard(file: NewFile | None, part: Path) -> None:
    """Close and remove a file that was not finished, also on a full disk."""
    if file is not None:
        file.give_up()
    part.unlink(missing_ok=True)


@contextmanager
def altered(part: Path) -> Iterator[NewFile]:
    """A file without a final name, open to be altered; raises OSError or RuntimeError where the disk refuses."""
    yield from _finished(NewFile(part, "r+"))


@contextmanager
def made(part: Path) -> Iterator[NewFile]:
    """A new file, closed when the block ends; raises WriteFailed, OSError or RuntimeError where the disk refuses."""
    yield from _finished(create_file(part))


def _finished(file: NewFile) -> Iterator[NewFile]:
    try:
        yield file
        file.finish()
    except BaseException:
        file.give_up()
        raise


@contextmanager
def sealing(part: Path, final: Path) -> Iterator[NewFile]:
    """A new file that takes its final name when the block ends, and is removed when it raises.

    Raises:
        WriteFailed: the file system refuses, also inside the block.
    """
    try:
        with writing(final), made(part) as file:
            yield file
        seal_file(part, final)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
