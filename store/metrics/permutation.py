"""Permutation tests: what would the largest of many differences be if the labels meant nothing?

Relabelling keeps ties, skew and class sizes as they are, so nothing is assumed of the distribution; taking the largest
difference anew under every relabelling pays for having picked it (Westfall and Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class WidestDifference:
    """The classes with the lowest and the highest mean: value = their difference, with its interval and p-value."""

    lowest: int
    highest: int
    value: float
    low: float
    high: float
    p: float


def class_means(values: ArrayLike, labels: ArrayLike) -> Float64:
    """Mean of the values (..., N) of each class, (..., C) float64, C = largest label + 1; NaN where there is none."""
    values, labels = np.asarray(values, np.float64), np.asarray(labels, np.int64)
    count = np.bincount(labels)
    flat = values.reshape(-1, len(labels))
    sums = np.stack([np.bincount(labels, row, len(count)) for row in flat])
    means = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)
    return means.reshape(*values.shape[:-1], len(count))


def widest_difference(
    values: ArrayLike, labels: ArrayLike, *, resamples: int = 999, level: float = 0.95, seed: int = 0
) -> WidestDifference:
    """The widest difference between the means of two classes, tested against relabelled images.

    The interval is value -+ the `level` quantile of the relabelled differences, which holds for all pairs of classes
    jointly where classes differ by a shift: Tukey's honest significance, by permutation instead of normality.

    Equation:
        R = max_c mean_c - min_c mean_c;  p = (1 + #{R* >= R}) / (1 + resamples), R* with permuted labels

    Args:
        values: (N,) float. labels: (N,) class indices, two classes at least.

    Raises:
        ValueError: there are fewer than two classes.
    """
    values = np.asarray(values, np.float64)
    names, place = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"A difference needs two classes, got {len(names)}.")
    means = class_means(values, place)
    observed = float(np.ptp(means))
    random = np.random.default_rng(seed)
    chance = np.array([np.ptp(class_means(random.permutation(values), place)) for _ in range(resamples)])
    margin = float(np.quantile(chance, level, method="higher"))
    p = (1 + np.count_nonzero(chance >= observed - 1e-12 * max(observed, 1))) / (1 + resamples)
    lowest, highest = int(names[means.argmin()]), int(names[means.argmax()])
    return WidestDifference(lowest, highest, observed, observed - margin, observed + margin, float(p))
