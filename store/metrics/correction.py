"""Minimal correction: the fewest cells of the maps whose removal corrects a wrong prediction, exactly.

A logit is the mean of its map, so the margin of a mistake is the mean of D = M_predicted - M_true. Zeroing a cell in
both maps takes its D out of that mean, so removing the cells with the largest D corrects the mistake with the fewest
cells; no forward pass is needed. Ties, here and everywhere: a mistake is corrected once the true class at least ties.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


def difference(predicted_class_map: ArrayLike, true_class_map: ArrayLike) -> Float64:
    """D = M_predicted - M_true, (..., y, x) float64, in logits; its mean is the margin of the two logits."""
    return np.asarray(predicted_class_map, np.float64) - np.asarray(true_class_map, np.float64)


def correction_cells(predicted_class_map: ArrayLike, true_class_map: ArrayLike) -> Int64:
    """Fewest cells whose removal from both maps lets the true class at least tie, (...) int64; 0 where it already does.

    A mistake by an exact tie has k* = 0 as well; no k* exceeds the number of cells, since two empty maps tie.

    Equation:
        k* = min {k : sum(D) - (sum of the k largest cells of D) <= 0}
    """
    return _least_removal(difference(predicted_class_map, true_class_map))


def _least_removal(d: Float64) -> Int64:
    # What is left after removing the k largest is the sum of the n - k smallest: summed upwards from the smallest,
    # "nothing left" is exactly zero, so rounding can never leave a mistake uncorrectable.
    cells = np.sort(d.reshape(*d.shape[:-2], -1), axis=-1)
    left = np.cumsum(cells, axis=-1)[..., ::-1]
    corrections = left <= 0
    return np.where(corrections.any(-1), corrections.argmax(-1), cells.shape[-1]).astype(np.int64)


def k_interval(d: ArrayLike, error: ArrayLike) -> tuple[Int64, Int64]:
    """Smallest and largest k* of any D within `error` of the given one, two (...) int64; both ends are attained.

    k* never falls when a cell of D grows, so the ends are k* of D - error and of D + error. 0 at the lower end
    means that the margin itself is smaller than the error of the quantised maps.

    Args:
        d: (..., y, x), see `difference`.
        error: (...) or a scalar, largest error of one cell of D: the sum of the error bounds of the two maps.
    """
    d = np.asarray(d, np.float64)
    error = np.asarray(error, np.float64)
    if (error < 0).any():
        raise ValueError(
            f"The error of a map cannot be negative, got {error.min()}. Pass the sum of the two maps' error bounds."
        )
    error = error[..., None, None]
    return _least_removal(d - error), _least_removal(d + error)


def random_correction_share(d: ArrayLike, k: int, *, draws: int = 20) -> Float64:
    """Share of random sets of k cells whose removal corrects each mistake, (...) float64: what chance would do.

    Args:
        d: (..., y, x), see `difference`. draws: random sets, the same for all mistakes.
    """
    cells = np.asarray(d, np.float64)
    cells = cells.reshape(*cells.shape[:-2], -1)
    random, total = np.random.default_rng(0), cells.sum(-1)
    sets = (random.permutation(cells.shape[-1])[:k] for _ in range(draws))
    return np.mean([total - cells[..., chosen].sum(-1) <= 0 for chosen in sets], axis=0)


def removal_order(d: ArrayLike) -> Int64:
    """Cells from the largest D to the smallest, (..., cells) int64, y * width + x; ties keep their reading order."""
    d = np.asarray(d)
    return np.argsort(-d.reshape(*d.shape[:-2], -1), axis=-1, kind="stable")


def logits_after_removal(maps: ArrayLike, order: ArrayLike, k: ArrayLike) -> NDArray[np.float32]:
    """Logits of all classes once the first k cells of `order` are zero in every map, (..., C) float32.

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


def corrected_prediction(maps: ArrayLike, predicted_class: ArrayLike, true_class: ArrayLike) -> tuple[Int64, Int64]:
    """k* of each image and the class that wins once those cells are removed from every map, two (n,) int64.

    The true class wins unless a third class has a higher logit. Of a correct prediction k* is 0.

    Args:
        maps: (n, C, y, x).
        predicted_class, true_class: (n,) class indices.
    """
    maps = np.asarray(maps)
    predicted_class, true_class = np.asarray(predicted_class, np.int64), np.asarray(true_class, np.int64)
    rows = np.arange(len(maps))
    d = difference(maps[rows, predicted_class], maps[rows, true_class])
    fewest = _least_removal(d)
    after = logits_after_removal(maps, removal_order(d), fewest)
    wrong = predicted_class != true_class
    after[rows[wrong], predicted_class[wrong]] = -np.inf  # the old prediction lost or tied: it is never the winner
    best = after.argmax(-1)
    return fewest, np.where(wrong & (after[rows, best] > after[rows, true_class]), best, true_class)
