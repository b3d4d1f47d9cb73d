"""The folders in which runs are looked for, on this machine or at URLs: CLASSPRINT_RUNS=runs:s3://bucket/runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from store.errors import RunNotFound, StoreError
from store.format import layout
from store.remote.patience import PatientQuestion
from store.remote.place import Place, is_remote

_REQUESTS = 8  # listings at a time: one for each run of a bucket
# A scheme, then perhaps user:password@, a host with a port, and a path: none of these colons divides folders.
_FOLDER = re.compile(r"(?:\w+::)*[A-Za-z][\w+.-]*://(?:[^/@]*@)?[^/:]*(?::\d+(?=/|:|$))?(?:/[^:]*)?|[^:]+")


@dataclass(frozen=True)
class FoundRun:
    """A run that is there.

    Attributes:
        location: its folder or URL.
        has_epoch: whether an epoch of it is complete.
        written: when it was last written, in seconds since 1970.
    """

    location: str
    has_epoch: bool
    written: float


@dataclass
class FoundRuns:
    """The runs of a folder by name, and why a folder in it, or all of it, cannot be looked into, by its name."""

    runs: dict[str, FoundRun] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def is_folder(text: str) -> bool:
    """Whether a text is the path of a folder: False, too, where it is too long to be a path."""
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False


def split_folders(text: str) -> list[str]:
    """The folders and URLs of a text such as "runs:/data/runs:s3://bucket/runs"; a URL's own colons stay.

    A text that is itself the name of a folder is that folder, whatever colons it has.
    """
    return [text] if is_folder(text) else [part for part in _FOLDER.findall(text) if part.strip()]


class RunFolders:
    """The runs of several folders under one list of names."""

    def __init__(self, text: str) -> None:
        self.locations = split_folders(text)
        self._folders = [
            RemoteFolder(location) if is_remote(location) else LocalFolder(location) for location in self.locations
        ]
        self._last = FoundRuns()

    def location_of(self, name: str) -> str | None:
        """The folder or URL of a run according to the last look, or to a new one; None where there is no such run."""
        found = self._last.runs.get(name) or self.look().runs.get(name)
        return None if found is None else found.location

    def name_at(self, location: str) -> str | None:
        """The name of the run at a folder or URL according to the last look."""
        return next((name for name, found in self._last.runs.items() if found.location == location), None)

    def look(self) -> FoundRuns:
        """The runs, the most recently written first, those without an epoch last.

        A name that several folders use is followed by its folder, from the second on.
        """
        found, several = FoundRuns(), len(self._folders) > 1
        for folder in self._folders:
            own = folder.look()
            for name, run in own.runs.items():
                found.runs[f"{name} ({folder.location})" if name in found.runs else name] = run
            for name, problem in own.problems.items():
                found.problems[f"{folder.location}/{name}" if several and name != folder.location else name] = problem
        newest = sorted(found.runs.items(), key=lambda item: (item[1].has_epoch, item[1].written), reverse=True)
        self._last = FoundRuns(dict(newest), found.problems)
        return self._last


class LocalFolder:
    """A folder of runs on this machine."""

    def __init__(self, location: str) -> None:
        self.location = location

    def look(self) -> FoundRuns:
        """The runs that are in it now; none where there is no such folder."""
        found = FoundRuns()
        try:
            paths = list(Path(self.location).iterdir())
        except (OSError, ValueError):  # a zero byte is a ValueError
            return found
        for path in paths:
            shown = path.name.encode(errors="replace").decode()
            if shown != path.name:  # bytes that are no UTF-8: no page, link or message can hold such a name
                found.problems[shown] = "its name is not UTF-8. Rename it."
                continue
            try:  # a folder that this process may not look into must not hide the others
                if (path / layout.RUN_FILE).is_file():
                    found.runs[path.name] = _local_run(path)
            except OSError as error:
                found.problems[path.name] = f"its folder cannot be read: {error.strerror}."
        return found


def _local_run(path: Path) -> FoundRun:
    epochs = path / layout.EPOCHS
    try:
        has_epoch = any(epochs.glob("*.h5"))
        return FoundRun(str(path), has_epoch, (epochs if has_epoch else path).stat().st_mtime)
    except FileNotFoundError:  # removed in between, or a link to nowhere
        return FoundRun(str(path), False, 0.0)


class RemoteFolder:
    """A folder of runs at a URL."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")
        self._question = PatientQuestion(lambda: _remote_runs(self.location))

    def look(self) -> FoundRuns:
        """The runs as they were listed last; that storage does not answer now is a problem of the whole folder."""
        known, problem = self._question.latest()
        found = FoundRuns() if known is None else FoundRuns(dict(known.runs), dict(known.problems))
        if problem:
            shown = " The runs are those that were listed last." if known else ""
            found.problems[self.location] = problem + shown
        return found


def _remote_runs(location: str) -> FoundRuns:
    """The runs below a URL, by one listing of it and one of each folder in it.

    Raises:
        StoreError: there is nothing, or it cannot be reached.
    """
    place = Place.at(location)
    place.system.invalidate_cache()  # fsspec caches listings, and runs come and go
    try:
        entries = place.reach("ls", "", detail=True)
    except FileNotFoundError as error:
        raise RunNotFound(f"There is nothing at {location!r}. Check the address, or copy a run there.") from error
    folders = [entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory"]
    found = FoundRuns()

    def look(name: str) -> None:
        try:
            layout.inside(name, f"The listing of {location!r}")
            run = _remote_run(f"{location}/{name}", place.reach("ls", name, detail=True))
            if run is not None:
                found.runs[name] = run
        except FileNotFoundError:  # removed since it was listed
            pass
        except StoreError as error:
            found.problems[name] = str(error)

    with ThreadPoolExecutor(_REQUESTS) as pool:
        list(pool.map(look, folders))
    return found


def _remote_run(url: str, entries: Iterable[dict[str, Any]]) -> FoundRun | None:
    """A folder's run according to its listing; None where it has no run.h5."""
    by_name = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
    if layout.RUN_FILE not in by_name:
        return None
    return FoundRun(url, layout.EPOCHS in by_name, max(map(_written, by_name.values())))


def _written(entry: dict[str, Any]) -> float:
    """When an entry of a listing was written, in seconds since 1970; 0 where the listing does not say."""
    for key in ("LastModified", "mtime", "updated", "last_modified", "created"):
        value = entry.get(key)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return 0.0
