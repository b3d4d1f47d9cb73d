"""analysis.h5: what was derived from all epochs of a run, in one file that may be deleted and made again.

Tables lie at tables/<table>/<column> and arrays at arrays/<name>; text is UTF-8 of fixed length.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import DamagedFile, SchemaMismatch
from store.files import PART, create_file, discard, open_file, seal_file, set_attributes, writing
from store.reader import Run

ANALYSIS_FILE = "analysis.h5"
ANALYSIS_VERSION = 1
_STORAGE = {"chunks": True, "shuffle": True, "compression": "gzip", "compression_opts": 1, "fletcher32": True}
_AGAIN = 'Delete it and run "python -m compute analyse" again.'


@dataclass(frozen=True)
class Analysis:
    """A run's derived tables, read when asked for. `epochs` are those it was made from."""

    path: Path
    epochs: tuple[int, ...]
    tables: tuple[str, ...]
    arrays: tuple[str, ...]

    def stale(self, run: Run) -> bool:
        """Whether the run holds other epochs by now than this was made from."""
        return self.epochs != run.epochs

    def table(self, name: str) -> pd.DataFrame:
        """One table by its name; raises DamagedFile where it is missing or fails its checksum."""
        with _opened(self.path) as file:
            group = _item(self.path, file, f"tables/{name}")
            columns = [column.decode() for column in np.asarray(group.attrs["columns"])]
            return pd.DataFrame({column: _values(self.path, group, column) for column in columns})

    def array(self, name: str) -> NDArray:
        """One array by its name; raises DamagedFile where it is missing or fails its checksum."""
        with _opened(self.path) as file:
            return _values(self.path, file, f"arrays/{name}")


def read_analysis(run: Run) -> Analysis | None:
    """The analysis beside the run, None where there is none or it is of another run or version of this code.

    It may be stale: ask `Analysis.stale`. Raises DamagedFile where the file cannot be read.
    """
    path = Path(run.path) / ANALYSIS_FILE
    if not path.exists():
        return None
    with _opened(path) as file:
        facts = dict(file.attrs)
        if facts.get("analysis_version") != ANALYSIS_VERSION or facts.get("run_id") != np.bytes_(run.id.encode()):
            return None
        return Analysis(
            path=path,
            epochs=tuple(_values(path, file, "epochs").tolist()),
            tables=tuple(file["tables"]),
            arrays=tuple(file["arrays"]),
        )


def write_analysis(
    run: Run, epochs: tuple[int, ...], tables: Mapping[str, pd.DataFrame], arrays: Mapping[str, NDArray]
) -> Path:
    """Write analysis.h5 beside the run, whole or not at all, in place of an older one; returns its path.

    Raises:
        WriteFailed: the file system refuses; an older analysis stays as it was.
    """
    final = Path(run.path) / ANALYSIS_FILE
    part = final.with_name(f"{final.name}.{os.getpid()}{PART}")
    file = create_file(part)
    try:
        with writing(final):
            set_attributes(file, {"analysis_version": ANALYSIS_VERSION, "run_id": run.id, "kind": "analysis"})
            _write(file, "epochs", np.asarray(epochs, np.int64))
            file.require_group("tables")
            file.require_group("arrays")
            for name, table in tables.items():
                group = file.require_group(f"tables/{name}")
                group.attrs["columns"] = np.array([column.encode() for column in table.columns])
                for column in table.columns:
                    _write(group, column, table[column].to_numpy())
            for name, array in arrays.items():
                _write(file, f"arrays/{name}", array)
            file.close()
        seal_file(part, final)
    except BaseException:
        discard(file, part)
        raise
    return final


def _opened(path: Path) -> h5py.File:
    try:
        return open_file(path)
    except FileNotFoundError as err:
        raise DamagedFile(f"{str(path)!r} was there a moment ago and is gone: {err}. {_AGAIN}") from err


def _write(target: h5py.Group, path: str, values: NDArray) -> None:
    values = np.asarray(values)
    if values.dtype.kind not in "iufb":
        values = np.array([str(value).encode() for value in values], dtype="S") if len(values) else np.empty(0, "S1")
    if values.dtype.kind == "b":
        values = values.astype(np.bool_)
    if values.size == 0:
        target.create_dataset(path, data=values)
    else:
        target.create_dataset(path, data=values, **_STORAGE)


def _item(path: Path, file: h5py.Group, name: str) -> h5py.Group:
    if name not in file:
        raise SchemaMismatch(f"{str(path)!r} has no {name!r}: it was made by other code. {_AGAIN}")
    return file[name]


def _values(path: Path, group: h5py.Group, name: str) -> NDArray:
    try:
        values = _item(path, group, name)[...]
        return np.array([text.decode() for text in values], object) if values.dtype.kind == "S" else values
    except (OSError, RuntimeError, UnicodeDecodeError) as err:
        raise DamagedFile(f"{str(path)!r} is damaged: {name} cannot be read ({err}). {_AGAIN}") from err
