"""What the tools that write a new folder or file check first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from store.errors import NotInRun, StoreError
from store.read.run import Run
from store.remote.place import is_remote


def local_folder(folder: str | Path) -> Path:
    """The folder to write into; raises StoreError for a URL."""
    if is_remote(folder):
        raise StoreError(
            f"{str(folder)!r} is a URL, and this command writes into a folder. "
            "Write into a folder, then copy that to the URL."
        )
    return Path(folder)


def chosen_epochs(run: Run, epochs: Sequence[int] | None) -> list[int]:
    """The chosen epochs in the order given, None for all; raises NotInRun for one that is absent, or for none."""
    chosen = list(run.epochs) if epochs is None else [int(epoch) for epoch in epochs]
    absent = [epoch for epoch in chosen if epoch not in run.epochs]
    if absent or not chosen:
        raise NotInRun(f"Epochs {absent or chosen} are not in the run: it has {list(run.epochs)}.")
    return chosen


def unused(path: Path) -> Path:
    """The path, if nothing exists there yet; raises StoreError."""
    if path.exists():
        raise StoreError(f"{str(path)!r} exists already. Move it away, or choose another folder.")
    return path
