"""Runs on object storage, through fsspec: sealed files are fetched when they are first asked for, and kept.

Sealed files never change, so the copy in the cache (see store.cache) stays good; it is checked against the receipt when
it is fetched. The analysis may be written anew: it is looked at whenever new epochs are.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from store.errors import DamagedFile, RunNotFound, StoreError
from store.format import layout
from store.format.hdf5_file import PART
from store.format.receipts import file_sha256
from store.read.source import Listing, State, listing
from store.remote.file_cache import MARKER, FileCache, hold


def is_remote(path: str | Path) -> bool:
    """Whether `path` is a URL and not a folder."""
    return "://" in str(path)


class RemoteSource:
    """A run under an fsspec URL; its files are cached under their own names in one folder."""

    is_local = False
    open_files = 8  # an open file cannot leave the cache, and is opened again in milliseconds

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._root = fsspec.core.url_to_fs(self.url)
        self._cache = FileCache.of_this_user()
        self.folder = self._cache.folder / hashlib.sha256(self.url.encode()).hexdigest()[:16]
        self._lock = threading.Lock()
        self._local = threading.local()
        self._listed: dict[str, State] = {}  # as of the last look: saves asking again for every query

    def look(self) -> Listing:
        """Epochs that have a file, with its state, and the epochs that have a receipt; brings the analysis up to date.

        Raises:
            StoreError: the place cannot be reached.
        """
        self._system.invalidate_cache()
        names = self._list(layout.EPOCHS)
        listed = {f"{layout.EPOCHS}/{name}": state for name, state in names.items()}
        listed |= self._list("")
        self._listed = listed
        self._fetch_analysis()
        return listing(names)

    def _list(self, folder: str) -> dict[str, State]:
        """Name -> state of the files in a folder of the run."""
        try:
            entries = self._reach(lambda: self._system.ls(f"{self._root}/{folder}".rstrip("/"), detail=True))
        except FileNotFoundError:
            return {}
        return {entry["name"].rsplit("/", 1)[-1]: _state(entry) for entry in entries if entry["type"] == "file"}

    def in_use(self, path: Path, holder: object) -> None:
        """Keep a fetched file in the cache for as long as `holder` lives."""
        hold(path, holder)

    def fetch_run(self) -> Path:
        """Path of run.h5 in the cache."""
        try:
            self._fetch_with_receipt(layout.RUN_FILE, layout.receipt_file(None))
        except FileNotFoundError as err:
            raise RunNotFound(f"There is no run at {self.url!r}. Check the address, or copy a run there.") from err
        return self.folder / layout.RUN_FILE

    def fetch_epoch(self, epoch: int) -> Path:
        """Path of an epoch's file in the cache, its parts beside it.

        Raises:
            DamagedFile: it is gone, or what arrives is not what was sealed.
        """
        try:
            self._fetch_with_receipt(layout.epoch_file(epoch), layout.receipt_file(epoch))
        except FileNotFoundError as err:
            raise DamagedFile(f"Epoch {epoch} of {self.url!r} is gone: {err}. Restore it from a copy.") from err
        return self.folder / layout.epoch_file(epoch)

    def _fetch_with_receipt(self, name: str, receipt: str) -> None:
        with self._lock:
            state = self._listed.get(name) or _state(self._info(name))
            if self._is_here(name, state):
                return
            expected = self._receipt(receipt)
            self._cache.make_room(max(state[1], sum(int(entry["bytes"]) for entry in expected.values())))
            names = {name: expected.get(Path(name).name)}
            names |= {str(Path(name).with_name(Path(part).name)): entry for part, entry in expected.items()}
            for wanted, entry in names.items():
                self._fetch(wanted, entry)
            self._mark(name, state)

    def _fetch_analysis(self) -> None:
        name = layout.ANALYSIS_FILE
        with self._lock:
            state = self._listed.get(name)
            if state is None:
                for stale in (self.folder / name, self._marker(name)):
                    stale.unlink(missing_ok=True)
            elif not self._is_here(name, state):
                with suppress(FileNotFoundError):  # removed since it was listed
                    self._fetch(name, None)
                    self._mark(name, state)

    def _is_here(self, name: str, state: State) -> bool:
        """Whether the cache holds a file in this state; it then stays until this thread asks for another."""
        self._local.held = _Held()
        marker = self._marker(name)
        try:
            if marker.read_text() != json.dumps(state) or not hold(self.folder / name, self._local.held):
                return False
            os.utime(marker)  # used now
        except FileNotFoundError:
            return False
        return True

    def _mark(self, name: str, state: State) -> None:
        self._local.held = _Held()
        hold(self.folder / name, self._local.held)
        self._marker(name).write_text(json.dumps(state))

    def _marker(self, name: str) -> Path:
        return self.folder / (name + MARKER)

    def _receipt(self, name: str) -> dict[str, Any]:
        try:
            raw = self._reach(lambda: self._system.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return {}
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(raw)
        try:
            files = {file: {"bytes": int(entry["bytes"]), **entry} for file, entry in json.loads(raw)["files"].items()}
            return {file: entry for file, entry in files.items() if entry["sha256"]}
        except (ValueError, KeyError, TypeError) as err:
            raise DamagedFile(f"{self.url}/{name} is not a receipt: {err}. Restore it from a copy.") from err

    def _fetch(self, name: str, entry: dict[str, Any] | None) -> None:
        final = self.folder / name
        part = final.with_name(f"{final.name}.{os.getpid()}{PART}")  # another process may be fetching it, too
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._reach(lambda: self._system.get_file(f"{self._root}/{name}", str(part)))
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if entry is not None and file_sha256(part) != entry["sha256"]:
            part.unlink()
            raise DamagedFile(f"{self.url}/{name} is not what was sealed (SHA-256 differs). Restore it from a copy.")
        part.replace(final)

    def _info(self, name: str) -> dict[str, Any]:
        return dict(self._reach(lambda: self._system.info(f"{self._root}/{name}")))

    def _reach(self, call: Any) -> Any:
        try:
            return call()
        except FileNotFoundError:
            raise
        except OSError as err:
            raise StoreError(f"{self.url!r} cannot be reached: {err}. Check the network and the credentials.") from err


class _Held:
    """What a thread holds in the cache between fetching a file and opening it."""


def _state(entry: dict[str, Any]) -> State:
    tag = next((str(entry[key]) for key in ("ETag", "etag", "LastModified", "mtime", "created") if key in entry), "")
    return tag, int(entry.get("size") or 0)
