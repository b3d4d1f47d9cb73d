"""Failure anatomy: which cells of two maps made a mistake, exactly.

A score is the mean of its map, so the margin of a mistake is the mean of D = M_predicted - M_truth. Zeroing a cell in
both maps takes its D out of that mean; the cells with the largest D are therefore the cheapest way to undo the mistake,
no forward pass needed. Tie rule, here and everywhere: a mistake is undone once the truth at least ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def difference(predicted_map: ArrayLike, truth_map: ArrayLike) -> Float64:
    """D = M_predicted - M_truth, (..., y, x) float64, in logits; its mean is the margin of the scores."""
    return np.asarray(predicted_map, np.float64) - np.asarray(truth_map, np.float64)


def cells_to_fix(predicted_map: ArrayLike, truth_map: ArrayLike) -> Int64:
    """Fewest cells whose removal from both maps lets the truth at least tie, (...) int64; 0 where it already does.

    A mistake by an exact tie has k* = 0 as well; no k* exceeds the number of cells, since two empty maps tie.

    Equation:
        k* = min {k : sum(D) - (sum of the k largest cells of D) <= 0}
    """
    return _least_removal(difference(predicted_map, truth_map))


def _least_removal(d: Float64) -> Int64:
    # What is left after removing the k largest is the sum of the n - k smallest: summed upwards from the smallest,
    # "nothing left" is exactly zero, so rounding can never make a mistake unfixable.
    cells = np.sort(d.reshape(*d.shape[:-2], -1), axis=-1)
    left = np.cumsum(cells, axis=-1)[..., ::-1]
    undone = left <= 0
    return np.where(undone.any(-1), undone.argmax(-1), cells.shape[-1]).astype(np.int64)


def k_interval(d: ArrayLike, error: ArrayLike) -> tuple[Int64, Int64]:
    """Smallest and largest k* of any D within `error` of the given one, two (...) int64; both ends are attained.

    k* never falls when a cell of D grows, so the ends are k* of D - error and of D + error. 0 at the lower end
    means that the margin itself is smaller than the codec's error.

    Args:
        d: (..., y, x), see `difference`.
        error: (...) or a scalar, largest error of one cell of D: the sum of the stated bounds of the two maps.
    """
    d = np.asarray(d, np.float64)
    error = np.asarray(error, np.float64)
    if (error < 0).any():
        raise ValueError(
            f"A decoding error cannot be negative, got {error.min()}. Pass the sum of the maps' stated bounds."
        )
    error = error[..., None, None]
    return _least_removal(d - error), _least_removal(d + error)


def removal_order(d: ArrayLike) -> Int64:
    """Cells from the largest D to the smallest, (..., cells) int64, y * width + x; ties keep their reading order."""
    d = np.asarray(d)
    return np.argsort(-d.reshape(*d.shape[:-2], -1), axis=-1, kind="stable")


def scores_after_removal(maps: ArrayLike, order: ArrayLike, k: ArrayLike) -> NDArray[np.float32]:
    """Scores of all classes once the first k cells of `order` are zero in every map, (..., C) float32.

    The mean still runs over all cells, as the network's pooling would.

    Args:
        maps: (..., C, y, x).
        order: (..., cells) from `removal_order`.
        k: (...) or a scalar, number of cells removed, 0..cells.
    """
    maps, order = np.asarray(maps, np.float32), np.asarray(order)
    kept = np.empty(order.shape, np.float32)
    np.put_along_axis(kept, order, (np.arange(order.shape[-1]) >= np.asarray(k)[..., None]).astype(np.float32), axis=-1)
    cells = maps.reshape(*maps.shape[:-2], -1)
    return np.matmul(cells, kept[..., None])[..., 0] / np.float32(order.shape[-1])


def fix_winner(maps: ArrayLike, predicted: ArrayLike, truth: ArrayLike) -> tuple[Int64, Int64]:
    """k* of each picture and the class that wins once those cells are removed from every map, two (n,) int64.

    The truth wins unless a third class scores strictly higher. Where the prediction is right, k* is 0 and it wins.

    Args:
        maps: (n, C, y, x).
        predicted: (n,) class indices.
        truth: (n,) class indices.
    """
    maps, predicted, truth = np.asarray(maps), np.asarray(predicted, np.int64), np.asarray(truth, np.int64)
    rows = np.arange(len(maps))
    d = difference(maps[rows, predicted], maps[rows, truth])
    fewest = _least_removal(d)
    after = scores_after_removal(maps, removal_order(d), fewest)
    wrong = predicted != truth
    after[rows[wrong], predicted[wrong]] = -np.inf  # it lost or tied: never the winner
    best = after.argmax(-1)
    return fewest, np.where(wrong & (after[rows, best] > after[rows, truth]), best, truth)
