"""Modes: the few shapes that the maps of one class take, and which of them fails.

Maps are compared as distributions over their cells (Hellinger distance), so that a strong and a weak map of one shape
are alike; a silent map counts as a flat one. Clusters come from Ward's method, which has no random start: the same maps
always give the same modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from store.metrics.intervals import ratio_interval, wilson

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
WORTH_SPLITTING = 0.25  # silhouettes below it: "no substantial structure" (Kaufman and Rousseeuw 1990, table 4)


@dataclass(frozen=True)
class Clusters:
    """Modes of a class, largest first.

    member: (n,) int64, mode of each map. medoid: (K,) int64, row of the map nearest to all others of its mode.
    count: (K,) int64. silhouette: mean silhouette of the split, 0 for a single mode.
    """

    member: Int64
    medoid: Int64
    count: Int64
    silhouette: float


@dataclass(frozen=True)
class ErrorLift:
    """How much likelier a mode is to be answered wrongly than its class, arrays (K,); 1 = as its class.

    low, high: its interval; 1 and 1 for a mode that is the whole class. All but `error` are NaN in a class without
    errors, where nothing can be likelier than anything.
    """

    error: Float64
    lift: Float64
    low: Float64
    high: Float64


def find_clusters(maps: ArrayLike, *, most: int = 5, smallest: int = 3) -> Clusters:
    """Modes of the maps of one class, (n, y, x); as many as give the best silhouette, one if no split is worth it.

    Splits with a mode of fewer than `smallest` maps are not considered.

    Source:
        Ward 1963; silhouette: Rousseeuw 1987; medoid: Kaufman and Rousseeuw 1990.
    """
    maps = np.asarray(maps)
    shapes = _shapes(maps)
    distances = squareform(pdist(shapes))
    best, member = WORTH_SPLITTING, np.zeros(len(maps), np.int64)
    if len(maps) >= 2 * smallest and distances.any():
        tree = linkage(shapes, "ward")
        for k in range(2, min(most, len(maps) // smallest) + 1):
            split = fcluster(tree, k, "maxclust") - 1
            if split.max() != k - 1 or np.bincount(split).min() < smallest:
                continue
            quality = silhouette(distances, split)
            if quality > best:
                best, member = quality, split.astype(np.int64)
    return _largest_first(member, distances, best if member.any() else 0.0)


def silhouette(distances: ArrayLike, member: ArrayLike) -> float:
    """Mean silhouette of a split into K >= 2 clusters, -1..1, from the (n, n) distances (Rousseeuw 1987)."""
    distances, member = np.asarray(distances, np.float64), np.asarray(member, np.int64)
    indicator = np.eye(member.max() + 1)[member]
    sums, count = distances @ indicator, indicator.sum(0)
    rows = np.arange(len(member))
    own = sums[rows, member] / np.maximum(count[member] - 1, 1)
    other = sums / count
    other[rows, member] = np.inf
    nearest = other.min(1)
    larger = np.maximum(own, nearest)
    values = np.divide(nearest - own, larger, out=np.zeros_like(own), where=larger > 0)
    return float(np.where(count[member] > 1, values, 0.0).mean())


def assign(maps: ArrayLike, medoids: ArrayLike) -> Int64:
    """Nearest mode of each map, (n, y, x) against medoid maps (K, y, x) -> (n,) int64, for other epochs or variants."""
    shapes, centres = _shapes(np.asarray(maps)), _shapes(np.asarray(medoids))
    return (shapes @ centres.T).argmax(1)


def error_lift(member: ArrayLike, wrong: ArrayLike, *, level: float = 0.95) -> ErrorLift:
    """Error rate of each mode over that of its class, with its interval.

    The class's rate is no known number, since the mode's own images are part of it: taken as one, a clear lift in a
    class of ten was held by four intervals of five. So the interval is that of the mode's rate over the others' rate.

    Equation:
        lift_m = P(wrong | mode m) / P(wrong | class) = r / (w r + 1 - w), which rises with
        r = P(wrong | mode m) / P(wrong | class but m), w the mode's share of the class (see `ratio_interval`)
    """
    member, wrong = np.asarray(member, np.int64), np.asarray(wrong, np.float64)
    count, failures = np.bincount(member), np.bincount(member, wrong)
    rate = float(wrong.mean())
    error = failures / np.maximum(count, 1)
    if rate == 0:
        unknown = np.full(len(count), np.nan)
        return ErrorLift(error, unknown, unknown, unknown)
    others = len(member) - count
    share = count / len(member)
    low, high = (
        np.where(
            others > 0, 1 / (share + np.divide(1 - share, ratio, out=np.full(len(count), np.inf), where=ratio > 0)), 1
        )
        for ratio in ratio_interval(failures, count, failures.sum() - failures, others, level=level)
    )
    return ErrorLift(error, error / rate, low, high)


@dataclass(frozen=True)
class Survival:
    """What is left of each mode under a perturbation, arrays (K,): images, share that stayed, its Wilson interval."""

    count: Int64
    share: Float64
    low: Float64
    high: Float64


def survival(before: ArrayLike, after: ArrayLike, *, clusters: int, level: float = 0.95) -> Survival:
    """Share of each mode's images whose perturbed map is still nearest to that mode.

    Equation:
        P(mode after = m | mode before = m)

    Args:
        before, after: (n,) modes of the same images by `assign` to the same medoids, clean and perturbed.
        modes: K.
    """
    before, after = np.asarray(before, np.int64), np.asarray(after, np.int64)
    count = np.bincount(before, minlength=clusters)
    stayed = np.bincount(before, before == after, clusters)
    low, high = wilson(stayed, count, level=level)
    return Survival(count, np.divide(stayed, count, out=np.full(len(count), np.nan), where=count > 0), low, high)


def _shapes(maps: NDArray) -> Float64:
    cells = np.maximum(maps.reshape(len(maps), -1).astype(np.float64), 0)
    totals = cells.sum(1, keepdims=True)
    flat = np.full_like(cells, 1 / cells.shape[1])
    return np.sqrt(np.divide(cells, totals, out=flat, where=totals > 0))


def _largest_first(member: Int64, distances: Float64, quality: float) -> Clusters:
    order = np.argsort(-np.bincount(member), kind="stable")
    member = np.argsort(order)[member]
    medoids = []
    for mode in range(len(order)):
        rows = np.flatnonzero(member == mode)
        medoids.append(rows[distances[np.ix_(rows, rows)].sum(1).argmin()])
    return Clusters(member, np.array(medoids, np.int64), np.bincount(member), quality)
