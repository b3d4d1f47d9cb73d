"""analysis.h5: the cross-epoch analysis of a run, in one file that may be deleted and computed again.

Tables lie at tables/<name>, a compound value per row, and arrays at arrays/<name>; text is UTF-8 of fixed length. Both
are stored in chunks as a run's own datasets are, and their structure is checked as theirs is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from h5py import h5d, h5t
from numpy.typing import NDArray

from store.errors import DamagedFile, OutdatedAnalysis, StoreError
from store.format.chunks import ChunkReader, write_array
from store.format.description import RunDescription, RunFacts
from store.format.hdf5_file import PART, NewFile, atomic_file, open_file, regular_file, set_attributes
from store.format.layout import ANALYSIS_FILE
from store.format.schema import ATTRIBUTES, MOST_EPOCHS, VARIANT_METRICS, Field
from store.format.structure import HDF5_ERRORS, TEXT_BYTES, Members, Shape, check_dataset, read_attribute
from store.read.run import Run
from store.read.source import State, file_state

ANALYSIS_VERSION = 10  # raised whenever a figure is computed or stored in another way: older files are not read
_AGAIN = 'Delete it and run "python -m compute analyse" on the run again.'

# What the analysis writes: the columns of each table, with what their values are. "whole", "number", "yes_no" and
# "text" are any; an "image" or "class" is an index, a "variant" a name of the run, an "epoch" a number or -1 (never).
TABLES: Mapping[str, Mapping[str, str]] = {
    "epochs": {
        "epoch": "epoch",
        "variant": "variant",
        **dict.fromkeys((field.name for field in VARIANT_METRICS), "number"),
    },
    "epoch_metrics": {"epoch": "epoch", "name": "text", "value": "number"},
    "epoch_labels": {"epoch": "epoch", "label": "text"},
    "images": {
        "image": "image",
        **dict.fromkeys(("formation", "stabilisation", "learned", "first_correct"), "epoch"),
        **dict.fromkeys(("map_lead", "forgetting_count", "flips"), "whole"),
        "history": "text",
        "self_confidence": "number",
        "error_run": "whole",
        **dict.fromkeys(("error_run_confidence", "agreement", "persistence"), "number"),
        "label_issue": "yes_no",
        "cluster": "whole",
        **dict.fromkeys(("evidence_on_object", "object_area", "evidence_on_others", "peak_on_object"), "number"),
        **dict.fromkeys(("localisation_gain", "possible_gain"), "number"),
        "cells_to_flip": "whole",
    },
    "map_confidence": {
        "measure": "text",
        **{f"{name}{end}": "number" for name in ("overall", "within") for end in ("", "_low", "_high")},
    },
    "classes": {
        "class_index": "class",
        **dict.fromkeys(("id", "name", "group"), "text"),
        **dict.fromkeys(("formation", "half_correct"), "epoch"),
        **dict.fromkeys(("accuracy", "within_class", "between_classes", "image_formation"), "number"),
        **dict.fromkeys(("stabilisation", "never_correct", "forgotten"), "number"),
        "clusters": "whole",
        **dict.fromkeys(("map_lead", "forgetting_count", "evidence_on_object", "object_area"), "number"),
        **dict.fromkeys(("evidence_on_others", "persistence", "silent_share"), "number"),
        **dict.fromkeys(("object_following", "object_following_low", "object_following_high"), "number"),
    },
    "cues": {
        "variant": "variant",
        "class_index": "class",
        **dict.fromkeys(("drop", "error", "accuracy_drop"), "number"),
    },
    "pairs": {
        "true_class_index": "class",
        "true_class": "text",
        "predicted_class_index": "class",
        "predicted_class": "text",
        **dict.fromkeys(("onset", "peak", "resolved"), "epoch"),
        **dict.fromkeys(("peak_count", "last_count"), "whole"),
        "slope": "number",
        "reverse": "whole",
        **dict.fromkeys(("similarity", "overlap", "distance"), "number"),
    },
    "clusters": {
        "class_index": "class",
        "cluster": "whole",
        "medoid": "image",
        "count": "whole",
        **dict.fromkeys(("share", "silhouette", "error", "lift", "low", "high"), "number"),
    },
    "cluster_survival": {
        "class_index": "class",
        "cluster": "whole",
        "variant": "variant",
        "count": "whole",
        **dict.fromkeys(("share", "low", "high"), "number"),
    },
    "failure_ranking": {
        **dict.fromkeys(("score", "label", "kind"), "text"),
        **dict.fromkeys(("images", "errors"), "whole"),
        **{
            f"{name}{end}": "number"
            for name in ("auroc", "fpr95", "aurc", "e_aurc", "augrc", "gain")
            for end in ("", "_low", "_high")
        },
        "gain_p": "number",
    },
    "best_epochs": {
        **dict.fromkeys(("criterion", "metric", "direction"), "text"),
        "epoch": "epoch",
        **dict.fromkeys(("value", "last_value", "low", "high", "selection_share"), "number"),
    },
    "ensembles": {
        **dict.fromkeys(("name", "label"), "text"),
        "members": "whole",
        **dict.fromkeys(("top1", "nll", "ece", "brier", "gain", "gain_low", "gain_high"), "number"),
        **dict.fromkeys(("newly_correct", "newly_wrong"), "whole"),
    },
    "localisation": {"quantity": "text", **dict.fromkeys(("value", "low", "high"), "number")},
    "collapse": {
        "epoch": "epoch",
        "layer": "text",
        "images": "whole",
        **dict.fromkeys(("nc1", "nc2_norm", "nc2_angle", "nc3", "nc4"), "number"),
    },
    "map_points": {"image": "image", **dict.fromkeys(("x", "y", "component_1", "component_2"), "number")},
    "findings": {
        **dict.fromkeys(("kind", "text"), "text"),
        **dict.fromkeys(("value", "low", "high"), "number"),
        **dict.fromkeys(("unit", "page"), "text"),
        **dict.fromkeys(("strength", "p"), "number"),
        "comparisons": "whole",
        "no_effect": "number",
        "query": "text",
    },
}
ARRAYS: Mapping[str, Field] = {
    name: Field("analysis", f"arrays/{name}", tuple(dims.split()), dtype, unit, "", storage="shuffled")
    for name, dims, dtype, unit in (
        ("class_accuracy", "E V C", "f4", "fraction"),
        ("class_confidence", "E V C", "f4", "fraction"),
        ("cue_drop", "E V C", "f4", "sd"),
        ("predictions", "E N", "u2", "class"),
        ("pattern_similarity", "E C", "f4", "-1..1"),
        ("pair_counts", "I E", "i8", "image"),
    )
}
_EPOCHS = Field("analysis", "epochs", ("E",), "i8", "epoch", "", storage="shuffled")
# What the epochs were, so that one that is recorded again is noticed: bytes of each file, and its SHA-256 by its
# receipt (0 where that is unknown).
_BYTES = Field("analysis", "epoch_bytes", ("E",), "i8", "byte", "", storage="shuffled")
_SHA256 = Field("analysis", "epoch_sha256", ("E", "32"), "u1", "SHA-256", "")
_ROWS = {"images": "N", "classes": "C"}  # tables with a row for each
_FORMATS = {
    "whole": ("<i8", "<i4", "<i2", "<u2", "<u4", "<u1"),
    "number": ("<f8", "<f4"),
    "yes_no": ("?",),
}
_KINDS = {"whole": "iu", "number": "f", "yes_no": "b", "text": "S"}
_INDEX_KINDS = {"image": "whole", "class": "whole", "epoch": "whole", "variant": "text"}


@dataclass(frozen=True)
class Analysis:
    """The tables of a run's analysis, read when needed.

    `epochs` are those that it was computed from, `recordings` the bytes and SHA-256 of their files.
    """

    path: Path
    epochs: tuple[int, ...]
    recordings: tuple[tuple[int, str], ...]
    facts: RunFacts
    loaded: dict[str, Any] = field(default_factory=dict)  # parts that were read already, by name

    def stale(self, run: Run) -> bool:
        """Whether the run's epochs have changed since the analysis was computed."""
        return self.epochs != run.epochs

    def table(self, name: str) -> pd.DataFrame:
        """One table by its name; raises DamagedFile where it is missing or fails its checksum."""
        if name in self.loaded:
            return self.loaded[name]
        with _reading(self.path) as file:
            return file.table(name, self.facts.description)

    def array(self, name: str) -> NDArray:
        """One array by its name; raises DamagedFile where it is missing or fails its checksum."""
        if name in self.loaded:
            return self.loaded[name]
        with _reading(self.path) as file:
            return file.array(name, self.facts.description, len(self.epochs))


def read_analysis(run: Run) -> Analysis | None:
    """The analysis in the run's folder; None where there is none, or it is of another run or version of this code.

    It may be stale: see `Analysis.stale`.

    Raises:
        DamagedFile: the file is not as the analysis writes it.
        OutdatedAnalysis: one of its epochs has been recorded again, so that its numbers are another epoch's.
    """
    path = Path(run.path) / ANALYSIS_FILE
    analysis = _read(path, run.facts)
    if analysis is not None:
        known = dict(zip(analysis.epochs, analysis.recordings, strict=True))
        again = [epoch for epoch in run.epochs if epoch in known and not _same(known[epoch], run.recording(epoch))]
        if again:
            raise OutdatedAnalysis(
                f"{str(path)!r} was computed before epoch {again[0]} was recorded again. "
                f'Run "python -m compute analyse {run.path}" again.'
            )
    return analysis


def _same(first: tuple[int, str], second: tuple[int, str]) -> bool:
    """Whether two recordings of an epoch may be one: equal sizes, and equal SHA-256 where both are known."""
    return first[0] == second[0] and (first[1] == second[1] or not (first[1] and second[1]))


def analysis_problems(run: Path, facts: RunFacts) -> Iterator[str]:
    """What is wrong with the analysis beside a run, if there is one."""
    try:
        analysis = _read(run / ANALYSIS_FILE, facts)
        if analysis is not None:
            for name in TABLES:
                table = analysis.table(name).select_dtypes("number")
                # The interval of a figure of too few images is infinite.
                if np.isinf(table.drop(columns=table.filter(regex="(low|high)$")).to_numpy(np.float64)).any():
                    yield f"tables/{name}: it contains numbers that are not finite"
            for name in ARRAYS:
                if np.isinf(analysis.array(name)).any():
                    yield f"arrays/{name}: it contains numbers that are not finite"
    except StoreError as err:
        yield str(err)


def _read(path: Path, facts: RunFacts) -> Analysis | None:
    try:
        state = file_state(regular_file(path))
        found = _epochs(path, state, facts.id, tuple(facts.description.sizes.items()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if found is None else Analysis(path, *found, facts)


@lru_cache(64)  # every query looks for the analysis, and comparing its structure takes longer than most of them
def _epochs(
    path: Path, state: State, run_id: str, sizes: tuple[tuple[str, int], ...]
) -> tuple[tuple[int, ...], tuple[tuple[int, str], ...]] | None:
    """Epochs and recordings of the analysis that a path holds in that state, None where it is of another run.

    The structure of all its tables and arrays is compared; raises DamagedFile.
    """
    with _reading(path) as file:
        if file.facts["analysis_version"] != ANALYSIS_VERSION or file.facts["run_id"] != run_id:
            return None
        epochs = tuple(file.read(_EPOCHS, (None,)).tolist())
        if not epochs or epochs != tuple(sorted(set(epochs))) or epochs[0] < 0 or epochs[-1] >= MOST_EPOCHS:
            raise ValueError("epochs: they must be numbers from 0 on in ascending order")
        lengths, digests = file.read(_BYTES, (len(epochs),)), file.read(_SHA256, (len(epochs), 32))
        recordings = tuple(
            (int(length), digest.tobytes().hex() if digest.any() else "")
            for length, digest in zip(lengths, digests, strict=True)
        )
        for name in TABLES:
            file.table_structure(name, dict(sizes))
        for name in ARRAYS:
            file.array_structure(name, dict(sizes), len(epochs))
    return epochs, recordings


def readable_analysis(run: Run, *parts: str) -> Analysis | None:
    """As `read_analysis` for what can do without it: None also where the file or one of these parts is damaged."""
    try:
        analysis = read_analysis(run)
        for name in parts:
            if analysis is not None:
                analysis.loaded[name] = (analysis.table if name in TABLES else analysis.array)(name)
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
        _write(file, _EPOCHS, np.asarray(epochs, np.int64))
        sizes, digests = zip(*(run.recording(epoch) for epoch in epochs), strict=True)
        _write(file, _BYTES, np.array(sizes, np.int64))
        _write(file, _SHA256, np.array([list(bytes.fromhex(digest or "00" * 32)) for digest in digests], np.uint8))
        for name, table in tables.items():
            _write(file, _table_field(name), _rows(name, table))
        for name, array in arrays.items():
            _write(file, ARRAYS[name], np.asarray(array, ARRAYS[name].dtype))
    return final


class _AnalysisFile:
    """An open analysis.h5; every method raises ValueError where it is not as the analysis writes it."""

    def __init__(self, path: Path) -> None:
        self._file = open_file(path)
        self._members = Members(self._file)
        self.facts: dict[str, Any] = {
            name: read_attribute(self._members.root, name, wanted) for name, wanted in ATTRIBUTES["analysis"].items()
        }

    def read(self, field: Field, shape: Shape, dtype: np.dtype | None = None) -> NDArray:
        """All values of a dataset."""
        stored = check_dataset(self._members, field.path, field, shape, dtype or np.dtype(field.dtype))
        return ChunkReader(stored).all() if np.prod(stored.shape) else np.empty(stored.shape, stored.dtype)

    def array_structure(self, name: str, lengths: Mapping[str, int], epochs: int) -> Shape:
        """Shape of an array, which is found to be as declared."""
        if name not in ARRAYS:
            raise ValueError(f"it contains no array {name!r}")
        described = ARRAYS[name]
        sizes: dict[str, int | None] = {**lengths, "E": epochs, "I": None}
        shape = tuple(sizes[dim] for dim in described.dims)
        check_dataset(self._members, described.path, described, shape, np.dtype(described.dtype))
        return shape

    def array(self, name: str, description: RunDescription, epochs: int) -> NDArray:
        """An array."""
        values = self.read(ARRAYS[name], self.array_structure(name, description.sizes, epochs))
        if ARRAYS[name].unit == "class":
            _check_column(values, "class", name, description)
        return values

    def table_structure(self, name: str, lengths: Mapping[str, int]) -> tuple[Field, Shape, np.dtype]:
        """The field, shape and type of a table, which is found to be as declared."""
        if name not in TABLES:
            raise ValueError(f"it contains no table {name!r}")
        path = f"tables/{name}"
        found = self._members.find(path)
        if not isinstance(found, h5d.DatasetID):
            raise ValueError(f"{path} is missing, or not a dataset")
        dtype = _row_type(found.get_type(), path, TABLES[name])
        shape = (lengths[_ROWS[name]] if name in _ROWS else None,)
        check_dataset(self._members, path, _table_field(name), shape, dtype)
        return _table_field(name), shape, dtype

    def table(self, name: str, description: RunDescription) -> pd.DataFrame:
        """A table, whose indices lie in the run."""
        rows = self.read(*self.table_structure(name, description.sizes))
        columns = {column: _decoded(rows[column]) for column in TABLES[name]}
        for column, kind in TABLES[name].items():
            _check_column(columns[column], kind, f"tables/{name}, {column}", description)
        return pd.DataFrame(columns)


def _table_field(name: str) -> Field:
    return Field("analysis", f"tables/{name}", ("J",), "V", "", "", storage="shuffled")


def _row_type(stored: h5t.TypeID, path: str, columns: Mapping[str, str]) -> np.dtype:
    """The type of a table's rows in the file, where its columns are those declared."""
    if not isinstance(stored, h5t.TypeCompoundID) or stored.get_nmembers() != len(columns):
        raise ValueError(f"{path} has other columns than the analysis writes")
    formats: list[Any] = []
    for place, (column, kind) in enumerate(columns.items()):
        member = stored.get_member_type(place)
        if stored.get_member_name(place) != column.encode():
            raise ValueError(f"{path} has other columns than the analysis writes")
        if _INDEX_KINDS.get(kind, kind) == "text":
            fixed = isinstance(member, h5t.TypeStringID) and not member.is_variable_str()
            candidates = [f"S{member.get_size()}"] if fixed and member.get_size() <= TEXT_BYTES else []
        else:
            candidates = list(_FORMATS[_INDEX_KINDS.get(kind, kind)])
        fitting = [form for form in candidates if member.equal(h5t.py_create(np.dtype(form), logical=True))]
        if not fitting:
            raise ValueError(f"{path}: the column {column} is not of the kind that the analysis writes ({kind})")
        formats.append((column, fitting[0]))
    return np.dtype(formats)


def _check_column(values: NDArray, kind: str, where: str, description: RunDescription) -> None:
    """Refuse an index that leads out of the run."""
    if kind == "variant":
        unknown = set(values) - set(description.variant_names)
        if unknown:
            raise ValueError(f"{where}: {min(unknown)[:100]!r} is no variant of the run")
        return
    sizes = description.sizes
    ranges = {"image": (0, sizes["N"] - 1), "class": (0, sizes["C"] - 1), "epoch": (-1, MOST_EPOCHS)}
    low, high = ranges.get(kind, (0, 0))
    if kind in ranges and len(values) and (values.min() < low or values.max() > high):
        raise ValueError(f"{where}: it contains {values.min()} to {values.max()}, allowed are {low} to {high}")


@contextmanager
def _reading(path: Path) -> Iterator[_AnalysisFile]:
    """The open file; whatever cannot be read of it inside the block is DamagedFile."""
    try:
        yield _AnalysisFile(path)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except DamagedFile as err:
        raise DamagedFile(f"{err} {_AGAIN}") from err
    except HDF5_ERRORS as err:
        raise DamagedFile(f"{str(path)!r} cannot be read: {err}. {_AGAIN}") from err


def _rows(name: str, table: pd.DataFrame) -> NDArray:
    if list(table.columns) != list(TABLES[name]):
        raise ValueError(f"The table {name!r} has the columns {list(table.columns)}: declare them in TABLES.")
    columns = {column: _encoded(table[column].to_numpy(), kind) for column, kind in TABLES[name].items()}
    rows = np.empty(len(table), [(column, values.dtype) for column, values in columns.items()])
    for column, values in columns.items():
        rows[column] = values
    return rows


def _encoded(values: NDArray, kind: str) -> NDArray:
    kind = _INDEX_KINDS.get(kind, kind)
    if kind == "text":
        return np.array([str(value).encode() for value in values] or [b""], dtype="S")[: len(values)]
    # A table without rows has no kinds, and a column of whole numbers with a gap became one of floats.
    return values if values.dtype.kind in _KINDS[kind] else values.astype(_FORMATS[kind][0])


def _decoded(values: NDArray) -> NDArray:
    return np.array([text.decode() for text in values], object) if values.dtype.kind == "S" else values


def _write(file: NewFile, field: Field, values: NDArray) -> None:
    if values.size:
        write_array(file, field.path, field, values)
    else:  # an empty dataset cannot be chunked
        file.create_dataset(field.path, data=values)
