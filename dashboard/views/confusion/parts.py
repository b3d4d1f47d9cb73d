"""What the Confusion page computes: the values of the matrix, the state to compare with, the groups of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dashboard import data
from dashboard.shell.url_state import Selection
from store import Run
from store.metrics.confusion import group_confusion, row_shares

NO_GROUP = "no group"
SCALINGS = {
    "count": "images (log scale)",
    "row": "share of the true class",
    "column": "share of the prediction",
    "difference": "change",
}


@dataclass(frozen=True)
class ScaledConfusion:
    """Values (R, C) with their unit and number format."""

    values: np.ndarray
    unit: str
    format: str
    signed: bool = False


def scale_counts(counts: np.ndarray, scaling: str, before: np.ndarray | None) -> ScaledConfusion:
    """A confusion matrix as counts, as shares of its rows or columns, or as a change from another one."""
    counts = counts.astype(np.float64)
    if scaling == "row":
        return ScaledConfusion(row_shares(counts), "of the true class's images", "percent")
    if scaling == "column":
        return ScaledConfusion(row_shares(counts.T).T, "of the images predicted as this class", "percent")
    if scaling == "difference" and before is not None:
        return ScaledConfusion(counts - before, "images more or fewer than before", "signed", signed=True)
    return ScaledConfusion(counts, "images", "count")


def earlier_state(selection: Selection) -> tuple[int, str] | None:
    """The state that the change is measured from: the pinned one, else the first epoch, else the clean images."""
    here = (selection.epoch, selection.variant)
    first, clean = selection.run.epochs[0], selection.run.variants[0]
    choices = (selection.pinned, (first, selection.variant), (selection.epoch, clean))
    return next((state for state in choices if state is not None and state != here), None)


def group_names(run: Run) -> list[str]:
    """The displayed group of each class, in the run's order."""
    return [group.strip() or NO_GROUP for group in data.class_groups(run)]


def sum_groups(run: Run, counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The matrix summed over the classes of each group: the groups' names and (G, G) counts."""
    groups = group_names(run)
    names = list(dict.fromkeys(groups))
    members = np.array([names.index(group) for group in groups])
    return names, group_confusion(counts, members, count=len(names))


def wrong_only(counts: np.ndarray) -> np.ndarray:
    """The matrix (C, C) with nothing on its diagonal."""
    return counts - np.diag(counts.diagonal())
