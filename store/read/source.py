"""Where a run's files come from: a folder on this machine, or (see store.remote) anywhere that fsspec reaches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from store.format import layout
from store.format.hdf5_file import folder_entries

State = tuple[str, int]  # changes when a file does: a time or a tag, and the size
Listing = tuple[dict[int, State], set[int]]


class Source(Protocol):
    """The interface to the place where a run is stored."""

    @property
    def folder(self) -> Path: ...  # where fetched files are
    @property
    def is_local(self) -> bool: ...
    @property
    def open_files(self) -> int: ...  # epochs to keep open
    def look(self) -> Listing: ...
    def fetch_run(self) -> Path: ...
    def fetch_epoch(self, epoch: int) -> Path: ...
    def in_use(self, path: Path, holder: object) -> None: ...


@dataclass(frozen=True)
class LocalSource:
    """A run in a folder; fetching does nothing."""

    folder: Path
    is_local: bool = True
    open_files: int = 96

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
            names[entry.name] = (str(state.st_mtime_ns), state.st_size)
        return listing(names)

    def fetch_run(self) -> Path:
        """Path of run.h5."""
        return self.folder / layout.RUN_FILE

    def fetch_epoch(self, epoch: int) -> Path:
        """Path of an epoch's file."""
        return self.folder / layout.epoch_file(epoch)

    def in_use(self, path: Path, holder: object) -> None:
        """Does nothing: a run's own files are never removed."""


def listing(names: dict[str, State]) -> Listing:
    """Epoch -> state of those file names that are epochs, and the epochs that have a receipt."""
    found = {epoch: state for name, state in names.items() if (epoch := layout.epoch_of(name)) is not None}
    receipts = {epoch for name in names if (epoch := layout.epoch_of(name, "json")) is not None}
    return found, receipts
