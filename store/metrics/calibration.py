"""Calibration: of the images predicted with confidence 0.8, are 80 % correct? And figures of whole probability tables.

All functions take one row per image; `confidence` is the probability of the predicted class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.means import quotient

Float64 = NDArray[np.float64]
TINY = float(np.finfo(np.float32).tiny)  # stands in for a probability that float32 rounded to zero, about e^-87


@dataclass(frozen=True)
class Reliability:
    """Bins of a reliability diagram, each array (bins,); mean confidence and accuracy of an empty bin are NaN.

    A bin contains lower < confidence <= upper, the first one its lower edge, too.
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
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 15, edges: Literal["width", "mass"] = "width"
) -> Reliability:
    """Reliability bins of equal width over 0..1, or of equal mass (quantiles; equal confidences stay together).

    Source:
        DeGroot and Fienberg 1983; equal width: Guo et al. 2017; equal mass: Nguyen and O'Connor 2015.
    """
    confidence, correct = _columns(confidence, correct)
    if bins < 1:
        raise ValueError(f"A reliability diagram needs at least one bin, got bins={bins}.")
    if edges == "width":
        upper, lowest = np.linspace(0, 1, bins + 1)[1:], 0.0
    else:
        upper = np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:], method="inverted_cdf"))
        lowest = confidence.min()
    bin_of = np.minimum(np.searchsorted(upper, confidence, side="left"), len(upper) - 1)
    count = np.bincount(bin_of, minlength=len(upper))
    means = [quotient(np.bincount(bin_of, values, len(count)), count) for values in (confidence, correct)]
    return Reliability(np.concatenate([[lowest], upper[:-1]]), upper, count, *means)


def ece(bins: Reliability) -> float:
    """Expected calibration error, 0..1.

    Equation:
        ECE = sum_b n_b / n |accuracy_b - confidence_b|   (Naeini et al. 2015; Guo et al. 2017, Eq. 3)
    """
    return float(bins.gap @ bins.count / bins.count.sum())


def mce(bins: Reliability) -> float:
    """Maximum calibration error over the bins that contain an image, 0..1 (Guo et al. 2017, Eq. 5)."""
    return float(bins.gap.max())


def surprisal(label_probability: ArrayLike) -> Float64:
    """-ln of the true class's probability, per image, nats, (...) float64 (paper, Eq. 9)."""
    return -np.log(np.maximum(np.asarray(label_probability, np.float64), TINY))


def nll(label_probability: ArrayLike) -> float:
    """Mean negative log-likelihood, nats: the mean of `surprisal`."""
    return float(surprisal(label_probability).mean())


def brier(probabilities: ArrayLike, true_class: ArrayLike) -> float:
    """Multi-class Brier score, 0 (certain and correct) .. 2 (certain and wrong).

    Equation:
        mean over images of sum_k (P_k - T_k)^2   (Brier 1950)
    """
    probabilities = np.asarray(probabilities, np.float64)
    own = np.take_along_axis(probabilities, np.asarray(true_class, np.int64)[:, None], axis=1)[:, 0]
    return float((np.einsum("nc,nc->n", probabilities, probabilities) - 2 * own + 1).mean())


def probability_metrics(probabilities: ArrayLike, true_class: ArrayLike) -> dict[str, float]:
    """top1, nll (nats), ece (15 bins of equal width) and brier of probabilities (N, C), true classes (N,)."""
    probabilities, true_class = np.asarray(probabilities), np.asarray(true_class, np.int64)
    correct = probabilities.argmax(1) == true_class
    return {
        "top1": float(correct.mean()),
        "nll": nll(np.take_along_axis(probabilities, true_class[:, None], axis=1)[:, 0]),
        "ece": ece(reliability(np.minimum(probabilities.max(1), 1), correct)),
        "brier": brier(probabilities, true_class),
    }


def mutual_information(probabilities: ArrayLike) -> Float64:
    """Disagreement of an ensemble's members, (M, N, C) -> (N,) float64, nats, 0 = all members give the same.

    Equation:
        H(mean_m P_m) - mean_m H(P_m)   (BALD, Houlsby et al. 2011)
    """
    probabilities = np.asarray(probabilities, np.float64)
    return np.maximum(_entropy(probabilities.mean(0)) - _entropy(probabilities).mean(0), 0)


def _entropy(probabilities: Float64) -> Float64:
    logarithms = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logarithms).sum(-1)


def _columns(confidence: ArrayLike, correct: ArrayLike) -> tuple[Float64, Float64]:
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not len(confidence):
        raise ValueError(
            f"confidence and correct must be two columns of the same length, at least 1, "
            f"got shapes {confidence.shape} and {correct.shape}."
        )
    return confidence, correct
