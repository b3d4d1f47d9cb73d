"""Zip and tar archives unpacked into a folder: completely or not at all, and never outside of it."""

from __future__ import annotations

import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from compute.data.errors import BadArchive

_CHUNK = 1 << 20
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    OSError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Bounds:
    """What an archive may grow to before it is taken for a bomb."""

    files: int = 5_000_000
    bytes: int = 400 << 30
    ratio: int = 100  # Unpacked to packed size; pictures hardly shrink, a bomb shrinks a thousandfold.
    ratio_from: int = 64 << 20  # Below this many unpacked bytes the ratio does not matter.


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its first bytes; a file named like one is taken for one, too."""
    named = path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2"))
    return path.is_file() and (named or zipfile.is_zipfile(path))


def extract_archive(archive: Path, target: Path, *, bounds: Bounds = Bounds()) -> Path:
    """The folder `target`, newly made, with the archive's files in it; on any error nothing is left behind.

    Raises:
        BadArchive: the archive is damaged or truncated, holds links, devices or paths that lead outside, or unpacks
            to more than `bounds` allows; or the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    try:
        _unpack(archive, unfinished, bounds)
        unfinished.rename(target)
    except _BROKEN as err:
        if target.is_dir():  # Another process was faster; its result is as good.
            return target
        if getattr(err, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise BadArchive(
                f"There is no room to unpack '{archive}' into '{target.parent}': {err}. Free some."
            ) from err
        raise BadArchive(
            f"The archive '{archive}' can't be unpacked: {err or type(err).__name__}. Get it again."
        ) from err
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


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
                yield _Member(info.filename, info.file_size, partial(opened.open, info))


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as opened:
        for info in opened:
            if not (info.isreg() or info.isdir()):
                raise BadArchive(_not_plain(archive, info.name))
            if info.isreg():
                yield _Member(info.name, info.size, partial(opened.extractfile, info))


def _not_plain(archive: Path, name: str) -> str:
    return f"The archive '{archive}' holds {name!r}, a link or a device. It was not unpacked; a picture set needs none."
