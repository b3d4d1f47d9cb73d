"""What a caller asked for, as row numbers; anything outside the run is refused here, in one voice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from store.errors import NotInRun

Selection = Sequence[int] | NDArray | slice | None


def rows_of(selection: Selection, count: int, *, what: str) -> NDArray[np.int64]:
    """Row numbers of a selection: integers in any order, a slice, or None for all.

    Raises:
        NotInRun: a number outside 0..count-1; names the first.
        TypeError: not whole numbers, or a single one.
    """
    if selection is None:
        return np.arange(count)
    if isinstance(selection, slice):
        return np.arange(count)[selection]
    rows = np.asarray(selection)
    if rows.size == 0:
        return np.zeros(0, np.int64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(f"{what.capitalize()}s are asked for by a list of whole numbers or a slice, got {selection!r}.")
    outside = rows[(rows < 0) | (rows >= count)]
    if len(outside):
        raise NotInRun(f"{what.capitalize()} {outside[0]} is not in the run: it holds {count}, 0 to {count - 1}.")
    return rows.astype(np.int64)


def variant_index(variants: tuple[str, ...], variant: str) -> int:
    """Place of a variant in the run; raises NotInRun."""
    if variant not in variants:
        raise NotInRun(f"Variant {variant!r} is not in the run: it holds {', '.join(variants)}.")
    return variants.index(variant)


def mark_rows(written: NDArray[np.bool_], start: int, count: int, *, what: str) -> None:
    """Mark rows start.. as written; refuses rows outside or a second time."""
    if start < 0 or start + count > len(written):
        raise ValueError(f"{what}: images {start} to {start + count - 1} are outside 0 to {len(written) - 1}.")
    if written[start : start + count].any():
        raise ValueError(f"{what}: some of images {start} to {start + count - 1} were written before.")
    written[start : start + count] = True
