"""Zip and tar archives unpacked into a folder: completely or not at all, and never outside it.

tarfile and zipfile read the archives; what they accept is refused here: bombs, links, paths that lead outside, two
files with the same name, and tar archives that end too early. (tarfile's filter "data" would strip a path's leading
slash and let links pass that stay inside, and not every Python 3.11 has it.)
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from compute.data.atomic_folder import unfinished_folder
from compute.errors import BadArchive
from store.terminal import ProgressBar

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_CHUNK = 1 << 20
_ENTRY_BYTES = 4096  # That an entry takes on a disk, however little is in it.
_LONGEST_DIRECTORY = 64 << 20  # Bytes of a zip archive's list of its files: zipfile takes ten times as much memory.
_LONGEST_HEADER = 1 << 20  # Bytes before a file in a tar archive: long names, PAX records.
_DEEPEST = 100  # Folders inside each other; pathlib and shutil call themselves for each.
_LONGEST_PADDING = 64 << 20  # Bytes that may follow the last file of a tar archive.
_NAMED_UTF8 = 0x800  # Bit 11 of a zip member's flags (APPNOTE 4.4.4): its name is UTF-8.
# What the libraries raise on damaged archives: their own errors, those of the decompressors, and those of bad numbers.
_ERRORS = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, RuntimeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """How large an archive may become, unpacked, before it is refused as a bomb."""

    files: int = 5_000_000
    bytes: int = 400 << 30
    ratio: int = 100  # Unpacked to packed size; images hardly shrink, a bomb shrinks a thousandfold.
    ratio_from: int = 64 << 20  # Below this many unpacked bytes the ratio does not matter.


@dataclass(frozen=True)
class _Member:
    """A file in an archive, or a folder, which cannot be opened."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None] | None


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive by its name or its content."""
    named = path.name.lower().endswith(_SUFFIXES)
    return path.is_file() and (named or zipfile.is_zipfile(path) or _is_tar(path))


def _is_tar(path: Path) -> bool:
    # Not tarfile.is_tarfile, which reads headers of any size.
    try:
        with _open_tar(path):
            return True
    except _ERRORS:
        return False


def extract_archive(archive: Path, target: Path, *, bounds: Bounds = Bounds()) -> Path:
    """The new folder `target` with the archive's files in it; on any error nothing is left behind.

    Raises:
        BadArchive: the archive is damaged or truncated, contains links, devices or paths that lead outside, or unpacks
            to more than `bounds` allows; or the disk is full.
    """
    with unfinished_folder(target) as unfinished:
        try:
            _extract_all(archive, unfinished, bounds)
            unfinished.rename(target)
        except BadArchive:
            raise
        except _ERRORS as err:
            if target.is_dir():  # Another process was faster; its result is as good.
                return target
            raise BadArchive(_failure(archive, unfinished, err)) from err
    return target


def _failure(archive: Path, unfinished: Path, err: Exception) -> str:
    if isinstance(err, OSError) and err.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"There is no room to unpack '{archive}' into '{unfinished.parent}': {err.strerror}. "
            "Free some space, or set CLASSPRINT_CACHE to a folder with more."
        )
    problem = str(err) or type(err).__name__
    if isinstance(err, MemoryError):
        problem = "that takes more memory than is free"
    if isinstance(err, FileExistsError):
        problem = f"it contains '{Path(err.filename).relative_to(unfinished)}' twice"
    elif isinstance(err, OSError) and err.strerror:
        problem = f"'{str(err.filename or '').removeprefix(f'{unfinished}/')}': {err.strerror}"
    return (
        f"The archive '{archive}' can't be unpacked: {problem}. "
        "Download it again, or unpack it yourself and name the folder."
    )


def _extract_all(archive: Path, folder: Path, bounds: Bounds) -> None:
    entries = files = unpacked = 0
    packed = max(archive.stat().st_size, 1)
    members = _zip_members(archive) if zipfile.is_zipfile(archive) else _tar_members(archive)
    with ProgressBar(desc=f"unpacking {archive.name}", unit=" files", leave=False) as bar:
        for member in members:
            entries, unpacked = entries + 1, unpacked + member.size + _ENTRY_BYTES
            _check_bounds(archive, bounds, entries, unpacked, packed)
            if member.open is not None:
                files += 1
                _write(member.open, folder.joinpath(*_safe_parts(archive, member.name)))
                bar.update()
    if not files:
        raise BadArchive(f"The archive '{archive}' contains no files. Download it again.")


def _check_bounds(archive: Path, bounds: Bounds, entries: int, unpacked: int, packed: int) -> None:
    excess = None
    if entries > bounds.files:
        excess = f"contains more than {bounds.files:,} files"
    elif unpacked > bounds.bytes:
        excess = f"unpacks to more than {bounds.bytes:,} bytes"
    elif unpacked > bounds.ratio_from and unpacked > bounds.ratio * packed:
        excess = f"unpacks to more than {bounds.ratio} times its size, as archive bombs do"
    if excess:
        raise BadArchive(f"The archive '{archive}' {excess}. If you trust it, unpack it yourself and name the folder.")


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's path; refuses those that would end up outside the folder, also on Windows."""
    path = PurePosixPath(name.replace("\\", "/"))
    if len(path.parts) > _DEEPEST:
        raise BadArchive(f"The archive '{archive}' contains a path of {len(path.parts)} folders. It was not unpacked.")
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0]:
        raise BadArchive(
            f"The archive '{archive}' contains the path {name!r}, which leads outside. It was not unpacked."
        )
    return path.parts


def _write(opener: Callable[[], IO[bytes] | None], path: Path) -> None:
    """Both libraries read no more than the size that the archive claims; zipfile compares the checksum as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with cast(IO[bytes], opener()) as source, path.open("xb") as out:
        shutil.copyfileobj(source, out, _CHUNK)


def _check_plain(archive: Path, name: str, plain: bool) -> None:
    if not plain:
        raise BadArchive(
            f"The archive '{archive}' contains {name!r}, a link, a device or a sparse file. "
            f"It was not unpacked; an image set needs none."
        )


def _zip_members(archive: Path) -> Iterator[_Member]:
    with closing(_BoundedStream(archive, _LONGEST_DIRECTORY)) as stream, zipfile.ZipFile(stream) as opened:  # type: ignore[arg-type,call-overload]
        stream.left = None
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            _check_plain(archive, info.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
            yield _Member(_zip_name(info), info.file_size, None if info.is_dir() else partial(opened.open, info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name, as UTF-8 where that is valid although the flag is not set: macOS does not set it."""
    if info.flag_bits & _NAMED_UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")  # zipfile has read the unmarked bytes as code page 437.
    except UnicodeError:
        return info.filename


class _BoundedStream:
    """An archive without its compression, of which only so much may be read at once for what lists its files.

    tarfile reads a header of any size into memory, and zipfile a whole directory: one of 2 GB takes 2 MB of gzip.
    """

    def __init__(self, path: Path, most: int) -> None:
        with path.open("rb") as start:
            magic = start.read(6)
        openers: dict[bytes, Callable[..., Any]] = {
            b"\x1f\x8b": gzip.open,
            b"BZh": bz2.open,
            b"\xfd7zXZ\0": lzma.open,
            b"\x5d\0\0": lzma.open,
        }
        opener = next((each for mark, each in openers.items() if magic.startswith(mark)), open)
        self._stream: IO[bytes] = opener(path, "rb")
        self.left: int | None = most  # Bytes of the list that is being read; None between lists.
        self.tell, self.seek, self.close = self._stream.tell, self._stream.seek, self._stream.close
        self.seekable = self._stream.seekable

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; raises OSError inside a list that is too long."""
        if self.left is None:
            return self._stream.read(size)
        content = self._stream.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise OSError("the list of its files, or the header of one, is too long to be read safely")
        return content


@contextmanager
def _open_tar(path: Path) -> Iterator[tuple[tarfile.TarFile, _BoundedStream]]:
    """A tar archive whose first header is read, and its stream."""
    with closing(_BoundedStream(path, _LONGEST_HEADER)) as stream:
        try:
            opened = tarfile.TarFile(fileobj=cast(IO[bytes], stream))
        except tarfile.ReadError as err:
            raise tarfile.ReadError("it is neither zip nor tar, or is cut short") from err
        yield opened, stream


def _tar_members(archive: Path) -> Iterator[_Member]:
    with _open_tar(archive) as (opened, stream):
        while True:
            stream.left = _LONGEST_HEADER
            info = opened.next()
            stream.left = None
            if info is None:
                break
            # tarfile keeps what it has read, however much it is.
            opened.members, opened.pax_headers = [], {}  # type: ignore[attr-defined]
            _check_plain(archive, info.name, (info.isreg() and not info.issparse()) or info.isdir())
            yield _Member(info.name, info.size, partial(opened.extractfile, info) if info.isreg() else None)
        _check_end(opened)


def _check_end(opened: tarfile.TarFile) -> None:
    """Refuses an archive that does not end with zeros: tarfile takes a damaged or missing header for the end, too."""
    stream = cast(IO[bytes], opened.fileobj)
    stream.seek(opened.offset)
    header = stream.read(tarfile.BLOCKSIZE)
    if len(header) < tarfile.BLOCKSIZE or any(header):
        raise tarfile.ReadError("it is cut short or damaged")
    for _ in range(_LONGEST_PADDING // _CHUNK):  # Reading to the end also compares the compression's checksum.
        if not stream.read(_CHUNK):
            return
    raise tarfile.ReadError(f"more than {_LONGEST_PADDING:,} bytes follow its last file")
