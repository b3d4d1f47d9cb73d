"""The HDF5 files of a run: opening a complete one, and writing a new one completely or not at all.

Metadata carries checksums (file format of HDF5 1.10 and later), text has a fixed length (variable-length text would be
in a heap without a checksum), and every chunk has its own; so no byte that matters can change unnoticed.

HDF5 (2.0) may crash some time after a failed write. So disk space is reserved before HDF5 writes, which reports a full
disk in time, and an abandoned file is closed into memory.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.errors import DamagedFile, RunExists, SchemaMismatch, StoreError, TooManyFiles, WriteFailed
from store.format.layout import ANALYSIS_FILE, FOLDERS, RUN_FILE
from store.format.schema import FORMAT, FORMAT_VERSION

PART = ".part"  # ending of a file that is being written
_TOP_FILES = (RUN_FILE, ANALYSIS_FILE, "run.json", "all.h5")  # lie in the run's own folder, whatever that is called
VIEW_BYTES = 1024  # bytes that a virtual dataset takes for each of its source files
_LIBRARY_VERSIONS = ("v110", "v114")
_METADATA_BYTES = 1 << 18  # for HDF5's own structures
_DATASET_BYTES = 4096  # for such structures and the attributes of a dataset without its index
_RESERVE_BYTES = 16 << 20  # bytes to reserve at a time: a system call for each chunk would cost more than writing it
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: reserve blocks, leave the length as it is
_REMEDY = "Restore it from a copy, or delete it and record it again."


def regular_file(path: Path) -> os.stat_result:
    """The status of a file of a run; refuses anything but a plain file in a plain folder before it is opened.

    The run's own folder may be a link, since people keep runs on other disks; inside it, a link could lead anywhere,
    and to open a pipe blocks for ever.

    Raises:
        DamagedFile: it is a link, a pipe, a device, a folder, or in a folder that is a link.
        FileNotFoundError, NotADirectoryError: it is not there.
    """
    try:
        if path.parent.name in FOLDERS and path.name.removesuffix(PART) not in _TOP_FILES:
            _refuse_other(path.parent, path.parent.lstat(), stat.S_ISDIR, "a folder")
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as err:
        raise _inaccessible(path, err) from err
    _refuse_other(path, found, stat.S_ISREG, "a file")
    return found


def folder_entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder of a run, none if it does not exist; raises DamagedFile if it is not a folder."""
    try:
        _refuse_other(folder, folder.lstat(), stat.S_ISDIR, "a folder")
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as err:
        raise _inaccessible(folder, err) from err


def read_small_file(path: Path, most: int) -> bytes:
    """All bytes of a file of a run that has at most `most` of them; raises as `regular_file`."""
    size = regular_file(path).st_size
    if size > most:
        raise damaged(path, f"it has {size:,} bytes, and such a file has at most {most:,}")
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
            return file.read(most)
    except OSError as err:
        raise _inaccessible(path, err) from err


_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
}


def _refuse_other(path: Path, found: os.stat_result, wanted: Callable[[int], bool], what: str) -> None:
    if not wanted(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise DamagedFile(f"{str(path)!r} is {kind}, where a run has {what}. Put {what} with its contents there.")


def _inaccessible(path: Path, err: OSError) -> DamagedFile:
    if isinstance(err, PermissionError):
        return DamagedFile(f"{str(path)!r}: permission denied. Change its permissions, or ask its owner.")
    return DamagedFile(f"{str(path)!r} cannot be opened: {err.strerror or err}. {_REMEDY}")


def open_file(path: Path) -> h5py.File:
    """The complete file at `path`, read-only.

    Raises:
        DamagedFile: it is no plain file, HDF5 cannot open it, or permission is denied.
        TooManyFiles: the system lets this process open no more.
        StoreError: this process has it open with file locking.
        FileNotFoundError, NotADirectoryError: it is not there.
    """
    if regular_file(path).st_size == 0:
        raise damaged(path, "it is empty")
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except PermissionError as err:
        raise _inaccessible(path, err) from err
    except (OSError, RuntimeError, ValueError, KeyError) as err:
        if getattr(err, "errno", None) in (errno.EMFILE, errno.ENFILE):
            raise TooManyFiles(
                f"{str(path)!r} cannot be opened: this process has too many files open. Raise the limit (ulimit -n)."
            ) from err
        if "locking flag values don't match" in str(err):  # nothing is wrong with the file, which must not be deleted
            raise StoreError(
                f"{str(path)!r} is open in this process by h5py with file locking. Close it, or open it there with "
                "h5py.File(..., locking=False)."
            ) from err
        raise DamagedFile(f"{str(path)!r} cannot be opened: {err}. {_REMEDY}") from err


def damaged(path: Path | str, what: str) -> DamagedFile:
    """The error for a damaged file; `what` says what is wrong with it."""
    return DamagedFile(f"{str(path)!r} is damaged: {what}. {_REMEDY}")


def set_attributes(target: h5py.File | h5py.Group | h5py.Dataset, values: Mapping[str, Any]) -> None:
    """Write numbers and texts as attributes; text gets a fixed length."""
    for name, value in values.items():
        if isinstance(value, str):
            value = np.bytes_(value.encode() or b"\0")
        elif isinstance(value, bool):
            value = np.uint8(value)
        target.attrs[name] = value


def set_identity(file: h5py.File, kind: str, run_id: str, values: Mapping[str, Any]) -> None:
    """Write the attributes that every file of a run has, and `values`."""
    identity = {"format": FORMAT, "format_version": FORMAT_VERSION, "kind": kind, "run_id": run_id}
    set_attributes(file, {**identity, **values, "complete": 1})


def check_format(path: Path | str, facts: Mapping[str, Any]) -> None:
    """Refuse a file of another format or version by its attributes; raises SchemaMismatch."""
    version = facts.get("format_version")
    if facts.get("format") == FORMAT and version == FORMAT_VERSION:
        return
    if "schema_version" in facts:  # versions before the first release, which called themselves 1, too
        raise SchemaMismatch(f"{str(path)!r} was made by an unreleased version of Classprint. Record the run again.")
    if facts.get("format") != FORMAT or not isinstance(version, int):
        raise SchemaMismatch(f"{str(path)!r} is not a file of a Classprint run. Check the path.")
    remedy = "Update Classprint to read it." if version > FORMAT_VERSION else "Record the run again."
    raise SchemaMismatch(
        f"{str(path)!r} has format version {version}, but this Classprint reads version {FORMAT_VERSION}. {remedy}"
    )


@contextmanager
def write_errors(path: Path | str) -> Iterator[None]:
    """Turn errors of the file system or HDF5 inside the block into WriteFailed."""
    try:
        yield
    except StoreError:
        raise
    except (OSError, RuntimeError) as err:
        # HDF5's message describes its buffers at length; only the system's reason helps the user.
        number = getattr(err, "errno", None)
        reason = os.strerror(number) if number else str(err)
        raise WriteFailed(
            f"{str(path).removesuffix(PART)!r} could not be written: {reason}. "
            "Epochs that were complete before are intact: "
            f"{_write_remedy(number)}, then run the same command again to resume."
        ) from err


def _write_remedy(number: int | None) -> str:
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "change the permissions or choose another folder"
    if number in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG):
        return "choose another folder"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space or raise the limit"
    return "check the disk"


class NewFile(h5py.File):
    """A file being written: `finish` or `give_up` ends it. Mode "r+" changes a file that has no final name yet."""

    def __init__(self, path: Path, mode: str = "w") -> None:
        super().__init__(path, mode, libver=_LIBRARY_VERSIONS, locking=False, rdcc_nbytes=0)
        self.path = path
        self._lock = threading.Lock()
        self._expected = self.reserved = 0  # size that the file will have, and size reserved on disk
        try:
            self.reserve(0)
        except OSError:
            self.give_up()
            raise

    def reserve(self, count: int) -> None:
        """Reserve space for `count` bytes more; thread-safe.

        Raises:
            OSError: the disk is full, the quota used up, or the file too long for this process.
        """
        with self._lock:
            self._expected += count
            if self._expected + _METADATA_BYTES <= self.reserved:
                return
            self._expected = max(self._expected, self.id.get_filesize() + count)
            end = self._expected + _METADATA_BYTES
            if end > self.reserved:
                descriptor = self.id.get_vfd_handle()
                try:
                    reserve_on_disk(descriptor, self.path, self.reserved, end + _RESERVE_BYTES)
                    end += _RESERVE_BYTES
                except OSError:  # less far ahead, then
                    reserve_on_disk(descriptor, self.path, self.reserved, end)
                self.reserved = end

    def create_dataset(
        self, name: str, shape: Any = None, dtype: Any = None, data: Any = None, **options: Any
    ) -> h5py.Dataset:
        """As h5py's."""
        self.reserve(_DATASET_BYTES + (0 if data is None else np.asarray(data).nbytes))
        return super().create_dataset(name, shape, dtype, data, **options)

    def finish(self) -> None:
        """Write everything and close; on OSError or RuntimeError (the disk refuses) call `give_up`."""
        self.flush()
        self.close()
        os.truncate(self.path, self.path.stat().st_size)  # releases the reserved space

    def give_up(self) -> None:
        """Close without writing, even if the disk fails."""
        if not self:
            return
        with suppress(OSError, RuntimeError):
            memory = _memory_file()
            os.dup2(memory, self.id.get_vfd_handle())
            os.close(memory)
        with suppress(OSError, RuntimeError):
            self.close()


def reserve_on_disk(descriptor: int, path: Path, start: int, stop: int) -> None:
    """Reserve the bytes from `start` to `stop` of an open file; raises OSError."""
    # HDF5 2.0 crashed at 62 places of an epoch where a write failed; with space reserved first, at none.
    longest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if longest != resource.RLIM_INFINITY and stop > longest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if fallocate is not None:
        if fallocate(descriptor, _KEEP_SIZE, ctypes.c_int64(start), ctypes.c_int64(stop - start)) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise OSError(number, os.strerror(number))
    if shutil.disk_usage(path.parent).free < stop - start:  # a system or file system that cannot reserve space
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _memory_file() -> int:
    """A descriptor of a file in memory, or of a temporary file where the system has no such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("given up")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextmanager
def unfinished_file(part: Path, mode: str = "w") -> Iterator[NewFile]:
    """A new file, or with mode "r+" one without a final name, closed when the block ends; raises WriteFailed."""
    with write_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        file = NewFile(part, mode)
    try:
        yield file
        with write_errors(part):
            file.finish()
    except BaseException:
        file.give_up()
        raise


@contextmanager
def atomic_path(final: Path, part: Path | None = None) -> Iterator[Path]:
    """A temporary path for a file that takes its final name when the block ends; nothing is left when the block raises.

    Args:
        part: its name until then.

    Raises:
        WriteFailed: the file system refuses to write, also inside the block; or something else lies at `part`.
    """
    part = part or part_of(final)
    _refuse_other_file(part)
    try:
        with write_errors(final):
            part.parent.mkdir(parents=True, exist_ok=True)
            yield part
        publish(part, final)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


@contextmanager
def atomic_file(final: Path, part: Path | None = None) -> Iterator[NewFile]:
    """As `atomic_path`, open as an HDF5 file."""
    with atomic_path(final, part) as path, unfinished_file(path) as file:
        yield file


@contextmanager
def write_once(final: Path) -> Iterator[NewFile]:
    """As `atomic_file`, for a file that is never written again, locked against other processes.

    Raises:
        RunExists: another process completed it meanwhile.
        WriteFailed: the file system refuses to write, or another process is writing it. Other errors pass through.
    """
    part = part_of(final)
    with claim(part):
        try:
            if final.exists():
                raise RunExists(
                    f"{str(final)!r} was completed by another process meanwhile, and is never written again."
                )
            with unfinished_file(part) as file:
                yield file
            publish(part, final)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def part_of(final: Path) -> Path:
    """The name of a file while it is written."""
    return final.with_name(final.name + PART)


def _refuse_other_file(part: Path) -> None:
    """Refuse to write over what is no unfinished file: in a run that somebody sent, a link there leads out of it."""
    try:
        names, odd = regular_file(part).st_nlink, ""
    except (FileNotFoundError, NotADirectoryError):
        return
    except DamagedFile as err:
        if isinstance(err.__cause__, OSError):  # the system says why once it is opened for writing
            return
        names, odd = 0, str(err).partition(", where")[0]
    if names != 1:
        raise WriteFailed(
            f"{odd or f'{str(part)!r} is another file, too: it has {names} names'}. Nothing is written through it: "
            "remove it."
        )


def publish(part: Path, final: Path) -> None:
    """Give a finished file its final name, so that it is complete or absent even after a power cut."""
    with write_errors(final):
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
    """Lock an unfinished file against other processes; yields whether it is ours (always, unless `wait` is False).

    The lock ends with its process in any case, so what a killed writer left may be removed.

    Raises:
        WriteFailed: `wait` and another process is writing it; or something else lies at `part`.
    """
    _refuse_other_file(part)
    with write_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        descriptor, ours = _lock(part)
    try:
        if wait and not ours:
            raise WriteFailed(f"{str(part)!r} is being written by another process. Wait for it, or stop it first.")
        yield ours
    finally:
        os.close(descriptor)


def _lock(part: Path) -> tuple[int, bool]:
    """An open descriptor of a file, created if necessary, and whether the lock on it is ours."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return descriptor, False
        except OSError:
            return descriptor, True  # a file system without locks
        # Between the two calls its writer may have completed or removed it: the lock would be on another file.
        if part.exists() and os.path.samestat(os.fstat(descriptor), part.stat()):
            return descriptor, True
        os.close(descriptor)
