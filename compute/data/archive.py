"""Zip and tar archives unpacked into a folder: completely or not at all, and never outside of it."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]
from typing import IO, Self, cast

from tqdm import tqdm

from compute.data.atomic_folder import unfinished_folder
from compute.data.errors import BadArchive

_CHUNK = 1 << 20
_LONGEST_END = 64 << 20  # What may follow the last file of a tar archive: padding.
_NAMED_UTF8 = 0x800  # Bit 11 of a zip member's flags (APPNOTE 4.4.4): its name is UTF-8.
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
)


@dataclass(frozen=True)
class Bounds:
    """What an archive may grow to before it is predicted as a bomb."""

    files: int = 5_000_000
    bytes: int = 400 << 30
    ratio: int = 100  # Unpacked to packed size; images hardly shrink, a bomb shrinks a thousandfold.
    ratio_from: int = 64 << 20  # Below this many unpacked bytes the ratio does not matter.


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its first bytes; a file named like one is predicted as one, too."""
    named = path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2"))
    return path.is_file() and (named or zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def extract_archive(archive: Path, target: Path, *, bounds: Bounds = Bounds()) -> Path:
    """The folder `target`, newly made, with the archive's files in it; on any error nothing is left behind.

    Raises:
        BadArchive: the archive is damaged or truncated, holds links, devices or paths that lead outside, or unpacks
            to more than `bounds` allows; or the disk is full.
    """
    with unfinished_folder(target) as unfinished:
        try:
            _unpack(archive, unfinished, bounds)
            unfinished.rename(target)
        except BadArchive:
            raise
        except _BROKEN as err:
            if target.is_dir():  # Another process was faster; its result is as good.
                return target
            raise BadArchive(_unpacking_failed(archive, unfinished, err)) from err
    return target


def _unpacking_failed(archive: Path, unfinished: Path, err: Exception) -> str:
    if not isinstance(err, OSError) or err.errno is None:
        problem = "it is neither zip nor tar, or cut short" if _is_neither(err) else str(err) or type(err).__name__
        return f"The archive '{archive}' can't be unpacked: {problem}. Get it again."
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"There is no room to unpack '{archive}' into '{unfinished.parent}': {err.strerror}. "
            "Free some, or set CLASSPRINT_CACHE to a folder with more."
        )
    member = str(err.filename or "").removeprefix(f"{unfinished}/")
    problem = "stands there twice" if isinstance(err, FileExistsError) else str(err.strerror)
    return f"The archive '{archive}' can't be unpacked: '{member}': {problem}. Unpack it yourself and give the folder."


def _is_neither(err: Exception) -> bool:
    """Whether tarfile found no way to open the file; its own text has a line for each way."""
    return isinstance(err, tarfile.ReadError) and "could not be opened" in str(err)


def _unpack(archive: Path, folder: Path, bounds: Bounds) -> None:
    files = unpacked = 0
    packed = max(archive.stat().st_size, 1)
    with tqdm(desc=f"unpacking {archive.name}", unit=" files", disable=None, leave=False) as bar:
        for member in _members(archive):
            files, unpacked = files + 1, unpacked + member.size
            _check_bounds(archive, bounds, files, unpacked, packed)
            _write(member, folder.joinpath(*_safe_parts(archive, member.name)))
            bar.update()
    if not files:
        raise BadArchive(f"The archive '{archive}' holds no files. Get it again.")


def _check_bounds(archive: Path, bounds: Bounds, files: int, unpacked: int, packed: int) -> None:
    refused = None
    if files > bounds.files:
        refused = f"holds more than {bounds.files:,} files"
    elif unpacked > bounds.bytes:
        refused = f"unpacks to more than {bounds.bytes:,} bytes"
    elif unpacked > bounds.ratio_from and unpacked > bounds.ratio * packed:
        refused = f"unpacks to more than {bounds.ratio} times its size, as bombs do"
    if refused:
        raise BadArchive(f"The archive '{archive}' {refused}. If you trust it, unpack it yourself and give the folder.")


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's path; refuses those that would land outside of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0] or "\0" in name:
        raise BadArchive(f"The archive '{archive}' holds the path {name!r}, which leads outside. It was not unpacked.")
    return path.parts


def _write(member: _Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    opened = member.open()
    if opened is None:
        raise EOFError(f"'{member.name}' has no content")
    with opened as source, path.open("xb") as out:
        while chunk := source.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise EOFError(f"'{member.name}' is longer than the archive's directory says")
            out.write(chunk)
    if left:
        raise EOFError(f"'{member.name}' is cut short by {left:,} bytes")


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive)
    else:
        yield from _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.flag_bits & 1:
                raise BadArchive(f"The archive '{archive}' is encrypted ('{info.filename}'). Unpack it yourself.")
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise BadArchive(_not_plain(archive, info.filename))
            if not info.is_dir():
                yield _Member(_zip_name(info), info.file_size, partial(opened.open, info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; where the archive does not name its encoding, UTF-8 if it is that: macOS leaves the mark out."""
    if info.flag_bits & _NAMED_UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")  # zipfile has read the unmarked bytes as code page 437
    except UnicodeError:
        return info.filename


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, tarinfo=_StrictHeader) as opened:
        for info in opened:
            if not (info.isreg() or info.isdir()):
                raise BadArchive(_not_plain(archive, info.name))
            if info.isreg():
                yield _Member(info.name, info.size, partial(opened.extractfile, info))
        _read_to_the_end(opened)


class _StrictHeader(tarfile.TarInfo):
    """A member's header; where tarfile takes a damaged or missing one for the end of the archive, this one refuses."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """The next header of the archive.

        Raises:
            ReadError: there is none, though the archive's end is not marked, or it is damaged.
        """
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as err:
            raise ReadError(f"it is cut short or damaged ({err})") from err


def _read_to_the_end(opened: tarfile.TarFile) -> None:
    """Reads what follows the last file, so that the compression's checksum is compared."""
    stream = cast(IO[bytes], opened.fileobj)
    for _ in range(_LONGEST_END // _CHUNK):
        if not stream.read(_CHUNK):
            return
    raise ReadError(f"more than {_LONGEST_END:,} bytes follow its last file")


def _not_plain(archive: Path, name: str) -> str:
    return f"The archive '{archive}' holds {name!r}, a link or a device. It was not unpacked; an image set needs none."
