"""Runs on object storage, through fsspec: sealed files are fetched when they are first asked for, and kept.

Sealed files never change, so the copy in the cache stays good; it is checked against the receipt when it is fetched.
`CLASSPRINT_CACHE` names the cache's folder (default ~/.cache/classprint); any of it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import fsspec

from store import layout
from store.errors import DamagedFile, RunNotFound, StoreError
from store.files import PART
from store.receipts import digest
from store.sources import Listing, State, listing


def is_remote(path: str | Path) -> bool:
    """Whether `path` is a URL and not a folder."""
    return "://" in str(path)


class RemoteSource:
    """A run under an fsspec URL; its files are cached under their own names in one folder."""

    is_local = False

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._system, self._root = fsspec.core.url_to_fs(self.url)
        cache = Path(os.environ.get("CLASSPRINT_CACHE", Path.home() / ".cache" / "classprint"))
        self.folder = cache / hashlib.sha256(self.url.encode()).hexdigest()[:16]
        self._lock = threading.Lock()
        self._listed: dict[str, State] = {}  # as of the last look: saves asking again for every query

    def look(self) -> Listing:
        """Epochs that have a file, with its state, and the epochs that have a receipt."""
        self._system.invalidate_cache()
        try:
            entries = self._system.ls(f"{self._root}/{layout.EPOCHS}", detail=True)
        except FileNotFoundError:
            return {}, set()
        names = {entry["name"].rsplit("/", 1)[-1]: _state(entry) for entry in entries}
        self._listed = {f"{layout.EPOCHS}/{name}": state for name, state in names.items()}
        return listing(names)

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
            marker = self.folder / f"{name}.state"
            state = json.dumps(self._listed.get(name) or _state(self._info(name)))
            if (self.folder / name).exists() and marker.exists() and marker.read_text() == state:
                return
            expected = self._receipt(receipt)
            names = {name: expected.get(Path(name).name)}
            names |= {str(Path(name).with_name(Path(part).name)): entry for part, entry in expected.items()}
            for wanted, entry in names.items():
                self._fetch(wanted, entry)
            marker.write_text(state)

    def _receipt(self, name: str) -> dict[str, Any]:
        try:
            raw = self._system.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return {}
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(raw)
        try:
            return dict(json.loads(raw)["files"])
        except (ValueError, KeyError, TypeError) as err:
            raise DamagedFile(f"{self.url}/{name} is not a receipt: {err}. Restore it from a copy.") from err

    def _fetch(self, name: str, entry: dict[str, Any] | None) -> None:
        final = self.folder / name
        part = final.with_name(final.name + PART)
        part.parent.mkdir(parents=True, exist_ok=True)
        self._reach(lambda: self._system.get_file(f"{self._root}/{name}", str(part)))
        if entry is not None and digest(part) != entry["sha256"]:
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


def _state(entry: dict[str, Any]) -> State:
    tag = next((str(entry[key]) for key in ("ETag", "etag", "LastModified", "mtime", "created") if key in entry), "")
    return tag, int(entry.get("size") or 0)
