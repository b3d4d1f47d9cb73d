"""Confusion of class pairs: over the epochs, between groups, and where on the map it happens.

Confusion matrices hold counts (..., C, C), rows the truth, columns the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.measures import maps as measure
from store.measures.learning import NEVER

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
OPTIMAL_UP_TO = 400  # optimal leaf ordering takes the third power of the number of classes


@dataclass(frozen=True)
class PairEvents:
    """Life of each pair of classes over the epochs, arrays (...) matching the pairs; positions as in `learning`.

    birth: first position with `present` mistakes or more, NEVER if there is none.
    peak: position of the most mistakes (the first one), peak_count how many these are.
    death: position after the last with `present` mistakes or more, NEVER while alive and if never born.
    slope: mistakes per epoch, least squares over the last `window` positions.
    """

    birth: Int64
    peak: Int64
    peak_count: Int64
    death: Int64
    slope: Float64


def pair_events(counts: ArrayLike, *, present: int = 3, window: int = 20) -> PairEvents:
    """Birth, peak, death and slope of each pair, from its mistakes at each epoch (E, ...) int."""
    counts = np.asarray(counts, np.int64)
    alive = counts >= present
    born = alive.any(0)
    last = len(counts) - 1 - alive[::-1].argmax(0)
    return PairEvents(
        birth=np.where(born, alive.argmax(0), NEVER),
        peak=counts.argmax(0),
        peak_count=counts.max(0),
        death=np.where(born & (last < len(counts) - 1), last + 1, NEVER),
        slope=_slope(counts[-window:].astype(np.float64)),
    )


def _slope(values: Float64) -> Float64:
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    return np.tensordot(steps, values, axes=1) / (float(steps @ steps) or 1.0)  # a single epoch has no slope: 0


def symmetric_share(confusion: ArrayLike) -> Float64:
    """How mutual the confusion of each pair is, (..., C, C) float64: 0 = one way only, 1 = as often in both directions.

    Equation:
        2 min(n_ij, n_ji) / (n_ij + n_ji), 0 where neither happens
    """
    counts = np.asarray(confusion, np.float64)
    both = counts + counts.swapaxes(-1, -2)
    least = np.minimum(counts, counts.swapaxes(-1, -2))
    return np.divide(2 * least, both, out=np.zeros_like(both), where=both > 0)


def collapse(confusion: ArrayLike, groups: ArrayLike, count: int | None = None) -> NDArray:
    """Confusion between groups of classes, (..., C, C) -> (..., G, G), the dtype kept.

    Args:
        groups: (C,) group index of each class, 0..G-1.
        count: G; default: the largest index + 1.
    """
    confusion, groups = np.asarray(confusion), np.asarray(groups, np.int64)
    members = np.zeros((len(groups), int(groups.max()) + 1 if count is None else count), confusion.dtype)
    members[np.arange(len(groups)), groups] = 1
    return members.T @ confusion @ members


def row_shares(confusion: ArrayLike) -> Float64:
    """Share of each truth's pictures that got each prediction, (..., C, C) float64; rows without pictures are zero."""
    counts = np.asarray(confusion, np.float64)
    totals = counts.sum(-1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)


def pattern_likeness(patterns: ArrayLike) -> NDArray[np.float32]:
    """Cosine between the patterns of all pairs of classes, (..., C, y, x) -> (..., C, C) float32; 0 for silent ones."""
    patterns = np.asarray(patterns)
    return measure.cosine(patterns[..., :, None, :, :], patterns[..., None, :, :, :])


def likeness_order(patterns: NDArray) -> NDArray[np.int64]:
    """Class indices (C,) such that classes with alike patterns (C, y, x) stand together.

    Average linkage over 1 - cosine, leaves so that neighbours are nearest (Bar-Joseph et al. 2001).
    """
    # Imported here, because most pages order classes otherwise and need not wait for it.
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(patterns) < 3:
        return np.arange(len(patterns))
    distances = 1 - pattern_likeness(patterns).astype(np.float64)
    np.fill_diagonal(distances, 0)
    condensed = squareform(np.maximum((distances + distances.T) / 2, 0), checks=False)
    tree = linkage(condensed, "average")
    if len(patterns) <= OPTIMAL_UP_TO:
        tree = optimal_leaf_ordering(tree, condensed)
    return leaves_list(tree).astype(np.int64)


def pair_overlap(
    own_maps: ArrayLike, predicted_maps: ArrayLike, truth: ArrayLike, prediction: ArrayLike, classes: int
) -> Float64:
    """Mean overlap of the truth's and the prediction's map over the mistakes of each pair, (C, C) float64.

    High: look-alikes, both classes claim the same cells. Low: other evidence, perhaps another thing in the picture.
    NaN for pairs without a mistake, the diagonal among them.

    Args:
        own_maps, predicted_maps: (N, y, x).
        truth, prediction: (N,) class indices.
    """
    truth, prediction = np.asarray(truth, np.int64), np.asarray(prediction, np.int64)
    wrong = np.flatnonzero(truth != prediction)
    shared = measure.overlap(np.asarray(own_maps)[wrong], np.asarray(predicted_maps)[wrong])
    pair = truth[wrong] * classes + prediction[wrong]
    counts = np.bincount(pair, minlength=classes**2)
    sums = np.bincount(pair, shared, classes**2)
    means = np.divide(sums, counts, out=np.full(classes**2, np.nan), where=counts > 0)
    return means.reshape(classes, classes)
