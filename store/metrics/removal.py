"""Deletion and insertion curves over a map: how a class's probability falls as cells go, or rises as they return.

Each logit is the mean of its map, so removing a cell from the maps of all classes gives the logits without it exactly:
no pixel is covered and no further pass through the network is needed, unlike the curves of the source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.correction import logits_after_removal
from store.metrics.maps import softmax

Float64 = NDArray[np.float64]


def deletion_curve(maps: ArrayLike, order: ArrayLike, class_index: ArrayLike) -> Float64:
    """A class's probability once the first 0, 1, ... cells of an order are removed from all maps, (n, cells + 1).

    Equation:
        P_k(j) = softmax_k(S(j)), S_c(j) = 1/cells sum of f_c over the cells not among the first j

    Args:
        maps: (n, C, y, x) of all classes.
        order: (n, cells), the cells of each image, see `store.metrics.correction.removal_order`.
        class_index: (n,), the class k of each image.

    Source:
        Petsiuk et al. 2018, Sec. 4.3, who blank pixels; here cells of the maps.
    """
    maps, order = np.asarray(maps, np.float32), np.asarray(order)
    rows, classes = np.arange(len(maps)), np.asarray(class_index)
    steps = [softmax(logits_after_removal(maps, order, k))[rows, classes] for k in range(order.shape[-1] + 1)]
    return np.stack(steps, axis=-1).astype(np.float64)


def insertion_curve(maps: ArrayLike, order: ArrayLike, class_index: ArrayLike) -> Float64:
    """A class's probability where only the first 0, 1, ... cells of an order are left in all maps, (n, cells + 1)."""
    return deletion_curve(maps, np.asarray(order)[..., ::-1], class_index)[..., ::-1]


def area(curve: ArrayLike) -> Float64:
    """Area under a curve whose points lie evenly from 0 to 1, by trapezoids, (..., points) -> (...) float64."""
    curve = np.asarray(curve, np.float64)
    return (curve[..., :-1] + curve[..., 1:]).mean(-1) / 2
