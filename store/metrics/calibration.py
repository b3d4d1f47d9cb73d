"""Calibration: do images answered with confidence 0.8 turn out right in 80 % of the cases?

All functions take one row per image; `confidence` is the probability of the predicted class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Reliability:
    """Bins of a reliability diagram, each array (bins,); mean confidence and accuracy of an empty bin are NaN.

    A bin holds lower < confidence <= upper; the first one holds its lower edge, too.
    """

    lower: Float64
    upper: Float64
    count: NDArray[np.int64]
    confidence: Float64
    accuracy: Float64

    @property
    def gap(self) -> Float64:
        """|accuracy - confidence| of each bin, 0 for empty ones."""
        return np.where(self.count > 0, np.abs(np.nan_to_num(self.accuracy - self.confidence)), 0.0)


def reliability(
    confidence: ArrayLike, right: ArrayLike, *, bins: int = 15, edges: Literal["width", "mass"] = "width"
) -> Reliability:
    """Reliability bins of equal width over 0..1, or of equal mass (quantiles; equal confidences stay together).

    Source:
        DeGroot and Fienberg 1983; equal width: Guo et al. 2017; equal mass: Nguyen and O'Connor 2015.
    """
    confidence, right = _columns(confidence, right)
    if bins < 1:
        raise ValueError(f"A reliability diagram needs at least one bin, got bins={bins}.")
    if edges == "width":
        upper, lowest = np.linspace(0, 1, bins + 1)[1:], 0.0
    else:
        upper = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:], method="inverted_cdf"))
        lowest = confidence.min()
    place = np.minimum(np.searchsorted(upper, confidence, side="left"), len(upper) - 1)
    count = np.bincount(place, minlength=len(upper))
    means = [
        np.divide(np.bincount(place, values, len(count)), count, out=np.full(len(count), np.nan), where=count > 0)
        for values in (confidence, right)
    ]
    return Reliability(np.concatenate([[lowest], upper[:-1]]), upper, count, *means)


def ece(bins: Reliability) -> float:
    """Expected calibration error, 0..1.

    Equation:
        ECE = sum_b n_b / n |accuracy_b - confidence_b|   (Naeini et al. 2015; Guo et al. 2017, Eq. 3)
    """
    return float(bins.gap @ bins.count / bins.count.sum())


def mce(bins: Reliability) -> float:
    """Maximum calibration error over the bins that hold an image, 0..1 (Guo et al. 2017, Eq. 5)."""
    return float(bins.gap.max())


def surprisal(label_probability: ArrayLike) -> Float64:
    """-ln P_truth of each image, nats, (...) float64 (paper, Eq. 9, per image).

    A probability that float32 rounded to zero counts as the smallest normal float32, about e^-87.
    """
    return -np.log(np.maximum(np.asarray(label_probability, np.float64), _TINY))


def nll(label_probability: ArrayLike) -> float:
    """Mean negative log-likelihood, nats: the mean of `surprisal`."""
    return float(surprisal(label_probability).mean())


def brier(probabilities: ArrayLike, true_class: ArrayLike) -> float:
    """Multi-class Brier score, 0 (certain and right) .. 2 (certain and wrong).

    Equation:
        mean over images of sum_k (P_k - T_k)^2   (Brier 1950)
    """
    probabilities = np.asarray(probabilities, np.float64)
    own = np.take_along_axis(probabilities, np.asarray(true_class, np.int64)[:, None], axis=1)[:, 0]
    return float((np.einsum("nc,nc->n", probabilities, probabilities) - 2 * own + 1).mean())


def _columns(confidence: ArrayLike, right: ArrayLike) -> tuple[Float64, Float64]:
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if confidence.ndim != 1 or confidence.shape != right.shape or not len(confidence):
        raise ValueError(
            f"confidence and right must be two columns of the same length, at least 1, "
            f"got shapes {confidence.shape} and {right.shape}."
        )
    return confidence, right
