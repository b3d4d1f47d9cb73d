"""P-values of what was picked as the most striking of many, exact or by relabelled images.

Everything here is one way of asking how often chance alone would have made something as striking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.means import quotient

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
RELABELLINGS = 999


def paired_p(first: int, second: int) -> float:
    """Two-sided p-value of so many images changing each way, if both ways are equally likely: McNemar's exact
    test; 1 where none changes."""
    from scipy.stats import binomtest

    changes = int(first) + int(second)
    return float(binomtest(int(first), changes, 0.5).pvalue) if changes else 1.0


def increase_p(before: int, after: int, of: int) -> float:
    """One-sided p-value of a count that rose from `before` to `after` of the same images, its rate unknown.

    Each image changes by -1, 0 or 1, both ways with the same chance q if nothing happened, and q is 1/4 at most unless
    images that have it before are the less likely to have it after. The sum is the more spread out the larger q is
    (symmetric and unimodal summands, Birnbaum 1948), so q = 1/4 bounds the p-value for every rate.

    Equation:
        p = P(Binomial(2 n, 1/2) >= n + after - before)
    """
    from scipy.stats import binom

    return float(binom.sf(of + after - before - 1, 2 * of, 0.5))


def stratified_p(member: ArrayLike, wrong: ArrayLike, strata: ArrayLike) -> float:
    """One-sided p-value of as many wrong members, if within each stratum they are a random draw from it.

    Equation:
        P(sum_s H_s >= observed), H_s hypergeometric: the exact conditional test of Mantel and Haenszel (1959)

    Args:
        member, wrong: (n,) bool. strata: (n,) whole numbers.
    """
    from scipy.stats import hypergeom

    member, wrong, strata = np.asarray(member, bool), np.asarray(wrong, bool), np.asarray(strata)
    chances = np.ones(1)
    for stratum in np.unique(strata):
        inside = strata == stratum
        drawn = int(member[inside].sum())
        possible = hypergeom.pmf(np.arange(drawn + 1), inside.sum(), wrong[inside].sum(), drawn)
        chances = np.convolve(chances, possible)
    return float(min(1.0, chances[int((member & wrong).sum()) :].sum()))


@dataclass(frozen=True)
class WidestDifference:
    """The classes that differ most clearly: value = the higher mean minus the lower, with its interval and p-value."""

    lowest: int
    highest: int
    value: float
    low: float
    high: float
    p: float


def widest_difference(
    values: ArrayLike, labels: ArrayLike, *, resamples: int = RELABELLINGS, level: float = 0.95, seed: int = 0
) -> WidestDifference:
    """The clearest difference between the means of two classes, tested as `outstanding` tests a class.

    Equation:
        R = max_ab (m_a - m_b) / sqrt(e_a^2 + e_b^2), e_c^2 = max(own, pooled variance) / n_c
        p = (1 + #{R* >= R}) / (1 + resamples), the larger one of relabelled and of sign-flipped residuals

    Args:
        values: (N,) float. labels: (N,) class indices, two classes at least.

    Raises:
        ValueError: there are fewer than two classes.
    """
    names, classes = _sorted_classes(labels)
    if len(names) < 2:
        raise ValueError(f"A difference needs two classes, got {len(names)}.")
    values = np.asarray(values, np.float64)[None, classes.order]

    def clearest(rows: Float64) -> tuple[int, int, float, float]:
        means, errors = (found[0] for found in classes.means(rows))
        scales = np.sqrt(errors[:, None] ** 2 + errors**2)
        ratio = quotient(means[:, None] - means, scales, 0)
        highest, lowest = np.unravel_index(ratio.argmax(), ratio.shape)
        return int(lowest), int(highest), float(ratio[highest, lowest]), float(scales[highest, lowest])

    lowest, highest, observed, scale = clearest(values)
    difference = float(np.subtract(*classes.means(values)[0][0, [highest, lowest]]))
    chances = classes.chances(values, lambda rows: clearest(rows)[2], resamples, seed)
    margin = max(float(np.quantile(chance, level, method="higher")) for chance in chances) * scale
    p = max(float(relabelled_p(chance, observed)) for chance in chances)
    low, high = difference - margin, difference + margin
    return WidestDifference(int(names[lowest]), int(names[highest]), difference, low, high, p)


@dataclass(frozen=True)
class Outstanding:
    """For each row of values the class whose mean is most clearly above that of the others, arrays (V,).

    value with low and high: mean of the class; others: mean of all other images.
    """

    class_index: Int64
    value: Float64
    low: Float64
    high: Float64
    others: Float64
    p: Float64


def outstanding(
    values: ArrayLike, labels: ArrayLike, *, resamples: int = RELABELLINGS, level: float = 0.95, seed: int = 0
) -> Outstanding:
    """The class that stands out in each row of values, tested against residuals without classes, for all rows jointly.

    Taking the largest again of residuals that are relabelled accounts for having picked it, whatever the distribution
    (Westfall and Young 1993); flipping their signs does so where classes spread differently. Both have to agree. A
    class is measured by the larger of its own and the pooled standard error: the smallest of many own ones is small by
    chance, and of skewed values so is the mean then.

    Equation:
        T_vc = (m_vc - m_v,others) / e_vc, e_vc^2 = max(own, pooled variance) (1 / n_c + 1 / (N - n_c))
        p_v = (1 + #{max_vc T* >= max_c T_vc}) / (1 + resamples), T* of residuals sqrt(n / (n - 1)) (x - m_c);
        interval m_vc -+ q e_vc, q the quantile of max |T*|; p and q the larger ones of both kinds of T*

    Args:
        values: (V, N) float. labels: (N,) class indices, two classes at least.
    """
    names, classes = _sorted_classes(labels)
    rows = np.asarray(values, np.float64)[:, classes.order]
    count, everyone = classes.count, rows.shape[1]

    def ratios(rows: Float64) -> tuple[Float64, Float64, Float64, Float64]:
        means, errors = classes.means(rows)
        others = (rows.sum(1, keepdims=True) - means * count) / (everyone - count)
        errors = errors * np.sqrt(everyone / (everyone - count))
        return quotient(means - others, errors, 0), means, others, errors

    ratio, means, others, errors = ratios(rows)
    best, each = ratio.argmax(1), np.arange(len(rows))
    chances = classes.chances(rows, lambda drawn: _extremes(ratios(drawn)[0]), resamples, seed)
    margin = max(float(np.quantile(chance[:, 1], level, method="higher")) for chance in chances) * errors[each, best]
    value = means[each, best]
    p = np.max([relabelled_p(chance[:, 0], ratio[each, best]) for chance in chances], axis=0)
    return Outstanding(names[best], value, value - margin, value + margin, others[each, best], p)


def _extremes(ratio: Float64) -> Float64:
    return np.array([ratio.max(), np.abs(ratio).max()])


@dataclass(frozen=True)
class _SortedClasses:
    """Images in the order of their classes: order (N,), where each class starts (C,), count (C,), index (N,)."""

    order: Int64
    starts: Int64
    count: Int64
    index: Int64

    def means(self, rows: Float64) -> tuple[Float64, Float64]:
        """Means and standard errors by the larger of own and pooled variance, each (V, C), of rows (V, N)."""
        centred = rows - rows.mean(1, keepdims=True)
        sums = np.add.reduceat(centred, self.starts, axis=1)
        squares = np.maximum(np.add.reduceat(centred**2, self.starts, axis=1) - sums**2 / self.count, 0)
        # One more observation, of the total variance: else values that are all equal within their classes have none.
        total = (centred**2).mean(1, keepdims=True)
        pooled = (squares.sum(1, keepdims=True) + total) / (rows.shape[1] - len(self.count) + 1)
        own = squares / np.maximum(self.count - 1, 1)
        return sums / self.count + rows.mean(1, keepdims=True), np.sqrt(np.maximum(own, pooled) / self.count)

    def chances(
        self, rows: Float64, statistic: Callable[[Float64], float | Float64], resamples: int, seed: int
    ) -> tuple[Float64, Float64]:
        """The statistic where no class differs, twice (resamples, ...): of relabelled and of sign-flipped residuals.

        Relabelling keeps the shape of the distribution, however skewed, and makes all classes spread alike; flipping
        signs keeps what each class spreads, and makes the distribution symmetric (wild bootstrap, Wu 1986).
        """
        means, _ = self.means(rows)
        scale = np.sqrt(self.count / np.maximum(self.count - 1, 1))
        residuals = (rows - means[:, self.index]) * scale[self.index]
        random, everyone = np.random.default_rng(seed), rows.shape[1]
        flipped = [statistic(residuals * random.choice((-1.0, 1.0), everyone)) for _ in range(resamples)]
        moved = relabelled(everyone, lambda order: statistic(residuals[:, order]), resamples=resamples, seed=seed)
        return moved, np.array(flipped)


def _sorted_classes(labels: ArrayLike) -> tuple[Int64, _SortedClasses]:
    names, index = np.unique(np.asarray(labels, np.int64), return_inverse=True)
    order = np.argsort(index, kind="stable")
    index = index[order]
    return names, _SortedClasses(order, np.searchsorted(index, np.arange(len(names))), np.bincount(index), index)


def relabelled(
    count: int, statistic: Callable[[Int64], float | Float64], *, resamples: int = RELABELLINGS, seed: int = 0
) -> Float64:
    """A statistic of random orders of `count` images, (resamples, ...)."""
    random = np.random.default_rng(seed)
    return np.array([statistic(random.permutation(count)) for _ in range(resamples)])


def relabelled_p(chance: Float64, observed: ArrayLike) -> Float64:
    """Share of the relabelled statistics that reach the observed ones, (...), which count among them."""
    observed = np.asarray(observed, np.float64)
    least = observed - 1e-9 * np.maximum(np.abs(observed), 1)
    return (1 + (chance >= least[..., None]).sum(-1)) / (1 + len(chance))
