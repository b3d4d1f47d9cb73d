"""Small computations behind the Confusion page: scaling, order, groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard import data
from store import Run
from store.measures.confusion import collapse

SCALINGS = {
    "count": "pictures (log)",
    "row": "share of the truth",
    "column": "share of the answer",
    "difference": "change from the pinned state",
}


@dataclass(frozen=True)
class ScaledConfusion:
    """Values (R, C) with what they mean."""

    values: np.ndarray
    unit: str
    format: str
    signed: bool = False


def scaled(counts: np.ndarray, scaling: str, pinned: np.ndarray | None) -> ScaledConfusion:
    """A confusion matrix as counts, as shares of its rows or columns, or as a change from another one."""
    counts = counts.astype(np.float64)
    if scaling == "row":
        return ScaledConfusion(_share(counts, 1), "of the truth's pictures", "percent")
    if scaling == "column":
        return ScaledConfusion(_share(counts, 0), "of the pictures called so", "percent")
    if scaling == "difference" and pinned is not None:
        return ScaledConfusion(counts - pinned, "pictures more than in the pinned state", "signed", signed=True)
    return ScaledConfusion(counts, "pictures", "count")


def _share(counts: np.ndarray, axis: int) -> np.ndarray:
    total = counts.sum(axis, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def grouped(run: Run, counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The matrix with the classes of a group put together: the groups' names and (G, G) counts."""
    names = list(dict.fromkeys(data.class_groups(run)))
    members = np.array([names.index(group) for group in data.class_groups(run)])
    return names, collapse(counts, members, count=len(names))
