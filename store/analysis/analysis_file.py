"""analysis.h5: the cross-epoch analysis of a run, in one file that may be deleted and computed again.

Tables are at tables/<name>, a compound value per row, arrays at arrays/<name>; text is UTF-8 of fixed length.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import DamagedFile
from store.format.hdf5_file import PART, NewFile, atomic_file, open_file, set_attributes
from store.format.layout import ANALYSIS_FILE
from store.read.run import Run

ANALYSIS_VERSION = 1  # increase it whenever a figure is computed differently: files of older versions are not read
_STORAGE = {"chunks": True, "shuffle": True, "compression": "gzip", "compression_opts": 1, "fletcher32": True}
_AGAIN = 'Delete it and run "python -m compute analyse" on the run again.'


@dataclass(frozen=True)
class Analysis:
    """The tables of a run's analysis, read when needed. `epochs` are those that it was computed from."""

    path: Path
    epochs: tuple[int, ...]
    tables: tuple[str, ...]
    arrays: tuple[str, ...]

    def stale(self, run: Run) -> bool:
        """Whether the run's epochs have changed since the analysis was computed."""
        return self.epochs != run.epochs

    def table(self, name: str) -> pd.DataFrame:
        """One table by its name; raises DamagedFile where it is missing or fails its checksum."""
        with _reading(self.path) as file:
            rows = file[f"tables/{name}"][...]
            return pd.DataFrame({column: _decoded(rows[column]) for column in rows.dtype.names})

    def array(self, name: str) -> NDArray:
        """One array by its name; raises DamagedFile where it is missing or fails its checksum."""
        with _reading(self.path) as file:
            return file[f"arrays/{name}"][...]


def read_analysis(run: Run) -> Analysis | None:
    """The analysis in the run's folder; None where there is none, or it is of another run or version of this code.

    It may be stale: see `Analysis.stale`. Raises DamagedFile where the file cannot be read.
    """
    path = Path(run.path) / ANALYSIS_FILE
    if not path.exists():
        return None
    with _reading(path) as file:
        if file.attrs["analysis_version"] != ANALYSIS_VERSION or file.attrs["run_id"] != np.bytes_(run.id.encode()):
            return None
        epochs = tuple(file["epochs"][...].tolist())
        return Analysis(path=path, epochs=epochs, tables=tuple(file["tables"]), arrays=tuple(file["arrays"]))


def readable_analysis(run: Run, *parts: str) -> Analysis | None:
    """As `read_analysis` for what can do without it: None also where the file or one of these parts is damaged."""
    try:
        analysis = read_analysis(run)
        for name in parts:
            if analysis is not None:
                (analysis.table if name in analysis.tables else analysis.array)(name)
    except DamagedFile:
        return None
    return analysis


def write_analysis(
    run: Run, epochs: tuple[int, ...], tables: Mapping[str, pd.DataFrame], arrays: Mapping[str, NDArray]
) -> Path:
    """Write analysis.h5 into the run's folder, completely or not at all, replacing an older one; returns its path.

    Raises:
        WriteFailed: the file system refuses to write; an older analysis stays as it was.
    """
    final = Path(run.path) / ANALYSIS_FILE
    part = final.with_name(f"{final.name}.{os.getpid()}{PART}")
    with atomic_file(final, part) as file:
        set_attributes(file, {"analysis_version": ANALYSIS_VERSION, "run_id": run.id, "kind": "analysis"})
        _write(file, "epochs", np.asarray(epochs, np.int64))
        file.require_group("tables")
        file.require_group("arrays")
        for name, table in tables.items():
            _write(file, f"tables/{name}", _rows(table))
        for name, array in arrays.items():
            _write(file, f"arrays/{name}", array)
    return final


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """The open file; anything that cannot be read inside the block raises DamagedFile."""
    try:
        with open_file(path) as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, AttributeError) as err:
        raise DamagedFile(f"{str(path)!r} cannot be read: {err}. {_AGAIN}") from err


def _rows(table: pd.DataFrame) -> NDArray:
    columns = {name: _encoded(table[name].to_numpy()) for name in table.columns}
    rows = np.empty(len(table), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    return rows


def _encoded(values: NDArray) -> NDArray:
    if values.dtype.kind in "iufb":
        return values
    return np.array([str(value).encode() for value in values] or [b""], dtype="S")[: len(values)]


def _decoded(values: NDArray) -> NDArray:
    return np.array([text.decode() for text in values], object) if values.dtype.kind == "S" else values


def _write(file: NewFile, path: str, values: NDArray) -> None:
    file.create_dataset(path, data=values, **(_STORAGE if values.size else {}))  # an empty dataset cannot be chunked
