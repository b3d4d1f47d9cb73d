"""Quotients, and sums and means of classes: what they are where there is nothing to divide by is said once, here."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


def quotient(numerator: ArrayLike, denominator: ArrayLike, otherwise: float = np.nan) -> Float64:
    """numerator / denominator, broadcast, (...) float64, and `otherwise` where the denominator is not above 0."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), otherwise, np.float64)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def class_sums(values: ArrayLike, labels: ArrayLike, classes: int) -> Float64:
    """Sum of the values (N, ...) of each class, (C, ...) float64; 0 for a class without any.

    Args:
        labels: (N,) class indices. classes: C.
    """
    values = np.asarray(values)
    sums = np.zeros((classes, *values.shape[1:]))
    np.add.at(sums, np.asarray(labels), values)
    return sums


def class_means(values: ArrayLike, labels: ArrayLike, classes: int | None = None) -> Float64:
    """Mean of the values (..., N) of each class, (..., C) float64; NaN for a class without any.

    Args:
        labels: (N,) class indices. classes: C; default: the largest label + 1.
    """
    values, labels = np.asarray(values, np.float64), np.asarray(labels, np.int64)
    count = np.bincount(labels, minlength=classes or 0)
    sums = np.stack([np.bincount(labels, row, len(count)) for row in values.reshape(-1, len(labels))])
    return quotient(sums, count).reshape(*values.shape[:-1], len(count))
