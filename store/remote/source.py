"""Runs on object storage, through fsspec: a complete file is fetched into the cache when it is first needed.

Complete files never change, so a fetched one stays valid; it is checked against its receipt when it arrives. Only the
analysis may be written again: it is checked whenever new epochs are looked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from store.errors import DamagedFile, RunNotFound, StoreError
from store.format import layout
from store.format.hdf5_file import PART
from store.format.receipts import file_sha256
from store.read.source import Listing, State, listing
from store.remote.file_cache import FileCache, hold_file, marker_of
from store.remote.place import Place


class RemoteSource:
    """A run at an fsspec URL; its files are cached under their own names in one folder."""

    is_local = False
    open_files = 8  # an open file cannot leave the cache, and is opened again in milliseconds

    def __init__(self, url: str) -> None:
        self._place = Place.at(url)
        self.location = self._place.url
        self._cache = FileCache.from_environment()
        name = layout.inside(self.location.rpartition("/")[2], f"The address {url!r}")
        # The last folder has the run's own name: pages and tables call a run by its folder.
        self.folder = self._cache.folder / hashlib.sha256(self.location.encode()).hexdigest()[:16] / name
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._listed: dict[str, State] = {}  # as last listed: saves a request for every query

    def look(self) -> Listing:
        """Epochs that have a file, with its state, and the epochs that have a receipt; brings the analysis up to date.

        Raises:
            StoreError: the URL cannot be reached.
        """
        self._place.system.invalidate_cache()  # fsspec caches listings, and training may be adding epochs
        names = self._list(layout.EPOCHS)
        self._listed = {f"{layout.EPOCHS}/{name}": state for name, state in names.items()} | self._list("")
        self._fetch_analysis()
        return listing(names)

    def recorded_sha256(self, epoch: int, state: State) -> str:
        """Empty: the receipts of all epochs would be a request each."""
        return ""

    def _list(self, folder: str) -> dict[str, State]:
        """Name -> state of the files in a folder of the run."""
        try:
            entries = self._place.reach("ls", folder, detail=True)
        except FileNotFoundError:
            return {}
        where = f"The folder {self._place.path(folder)!r}"
        names = {layout.inside(entry["name"].rsplit("/", 1)[-1], where): entry for entry in entries if _is_file(entry)}
        return {name: self._state(name, entry) for name, entry in names.items()}

    def _state(self, name: str, entry: dict[str, Any]) -> State:
        """What changes when a file does: the storage's tag or time, and its size in bytes."""
        known = ("ETag", "etag", "LastModified", "mtime", "created")
        return next((str(entry[key]) for key in known if key in entry), ""), self._place.size(name, entry)

    def in_use(self, path: Path, holder: object) -> None:
        """Keep a fetched file in the cache for as long as `holder` lives."""
        hold_file(path, holder)

    def fetch_run(self) -> Path:
        """Path of run.h5 in the cache.

        Raises:
            RunNotFound: there is none at the URL.
        """
        try:
            return self._fetch_with_receipt(layout.RUN_FILE, layout.receipt_file(None))
        except FileNotFoundError as err:
            raise RunNotFound(
                f"There is no run at {self._place.url!r}. Check the address, or copy a run there."
            ) from err

    def fetch_epoch(self, epoch: int) -> Path:
        """Path of an epoch's file in the cache, its parts beside it.

        Raises:
            DamagedFile: it is gone, or what arrives is not what was recorded.
        """
        try:
            return self._fetch_with_receipt(layout.epoch_file(epoch), layout.receipt_file(epoch))
        except FileNotFoundError as err:
            raise DamagedFile(f"Epoch {epoch} of {self._place.url!r} is gone: {err}. Restore it from a copy.") from err

    def has_epoch(self, epoch: int) -> bool:
        """Whether an epoch's file, as last listed, is in the cache."""
        name = layout.epoch_file(epoch)
        try:
            return marker_of(self.folder / name).read_text() == json.dumps(self._listed.get(name))
        except FileNotFoundError:
            return False

    def _fetch_with_receipt(self, name: str, receipt: str) -> Path:
        final = self.folder / name
        with self._lock:
            state = self._listed.get(name) or self._state(name, self._place.reach("info", name))
            if not self._is_cached(final, state):
                entries: dict[str, dict[str, Any]] = {}
                with suppress(FileNotFoundError):
                    raw, entries = self._place.receipt(receipt)
                    final.parent.mkdir(parents=True, exist_ok=True)
                    (self.folder / receipt).write_bytes(raw)
                # Before the download, so that the limit is kept while it runs.
                sizes = {file: entry["bytes"] for file, entry in entries.items()} | {final.name: state[1]}
                self._cache.make_room(sum(sizes.values()))
                # Without a receipt there is nothing to check against: the file's own checksums have to suffice.
                for file, size in sizes.items():
                    self._fetch(str(Path(name).with_name(file)), size, entries.get(file, {}).get("sha256"))
                self._mark(final, state)
        return final

    def _fetch_analysis(self) -> None:
        path = self.folder / layout.ANALYSIS_FILE
        with self._lock:
            state = self._listed.get(path.name)
            if state is None:
                for stale in (path, marker_of(path)):
                    stale.unlink(missing_ok=True)
            elif not self._is_cached(path, state):
                with suppress(FileNotFoundError):  # removed since it was listed
                    self._fetch(path.name, state[1])
                    self._mark(path, state)

    def _is_cached(self, path: Path, state: State) -> bool:
        """Whether the cache has a file in this state; it then stays until this thread asks for another."""
        self._thread.holder = _Holder()
        try:
            if marker_of(path).read_text() != json.dumps(state) or not hold_file(path, self._thread.holder):
                return False
            os.utime(marker_of(path))  # marks it as just used
        except FileNotFoundError:
            return False
        return True

    def _mark(self, path: Path, state: State) -> None:
        self._thread.holder = _Holder()
        hold_file(path, self._thread.holder)
        marker_of(path).write_text(json.dumps(state))

    def _fetch(self, name: str, size: int, sha256: str | None = None) -> None:
        final = self.folder / name
        part = final.with_name(f"{final.name}.{os.getpid()}{PART}")  # another process may be fetching it, too
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._download(name, size, part)
            if sha256 and file_sha256(part) != sha256:
                raise DamagedFile(
                    f"{self._place.url}/{name} is not what was recorded (SHA-256 differs). Restore it from a copy."
                )
            part.replace(final)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _download(self, name: str, size: int, part: Path) -> None:
        try:
            with part.open("wb") as file:
                for block in self._place.blocks(name, size):
                    file.write(block)
        except FileNotFoundError:
            raise
        except OSError as err:
            reason = f"{err.strerror or err}"
            raise StoreError(
                f"{self._place.url}/{name} could not be fetched into {str(self.folder)!r}: {reason}. "
                "Check the network and the free space there."
            ) from err


class _Holder:
    """Keeps a file in the cache between fetching and opening it, one per thread."""


def _is_file(entry: dict[str, Any]) -> bool:
    """Whether an entry of a listing is a plain file: on this machine, a link may have the type "file", too."""
    return entry["type"] == "file" and not entry.get("islink")
