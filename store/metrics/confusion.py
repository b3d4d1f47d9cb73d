"""Confusion of pairs of classes: over the epochs, between groups, and where on the map it happens.

Confusion matrices contain counts (..., C, C): rows are true classes, columns predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.learning import NEVER
from store.metrics.maps import cosine, overlap
from store.metrics.means import quotient

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
PRESENT = 3  # mistakes of a pair at an epoch, from which it counts as confused there
OPTIMAL_UP_TO = 400  # optimal leaf ordering takes time cubic in the number of classes


@dataclass(frozen=True)
class PairEvents:
    """When each pair of classes was confused, arrays (...) matching the pairs; positions as in `learning`.

    onset: first position with PRESENT mistakes or more, NEVER if there is none.
    peak: position of the most mistakes (the first one), peak_count how many these are.
    resolved: position after the last with PRESENT mistakes or more, NEVER while there still are, or if there never
        were.
    slope: mistakes per epoch, least squares over the last `window` positions.
    """

    onset: Int64
    peak: Int64
    peak_count: Int64
    resolved: Int64
    slope: Float64


def pair_events(counts: ArrayLike, *, window: int = 20) -> PairEvents:
    """Onset, peak, resolution and slope of each pair, from its mistakes at each epoch (E, ...) int."""
    counts = np.asarray(counts, np.int64)
    confused = counts >= PRESENT
    ever = confused.any(0)
    last = len(counts) - 1 - confused[::-1].argmax(0)
    return PairEvents(
        onset=np.where(ever, confused.argmax(0), NEVER),
        peak=counts.argmax(0),
        peak_count=counts.max(0),
        resolved=np.where(ever & (last < len(counts) - 1), last + 1, NEVER),
        slope=_slope(counts[-window:].astype(np.float64)),
    )


def _slope(values: Float64) -> Float64:
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    return np.tensordot(steps, values, axes=1) / (float(steps @ steps) or 1.0)  # a single epoch has no slope: 0


def group_confusion(confusion: ArrayLike, groups: ArrayLike, count: int | None = None) -> NDArray:
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
    """Share of each true class's images predicted as each class, (..., C, C) float64; rows without images are zero."""
    counts = np.asarray(confusion, np.float64)
    return quotient(counts, counts.sum(-1, keepdims=True), 0)


def pattern_similarity(patterns: ArrayLike) -> NDArray[np.float32]:
    """Cosine between the patterns of all pairs of classes, (..., C, y, x) -> (..., C, C) float32; 0 for silent ones."""
    patterns = np.asarray(patterns)
    return cosine(patterns[..., :, None, :, :], patterns[..., None, :, :, :])


def similarity_order(patterns: NDArray) -> NDArray[np.int64]:
    """Class indices (C,) in an order that puts classes with similar patterns (C, y, x) side by side.

    Average linkage over 1 - cosine, leaves so that neighbours are nearest (Bar-Joseph et al. 2001).
    """
    # Imported here, because most pages order classes otherwise and need not wait for it.
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(patterns) < 3:
        return np.arange(len(patterns))
    distances = 1 - pattern_similarity(patterns).astype(np.float64)
    np.fill_diagonal(distances, 0)
    condensed = squareform(np.maximum((distances + distances.T) / 2, 0), checks=False)
    tree = linkage(condensed, "average")
    if len(patterns) <= OPTIMAL_UP_TO:
        tree = optimal_leaf_ordering(tree, condensed)
    return leaves_list(tree).astype(np.int64)


def pair_overlap(
    true_class_maps: ArrayLike,
    predicted_class_maps: ArrayLike,
    true_class: ArrayLike,
    prediction: ArrayLike,
    classes: int,
) -> Float64:
    """Mean overlap of the true class's and the prediction's map over the mistakes of each pair, (C, C) float64.

    High: look-alikes, both classes claim the same cells. Low: other evidence, perhaps another object in the image.
    NaN for pairs without a mistake, the diagonal among them.

    Args:
        true_class_maps, predicted_class_maps: (N, y, x).
        true_class, prediction: (N,) class indices.
    """
    true_class, prediction = np.asarray(true_class, np.int64), np.asarray(prediction, np.int64)
    wrong = np.flatnonzero(true_class != prediction)
    shared = overlap(np.asarray(true_class_maps)[wrong], np.asarray(predicted_class_maps)[wrong])
    pair = true_class[wrong] * classes + prediction[wrong]
    means = quotient(np.bincount(pair, shared, classes**2), np.bincount(pair, minlength=classes**2))
    return means.reshape(classes, classes)
