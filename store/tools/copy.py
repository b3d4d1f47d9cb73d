"""Copying a run to or from any place that fsspec reaches, every byte checked: `python -m store copy FROM TO`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import fsspec

from store.errors import DamagedFile, RunExists, RunNotFound, WriteFailed
from store.format import layout
from store.format.hdf5_file import PART

BLOCK = 8 << 20


def copy_run(source: str, target: str, *, progress: Callable[[int], None] | None = None) -> list[str]:
    """Names of the files copied; those that are at the target already, whole, are left.

    Sealed files are compared with their receipts as they are read, and read again at the target. run.h5 comes last, so
    that an interrupted copy is not predicted as a run; copying again takes it up.

    Raises:
        RunNotFound: there is no run at `source`.
        RunExists: another run is at `target`, or this very one, or other things are.
        DamagedFile: a file at `source` is not what was sealed.
        WriteFailed: what was written at `target` does not read back the same.
    """
    tell = progress or (lambda _: None)
    read, read_root = fsspec.core.url_to_fs(source.rstrip("/"))
    write, write_root = fsspec.core.url_to_fs(target.rstrip("/"))
    _refuse_the_same_place(read, read_root, write, write_root, target)
    names = files_to_copy(read, read_root)
    if layout.RUN_FILE not in names:
        raise RunNotFound(f"There is no run at {source!r}. Check the path.")
    receipts = _receipts(read, read_root, names)
    _refuse_another_run(write, write_root, receipts, target)
    _refuse_other_things(write, write_root, names, f"{target.rstrip('/')}/{read_root.rpartition('/')[2]}")
    copied = []
    for name in sorted(names, key=lambda name: (name == layout.RUN_FILE, name)):
        expected = receipts.get(name, {}).get("sha256")
        there, size = f"{write_root}/{name}", names[name]
        if write.exists(there) and expected and write.size(there) == size and _digest(write, there) == expected:
            tell(size)
            continue
        with _appearing(write, there) as place:
            found = _transfer(read, f"{read_root}/{name}", write, place, tell)
            if expected and found != expected:
                raise DamagedFile(f"{source}/{name} is not what was sealed (SHA-256 differs). Restore it from a copy.")
            if _digest(write, place) != found:
                raise WriteFailed(
                    f"{target}/{name} does not read back as it was written. Check the disk, then copy again."
                )
        copied.append(name)
    return copied


@contextmanager
def _appearing(system: Any, there: str) -> Iterator[str]:
    """Where to write a file so that it is at `there` once the block ends well, and nothing of it when it raises.

    In a folder it gets its name afterwards. An object in a store is there whole once it is closed, which an exception
    does, too.
    """
    place = there + PART if "file" in system.protocol else there
    try:
        yield place
        if place != there:
            system.mv(place, there)
    except BaseException:
        with suppress(OSError):
            system.rm_file(place)
        raise


def files_to_copy(system: Any, root: str) -> dict[str, int]:
    """Name -> size of a run's finished files: everything but parts."""
    try:
        found = system.find(root, detail=True)
    except FileNotFoundError:
        return {}
    names = {path[len(root) :].lstrip("/"): int(entry["size"]) for path, entry in found.items()}
    return {name: size for name, size in names.items() if not name.endswith(PART)}


def _receipts(system: Any, root: str, names: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Name of each sealed file -> what its receipt says."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        if not last.endswith(".json") or folder not in ("", layout.EPOCHS):
            continue
        try:
            receipt = json.loads(system.cat_file(f"{root}/{name}"))
            entries = {f"{folder}/{file}".lstrip("/"): dict(entry) for file, entry in receipt["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise DamagedFile(f"{root}/{name} is not a receipt: {err}. Resume the run to have it made anew.") from err
        absent = sorted(entries.keys() - names.keys())
        if absent:
            raise DamagedFile(f"{root}/{absent[0]} was sealed, but the file is gone. Restore it from a copy.")
        found |= entries
    return found


def _refuse_the_same_place(read: Any, read_root: str, write: Any, write_root: str, target: str) -> None:
    """Opening a file for writing empties it: a run copied onto itself would be gone."""
    if type(read) is not type(write):
        return
    local = "file" in read.protocol
    ends = [os.path.realpath(root) if local else root.rstrip("/") for root in (read_root, write_root)]
    if any(f"{inner}/".startswith(f"{outer}/") for inner, outer in (ends, reversed(ends))):
        raise RunExists(f"{target!r} is the run itself, or lies in it or around it. Choose another place.")


def _refuse_another_run(system: Any, root: str, receipts: dict[str, dict[str, Any]], target: str) -> None:
    if not system.exists(f"{root}/{layout.RUN_FILE}"):
        return
    expected = receipts.get(layout.RUN_FILE, {}).get("sha256")
    if expected != _digest(system, f"{root}/{layout.RUN_FILE}"):
        raise RunExists(f"Another run is at {target!r} already. Choose another place.")


def _refuse_other_things(system: Any, root: str, names: Iterable[str], within: str) -> None:
    """A folder that holds things, but nothing of this run, is where the copy was to lie and not the copy itself."""
    try:
        there = {path.rstrip("/").rpartition("/")[2] for path in system.ls(root, detail=False)}
    except (FileNotFoundError, NotADirectoryError):
        return
    there = {name for name in there if not name.endswith(PART)}  # of a copy that was killed
    if there and not there & {name.partition("/")[0] for name in names}:
        raise RunExists(f"{root!r} holds other things. Name the copy's own folder, such as {within!r}.")


def _transfer(read: Any, origin: str, write: Any, there: str, tell: Callable[[int], None]) -> str:
    """Copy one file and return the SHA-256 of what was read."""
    found = hashlib.sha256()
    try:
        write.makedirs(there.rsplit("/", 1)[0], exist_ok=True)
        with read.open(origin, "rb") as given, write.open(there, "wb") as taken:
            while block := given.read(BLOCK):
                found.update(block)
                taken.write(block)
                tell(len(block))
    except OSError as err:
        reason = os.strerror(err.errno) if err.errno else str(err)
        raise WriteFailed(
            f"{there.removesuffix(PART)!r} could not be written: {reason}. Copy again to take it up."
        ) from err
    return found.hexdigest()


def _digest(system: Any, path: str) -> str:
    found = hashlib.sha256()
    with system.open(path, "rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()
