"""Do two versions of the code record the same? Compares two runs of the same settings, dataset by dataset.

    python -m bench same_record OLD_RUN NEW_RUN

Record both with the same profile, seed and one thread (`python -m compute train --threads 1 ...`). Every dataset of
run.h5, of the epochs and of analysis.h5 is compared bit for bit, and so are the attributes that are numbers. Exits with
1 if numbers differ or are missing. Texts of the analysis may be reworded: they are reported but do not count.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - lets h5py read the chunks
import numpy as np
from numpy.typing import NDArray

from bench import document

# Identity, texts about the run, times and file sizes differ between any two runs.
NOT_COMPARED = ("*/configuration", "*/provenance", "*/layout", "*second*", "*/epoch_sha256", "*/epoch_bytes")


def contents(run: Path, opened: ExitStack) -> Iterator[tuple[str, NDArray | h5py.Dataset]]:
    """Path -> values of every dataset, of every column of a compound dataset, and of every attribute of numbers."""
    for path in (run / "run.h5", *sorted((run / "epochs").glob("[0-9][0-9][0-9][0-9].h5")), run / "analysis.h5"):
        if not path.exists():
            continue
        file = opened.enter_context(h5py.File(path, "r", locking=False))
        items: list[tuple[str, h5py.Group | h5py.Dataset]] = [("", file)]
        file.visititems(lambda name, item, items=items: items.append((f"/{name}", item)))
        for name, item in items:
            where = f"{path.relative_to(run)}{name}"
            for key, value in item.attrs.items():
                if key in ("zero_point", "signed", "planned_epochs", "epoch") or name == "/metrics":
                    yield f"{where}/@{key}", np.asarray(value)
            if isinstance(item, h5py.Dataset):
                rows = item[...] if item.dtype.names else item
                yield from ((f"{where}/{column}", rows[column]) for column in item.dtype.names or ())
                if not item.dtype.names:
                    yield where, item


def difference(old: NDArray, new: NDArray) -> str:
    """ "" where two arrays are the same bit for bit, else what differs."""
    if old.shape != new.shape:
        return f"shape {old.shape}, now {new.shape}"
    if old.dtype.kind == "S" or new.dtype.kind == "S":
        return "" if (old == new).all() else "text differs"
    if old.dtype != new.dtype:
        return f"type {old.dtype}, now {new.dtype}"
    if old.tobytes() == new.tobytes():
        return ""
    off = np.abs(old.astype(np.float64) - new.astype(np.float64))
    return f"{(off != 0).sum()} of {off.size} differ, by {np.nanmax(off, initial=0):.3g} at most"


def compare(old_run: Path, new_run: Path) -> tuple[list[str], bool]:
    """A line for each dataset, and whether all numbers are the same."""
    with ExitStack() as opened:
        old, new = dict(contents(old_run, opened)), dict(contents(new_run, opened))
        lines, same = [], True
        for path, values in old.items():
            if any(fnmatch.fnmatch(path, pattern) for pattern in NOT_COMPARED):
                continue
            found = difference(values[...], new[path][...]) if path in new else "it is missing"
            reworded = found == "text differs" and path.startswith("analysis.h5")
            same &= not found or reworded
            word = "equal" if not found else "reworded" if reworded else "MISSING" if path not in new else "DIFFERS"
            lines.append(f"{word:<8} {path}  {found}".rstrip())
        return lines + [f"new      {path}" for path in new if path not in old], same


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 where numbers differ."""
    parser = document.parser("same_record", __doc__)
    parser.add_argument("old", type=Path, help="folder of the run that the older code recorded")
    parser.add_argument("new", type=Path, help="folder of the run that this code recorded")
    options = parser.parse_args(arguments)
    lines, same = compare(options.old, options.new)
    print(*lines, "All numbers are the same." if same else "Some numbers differ or are missing.", sep="\n")
    return 0 if same else 1
