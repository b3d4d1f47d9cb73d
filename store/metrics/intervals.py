"""Intervals of shares and means, and a permutation test of the widest difference between classes."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


def wilson(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> tuple[Float64, Float64]:
    """Interval of a share, (low, high), each (...) float64 in 0..1; without a trial it is 0..1.

    Equation:
        (p + z^2/2n -+ z sqrt(p (1-p) / n + z^2 / 4n^2)) / (1 + z^2/n)   (Wilson 1927)
    """
    successes, trials = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = np.maximum(trials, 1)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low, high = np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
    return np.where(trials > 0, low, 0.0), np.where(trials > 0, high, 1.0)


def ratio_interval(
    successes: ArrayLike, trials: ArrayLike, other_successes: ArrayLike, other_trials: ArrayLike, *, level: float = 0.95
) -> tuple[Float64, Float64]:
    """Interval of the ratio of two independent shares, (low, high), each (...) float64, 0..infinity.

    Equation:
        low = l1 (2 p1 - l1) / (p1 p2 + sqrt((p1 p2)^2 - l1 u2 (2 p1 - l1) (2 p2 - u2))),
        high = (p1 p2 + sqrt((p1 p2)^2 - u1 l2 (2 p1 - u1) (2 p2 - l2))) / (l2 (2 p2 - l2))
        with Wilson's l and u of each share p; infinite where p2 = 0   (MOVER, Donner and Zou 2012)
    """
    first, second = (np.asarray(count, np.float64) for count in (successes, other_successes))
    p1, p2 = first / np.maximum(trials, 1), second / np.maximum(other_trials, 1)
    (l1, u1), (l2, u2) = wilson(first, trials, level=level), wilson(second, other_trials, level=level)
    product = p1 * p2
    lower = product + np.sqrt(np.maximum(product**2 - l1 * u2 * (2 * p1 - l1) * (2 * p2 - u2), 0))
    upper = product + np.sqrt(np.maximum(product**2 - u1 * l2 * (2 * p1 - u1) * (2 * p2 - l2), 0))
    below = l2 * (2 * p2 - l2)
    low = np.divide(l1 * (2 * p1 - l1), lower, out=np.zeros_like(lower), where=p1 > 0)
    return low, np.divide(upper, below, out=np.full_like(upper, np.inf), where=p2 > 0)


def exact_interval(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> tuple[Float64, Float64]:
    """Interval of a share that covers it at least as often as `level` says, (low, high), each (...) float64 in 0..1.

    Wider than `wilson`, but reliable far out in the tails, where many intervals have to hold jointly.

    Equation:
        quantiles of Beta(s, n - s + 1) and Beta(s + 1, n - s)   (Clopper and Pearson 1934)
    """
    from scipy.special import betaincinv

    successes, trials = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    failures, tail = trials - successes, (1 - level) / 2
    low = np.where(successes > 0, betaincinv(np.maximum(successes, 1), failures + 1, tail), 0.0)
    high = np.where(failures > 0, betaincinv(successes + 1, np.maximum(failures, 1), 1 - tail), 1.0)
    return low, high


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of a sample and Student's interval, (mean, low, high); infinite for a single value, NaN for none."""
    from scipy.special import stdtrit  # here: the pages, which need `wilson` alone, start half a second sooner

    values = np.asarray(values, np.float64)
    if not values.size:
        return float("nan"), float("nan"), float("nan")
    if values.size < 2:
        return float(values.mean()), float("-inf"), float("inf")
    half = stdtrit(values.size - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


@dataclass(frozen=True)
class WidestDifference:
    """The classes with the lowest and the highest mean: value = their difference, with its interval and p-value."""

    lowest: int
    highest: int
    value: float
    low: float
    high: float
    p: float


def class_means(values: ArrayLike, labels: ArrayLike, classes: int | None = None) -> Float64:
    """Mean of the values (..., N) of each class, (..., C) float64; NaN for a class without any.

    Args:
        labels: (N,) class indices. classes: C; default: the largest label + 1.
    """
    values, labels = np.asarray(values, np.float64), np.asarray(labels, np.int64)
    count = np.bincount(labels, minlength=classes or 0)
    flat = values.reshape(-1, len(labels))
    sums = np.stack([np.bincount(labels, row, len(count)) for row in flat])
    means = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)
    return means.reshape(*values.shape[:-1], len(count))


def widest_difference(
    values: ArrayLike, labels: ArrayLike, *, resamples: int = 999, level: float = 0.95, seed: int = 0
) -> WidestDifference:
    """The widest difference between the means of two classes, tested against relabelled images.

    Relabelling keeps ties, skew and class sizes as they are, so nothing is assumed of the distribution; taking the
    largest difference again under every relabelling accounts for having picked it (Westfall and Young 1993). The
    interval is value -+ the `level` quantile of the relabelled differences, which holds for all pairs of classes
    jointly where classes differ by a shift: Tukey's honest significance, by permutation instead of normality.

    Equation:
        R = max_c mean_c - min_c mean_c;  p = (1 + #{R* >= R}) / (1 + resamples), R* with permuted labels

    Args:
        values: (N,) float. labels: (N,) class indices, two classes at least.

    Raises:
        ValueError: there are fewer than two classes.
    """
    values = np.asarray(values, np.float64)
    names, index = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"A difference needs two classes, got {len(names)}.")
    means = class_means(values, index)
    observed = float(np.ptp(means))
    random = np.random.default_rng(seed)
    # Not Welch's test: epochs are few whole numbers, often all equal within a class, and it divides by their variance.
    chance = np.array([np.ptp(class_means(random.permutation(values), index)) for _ in range(resamples)])
    margin = float(np.quantile(chance, level, method="higher"))
    p = (1 + np.count_nonzero(chance >= observed - 1e-12 * max(observed, 1))) / (1 + resamples)
    lowest, highest = int(names[means.argmin()]), int(names[means.argmax()])
    return WidestDifference(lowest, highest, observed, observed - margin, observed + margin, float(p))
