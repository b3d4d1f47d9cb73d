"""Where a run's files come from: a folder on this machine, or (see store.remote) anywhere that fsspec reaches."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from store.errors import DamagedFile
from store.format import layout
from store.format.hdf5_file import folder_entries
from store.format.receipts import read_receipt

State = tuple[str, int]  # changes when a file does: times and inode, or a tag, and the size
Listing = tuple[dict[int, State], set[int]]


class Source(Protocol):
    """The interface to the place where a run is stored."""

    @property
    def folder(self) -> Path: ...  # where fetched files are
    @property
    def location(self) -> str: ...  # its folder, or the URL
    @property
    def is_local(self) -> bool: ...
    @property
    def open_files(self) -> int: ...  # epochs to keep open
    def look(self) -> Listing: ...
    def fetch_run(self) -> Path: ...
    def fetch_epoch(self, epoch: int) -> Path: ...
    def has_epoch(self, epoch: int) -> bool: ...  # without fetching it
    def recorded_sha256(self, epoch: int, state: State) -> str: ...
    def in_use(self, path: Path, holder: object) -> None: ...


@dataclass(frozen=True)
class LocalSource:
    """A run in a folder; fetching does nothing."""

    folder: Path
    is_local: bool = True
    open_files: int = 96

    @property
    def location(self) -> str:
        """The folder, as text."""
        return str(self.folder)

    def look(self) -> Listing:
        """Epochs that have a file, with its state, and the epochs that have a receipt.

        Raises:
            DamagedFile: the folder of epochs is none, or permission is denied.
        """
        names: dict[str, State] = {}
        for entry in folder_entries(self.folder / layout.EPOCHS):
            try:
                state = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # a .part file that was completed meanwhile
                continue
            names[entry.name] = file_state(state)
        return listing(names)

    def fetch_run(self) -> Path:
        """Path of run.h5."""
        return self.folder / layout.RUN_FILE

    def fetch_epoch(self, epoch: int) -> Path:
        """Path of an epoch's file."""
        return _epoch_path(self.folder, epoch)

    def has_epoch(self, epoch: int) -> bool:
        """True: all files are here."""
        return True

    @lru_cache(maxsize=4096)  # noqa: B019 - a frozen value, of a few bytes
    def recorded_sha256(self, epoch: int, state: State) -> str:
        """SHA-256 of an epoch's file according to its receipt; empty if there is no readable receipt."""
        try:
            receipt = read_receipt(self.folder, epoch)
        except DamagedFile:
            return ""
        name = Path(layout.epoch_file(epoch)).name
        return "" if receipt is None else str(receipt["files"].get(name, {}).get("sha256", ""))

    def in_use(self, path: Path, holder: object) -> None:
        """Does nothing: a run's own files are never removed."""


def file_state(found: os.stat_result) -> State:
    """A value that changes when another file takes a file's place, even one of the same size and time."""
    # The time of change cannot be set back, and a new file often gets the inode of the one that was removed.
    return f"{found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}", found.st_size


def path_state(path: Path) -> State:
    """The `file_state` of the file at a path; ("", 0) where there is none, or none that may be looked at."""
    try:
        return file_state(path.stat())
    except OSError:
        return "", 0


@lru_cache(4096)  # at every query: putting the path together took a tenth of the smallest ones
def _epoch_path(folder: Path, epoch: int) -> Path:
    return folder / layout.epoch_file(epoch)


def listing(names: dict[str, State]) -> Listing:
    """The state of every epoch that has a file, which covers its parts and receipt, and the epochs with a receipt."""
    found: dict[int, State] = {}
    receipts: set[int] = set()
    beside: list[tuple[int, str]] = []
    for name, state in sorted(names.items()):
        if (epoch := layout.epoch_of(name)) is not None:
            found[epoch] = state
        elif (epoch := layout.epoch_of(name, "json")) is not None:
            receipts.add(epoch)
            beside.append((epoch, state[0]))
        elif part := layout.part_of_name(name):
            beside.append((part[0], state[0]))
    for epoch, tag in beside:
        if epoch in found:
            found[epoch] = f"{found[epoch][0]} {tag}", found[epoch][1]
    return found, receipts
