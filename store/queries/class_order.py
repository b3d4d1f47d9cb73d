"""Orders of the classes, so that a wall or a matrix of 200 of them can be read."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from store.analysis.analysis_file import read_analysis
from store.metrics.confusion import similarity_order
from store.metrics.learning import NEVER
from store.read.run import Run

Order = Literal["index", "name", "group", "accuracy", "formation", "similarity"]


def class_order(run: Run, by: Order, *, epoch: int, variant: str = "clean") -> NDArray[np.int64]:
    """Class indices (C,) int64 in the order asked for; ties keep the index.

    "group": groups in order of their first class, most accurate class first within each. "accuracy": best first.
    "formation": the earliest to form first, by the analysis of the run. "similarity": neighbours have alike patterns.

    Raises:
        ValueError: the order is unknown, or "formation" is asked of a run without an analysis.
    """
    count = len(run.classes)
    if by == "index":
        return np.arange(count)
    if by == "name":
        return np.argsort(run.classes["name"].str.casefold().to_numpy().astype(str), kind="stable")
    if by == "similarity":
        return similarity_order(run.patterns(epoch=epoch, variant=variant))
    if by == "formation":
        return np.argsort(_formation(run), kind="stable")
    if by in ("accuracy", "group"):
        accuracy = np.nan_to_num(run.class_table(epoch=epoch, variant=variant)["accuracy"].to_numpy(), nan=-1.0)
        groups = list(dict.fromkeys(run.classes["group"])) if by == "group" else []
        place = run.classes["group"].map(groups.index).to_numpy() if groups else np.zeros(count)
        return np.lexsort((-accuracy, place))
    raise ValueError(
        f"Classes cannot be ordered by {by!r}: choose index, name, group, accuracy, formation or similarity."
    )


def _formation(run: Run) -> NDArray:
    analysis = read_analysis(run)
    if analysis is None:
        raise ValueError(
            f'The formation epochs of {run.name!r} are not known yet: run "python -m compute analyse {run.path}".'
        )
    formed = analysis.table("classes")["formation"].to_numpy()
    return np.where(formed == NEVER, np.iinfo(np.int64).max, formed)
