"""Copying a run between folders and URLs that fsspec reaches, every byte checked: `python -m store copy FROM TO`."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import DamagedFile, RunExists, RunNotFound, WriteFailed
from store.format import layout
from store.format.hdf5_file import PART, regular_file
from store.remote.place import BLOCK, Place, errors_of_libraries, free_bytes


def copy_run(source: str, target: str, *, progress: Callable[[int], None] | None = None) -> list[str]:
    """Names of the files copied; those already complete at the target are skipped.

    Every file is compared with its receipt as it is read, and read again at the target. run.h5 comes last, so that an
    interrupted copy does not count as a run; copying again resumes it.

    Raises:
        RunNotFound: there is no run at `source`.
        RunExists: another run is at `target`, or the run itself, or other files are.
        DamagedFile: a file at `source` is not what was recorded.
        WriteFailed: what was written at `target` does not read back the same.
    """
    report = progress or (lambda _: None)
    origin, copy = Place.at(source), Place.at(target)
    _refuse_same_place(origin, copy)
    sizes = _files_to_copy(origin)
    if layout.RUN_FILE not in sizes:
        raise RunNotFound(f"There is no run at {source!r}. Check the path.")
    expected = _recorded_digests(origin, sizes)
    _refuse_links(copy, sizes)
    there = _files_at_target(origin, copy, sizes)

    def is_copied(name: str) -> bool:
        size = sizes[name]
        return there.get(name) == size and copy.sha256(name, size) == (expected.get(name) or origin.sha256(name, size))

    has_run = layout.RUN_FILE in there
    if has_run and not is_copied(layout.RUN_FILE):
        raise RunExists(f"There is another run at {copy.url!r} already. Choose another folder.")
    _refuse_full_disk(copy, sum(sizes.values()))
    _make_folders(copy, sizes)
    copied = []
    # run.h5 last: without it, an interrupted copy is not mistaken for a run.
    for name in sorted(sizes, key=lambda name: (name == layout.RUN_FILE, name)):
        if has_run if name == layout.RUN_FILE else is_copied(name):
            report(sizes[name])
            continue
        _copy_file(origin, copy, name, sizes[name], expected=expected.get(name), report=report)
        copied.append(name)
    return copied


def _files_to_copy(place: Place) -> dict[str, int]:
    """Name -> size of a run's complete files.

    Raises:
        DamagedFile: a name leads out of the run, or one of them is a link, a pipe or the like.
    """
    if place.is_local:
        return _local_files(Path(place.root))
    try:
        found = place.reach("find", "", detail=True)
    except FileNotFoundError:
        return {}
    where = f"The listing of {place.url!r}"
    names = {layout.inside(path[len(place.root) :].removeprefix("/"), where): entry for path, entry in found.items()}
    return {name: place.size(name, entry) for name, entry in names.items() if not name.endswith(PART)}


def _local_files(folder: Path) -> dict[str, int]:
    """As `_files_to_copy`, of a folder of this machine, in which no link is followed."""
    found: dict[str, int] = {}

    def refuse(err: OSError) -> None:  # os.walk would leave such a folder out without a word
        if not isinstance(err, FileNotFoundError | NotADirectoryError):
            raise DamagedFile(f"{str(err.filename)!r} cannot be looked into: {err.strerror}. Change its permissions.")

    for here, folders, files in os.walk(folder, onerror=refuse):
        for name in (*folders, *files):
            path = Path(here) / name
            if name in files and not name.endswith(PART):
                found[layout.inside(path.relative_to(folder).as_posix(), str(folder))] = regular_file(path).st_size
            elif name in folders and path.is_symlink():
                raise DamagedFile(f"{str(path)!r} is a symbolic link, where a run has a folder. Put the folder there.")
    return found


def _recorded_digests(place: Place, sizes: dict[str, int]) -> dict[str, str]:
    """Name -> SHA-256 of each file that a receipt lists."""
    found: dict[str, str] = {}
    for name in sizes:
        folder, _, last = name.rpartition("/")
        if last.endswith(".json") and folder in ("", layout.EPOCHS):
            _, entries = place.receipt(name)
            found |= {f"{folder}/{file}".lstrip("/"): entry["sha256"] for file, entry in entries.items()}
    absent = sorted(found.keys() - sizes.keys())
    if absent:
        raise DamagedFile(f"{place.url}/{absent[0]} was recorded, but the file is gone. Restore it from a copy.")
    return found


def _refuse_same_place(origin: Place, copy: Place) -> None:
    """Opening a file for writing empties it: a run copied onto itself would be gone."""
    if type(origin.system) is not type(copy.system):
        return
    ends = [os.path.realpath(place.root) if place.is_local else place.root for place in (origin, copy)]
    if any(f"{inner}/".startswith(f"{outer}/") for inner, outer in (ends, reversed(ends))):
        raise RunExists(f"{copy.url!r} is the run itself, or inside it or around it. Choose another folder.")


def _files_at_target(origin: Place, copy: Place, sizes: dict[str, int]) -> dict[str, int]:
    """As `_files_to_copy`; raises RunExists for unrelated files: the copy belongs in a folder inside that one."""
    copy.system.invalidate_cache()  # fsspec caches listings
    try:
        names = {path.rstrip("/").rpartition("/")[2] for path in copy.reach("ls", "", detail=False)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    names = {name for name in names if not name.endswith(PART)}  # left by a copy that was killed
    if not names:
        return {}
    if not names & {name.partition("/")[0] for name in sizes}:
        within = f"{copy.url}/{origin.root.rpartition('/')[2]}"
        raise RunExists(f"{copy.url!r} contains other files. Name a folder for the copy, such as {within!r}.")
    return _files_to_copy(copy)  # one listing instead of a request for each file


def _refuse_links(copy: Place, names: Iterable[str]) -> None:
    """Refuse a folder of this machine where a link, a pipe or a folder lies at a place that the copy writes to.

    The folder itself may be reached through a link.
    """
    if not copy.is_local:
        return
    root = Path(copy.root)
    for place in (root / name for name in sorted(names)):
        folders = [folder for folder in place.parents if root in folder.parents]
        odd = next((folder for folder in folders if os.path.lexists(folder) and not _is_plain_folder(folder)), None)
        if odd or (os.path.lexists(place) and not stat.S_ISREG(place.lstat().st_mode)):
            raise RunExists(f"{str(odd or place)!r} is in the way of the copy. Remove it, or choose another folder.")


def _is_plain_folder(folder: Path) -> bool:
    return stat.S_ISDIR(folder.lstat().st_mode)


def _refuse_full_disk(copy: Place, size: int) -> None:
    """Refuse what a folder of this machine has no room for, before it is filled; a listing may claim any size."""
    if not copy.is_local:
        return
    free = free_bytes(Path(copy.root))
    if size > free:
        raise WriteFailed(
            f"The copy takes {size:,} bytes, and {free:,} are free at {copy.root!r}. Choose another folder."
        )


def _make_folders(copy: Place, names: Iterable[str]) -> None:
    for folder in sorted({name.rpartition("/")[0] for name in names}):
        with _write_errors(copy.path(folder)):
            copy.system.makedirs(copy.path(folder), exist_ok=True)


@contextmanager
def _write_errors(path: str) -> Iterator[None]:
    """Turn whatever a library raises while it writes into WriteFailed."""
    try:
        with errors_of_libraries():
            yield
    except OSError as err:
        reason = os.strerror(err.errno) if err.errno else str(err)
        raise WriteFailed(f"{path!r} could not be written: {reason}. Copy again to resume.") from err


def _copy_file(
    origin: Place, copy: Place, name: str, size: int, *, expected: str | None, report: Callable[[int], None]
) -> None:
    with _new_object(copy, name) as part:
        found = _transfer(origin, name, size, copy, part, report)
        if expected and found != expected:
            raise DamagedFile(
                f"{origin.url}/{name} is not what was recorded (SHA-256 differs). Restore it from a copy."
            )
        if _sha256_of_written(copy, part, size) != found:  # a full disk or a proxy may lose what it accepted
            raise WriteFailed(f"{copy.url}/{name} differs from what was written. Check the disk, then copy again.")


def _sha256_of_written(copy: Place, name: str, size: int) -> str:
    if copy.is_local or not 0 < size < BLOCK:
        return copy.sha256(name, size)
    # Opening would ask object storage for the size before it reads: a request more for each small file.
    return hashlib.sha256(copy.reach("cat_file", name, start=0, end=size + 1)).hexdigest()


@contextmanager
def _new_object(copy: Place, name: str) -> Iterator[str]:
    """A temporary name for a file that gets its own name when the block succeeds and is removed when it raises.

    In a folder it is renamed afterwards. Object storage shows an object only once it is closed, which an exception
    does, too.
    """
    part = name + PART if copy.is_local else name  # renaming an object would copy it once more
    try:
        yield part
        if part != name:
            copy.system.mv(copy.path(part), copy.path(name))
    except BaseException:
        with suppress(OSError):
            copy.system.rm_file(copy.path(part))
        raise


def _transfer(origin: Place, name: str, size: int, copy: Place, part: str, report: Callable[[int], None]) -> str:
    """Copy one file and return the SHA-256 of what was read."""
    digest = hashlib.sha256()
    with _write_errors(copy.path(name)):
        if copy.is_local:
            Path(copy.path(part)).unlink(missing_ok=True)  # not written through, should it be a link
        with copy.system.open(copy.path(part), "wb") as writer:
            for block in origin.blocks(name, size):
                digest.update(block)
                writer.write(block)
                report(len(block))
    return digest.hexdigest()
