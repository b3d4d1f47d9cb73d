"""Intervals of shares, means and rank correlations."""

from __future__ import annotations

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


def normal_p(value: float, low: float, high: float) -> float:
    """One-sided p-value of a value above 0, by the width of its 95 % interval (low, high): 1 where that is infinite.

    Equation:
        1 - Phi(1.96 * 2 value / |high - low|)
    """
    width = abs(high - low)
    if not np.isfinite(width) or width <= 0:
        return 0.0 if width == 0 and value > 0 else 1.0
    return 1 - NormalDist().cdf(2 * NormalDist().inv_cdf(0.975) * value / width)


def rank_correlation(
    first: ArrayLike, second: ArrayLike, groups: ArrayLike | None = None, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Spearman's rank correlation of two columns (N,) with its interval, (value, low, high).

    With groups (N,), ranks are taken within each, as shares of its size, so that what differs between groups counts
    for nothing. NaN where a column is constant, infinite ends never: -1 and 1 with too few images.

    Equation:
        tanh(artanh r -+ z sqrt((1 + r^2 / 2) / (n - 3)))   (Fisher 1921; variance: Bonett and Wright 2000),
        n less the number of groups minus one
    """
    from scipy.stats import rankdata

    groups = np.zeros(len(np.asarray(first)), np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    ranks = np.zeros((2, len(groups)))
    for row, column in zip(ranks, (np.asarray(first), np.asarray(second)), strict=True):
        for group in range(groups.max(initial=-1) + 1):
            rank = rankdata(column[groups == group])
            row[groups == group] = (rank - rank.mean()) / len(rank)
    spread = np.sqrt((ranks**2).sum(1)).prod()
    if not spread > 1e-12:
        return float("nan"), float("nan"), float("nan")
    value = float(np.clip(ranks[0] @ ranks[1] / spread, -1, 1))
    freedom = len(groups) - groups.max() - 3
    if freedom < 1:
        return value, -1.0, 1.0
    half = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt((1 + value**2 / 2) / freedom)
    # A correlation of 1 is no more certain than one short of it by a rank or so.
    centre = np.arctanh(np.clip(value, -1 + 1 / len(groups), 1 - 1 / len(groups)))
    return value, min(value, float(np.tanh(centre - half))), max(value, float(np.tanh(centre + half)))
