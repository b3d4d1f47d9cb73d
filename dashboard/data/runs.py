"""The folder of runs and the open runs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import streamlit as st

from store import Run, open_run


def runs_folder() -> Path:
    """The folder of runs: CLASSPRINT_RUNS, by default ./runs."""
    return Path(os.environ.get("CLASSPRINT_RUNS") or "runs")


def run_names() -> list[str]:
    """The names of the runs, the most recently written first, those without an epoch last; empty without a folder."""
    folder = runs_folder()
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if (path / "run.h5").is_file()]
    return [path.name for path in sorted(found, key=_last_written, reverse=True)]


def _last_written(path: Path) -> tuple[bool, float]:
    epochs = path / "epochs"
    begun = any(epochs.glob("*.h5"))
    return begun, (epochs if begun else path).stat().st_mtime


@st.cache_resource(max_entries=16, show_spinner=False)
def _opened(path: str, stamp: int) -> Run:
    return open_run(path)


def open_named_run(name: str) -> Run:
    """A run of the folder, with the epochs that are sealed by now.

    Raises:
        StoreError: the run cannot be read.
    """
    path = runs_folder() / name
    try:
        stamp = (path / "run.h5").stat().st_mtime_ns
    except OSError:
        stamp = 0  # gone since it was listed: the store says so
    run = _opened(str(path), stamp)
    run.refresh()
    return run


def frozen(values: np.ndarray) -> np.ndarray:
    """The array, read-only: cached arrays are shared by all readers."""
    values = np.asarray(values)
    values.flags.writeable = False
    return values
