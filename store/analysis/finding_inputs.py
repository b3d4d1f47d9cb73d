"""What statements about a run are made from: the record and the analysis's tables."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike, NDArray

from store.analysis.findings import adjusted, joint_level
from store.analysis.gather import EpochRecord, FinalEpoch
from store.metrics.intervals import exact_interval


@dataclass(frozen=True)
class FindingInputs:
    """The record, the last epoch's maps, and the analysis's tables by name."""

    record: EpochRecord
    final: FinalEpoch
    tables: dict[str, pd.DataFrame]

    @property
    def last(self) -> int:
        """The last recorded epoch."""
        return self.record.epochs[-1]

    @property
    def names(self) -> NDArray:
        """Names of the classes, (C,)."""
        return self.record.run.classes["name"].to_numpy()

    @property
    def ids(self) -> NDArray:
        """Ids of the classes, (C,)."""
        return self.record.run.classes["id"].to_numpy()

    def variant(self, name: str) -> str:
        """A variant's label in quotation marks, as it follows "under"."""
        return f"“{self.record.run.variant(name).label}”"


def tested(p: float, comparisons: int, query: dict[str, Any]) -> dict[str, Any]:
    """The fields of a claim, its p-value adjusted for the comparisons that it was picked from (Bonferroni)."""
    return {"p": adjusted(p, comparisons), "comparisons": comparisons, "query": query}


def widening(comparisons: int) -> float:
    """How many times as wide as a 95 % interval a normal one is that was picked from several comparisons."""
    quantile = NormalDist().inv_cdf
    return quantile((1 + joint_level(comparisons)) / 2) / quantile(0.975)


def joint_interval(successes: ArrayLike, trials: int, comparisons: int) -> tuple[float, float]:
    """Exact interval of a share that was picked from several comparisons."""
    low, high = exact_interval(successes, trials, level=joint_level(comparisons))
    return float(low), float(high)
