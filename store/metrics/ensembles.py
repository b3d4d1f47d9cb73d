"""What an ensemble over recorded epochs or variants would have gained, from the recorded probabilities alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics import calibration


@dataclass(frozen=True)
class EnsembleMetrics:
    """Figures of one set of probabilities: shares 0..1, nll in nats."""

    top1: float
    nll: float
    ece: float
    brier: float


def ensemble_metrics(probabilities: ArrayLike, true_class: ArrayLike, *, bins: int = 15) -> EnsembleMetrics:
    """Accuracy, NLL, ECE (equal width) and Brier score of probabilities (N, C), of an ensemble or of one member."""
    probabilities, true_class = np.asarray(probabilities), np.asarray(true_class, np.int64)
    right = probabilities.argmax(1) == true_class
    return EnsembleMetrics(
        top1=float(right.mean()),
        nll=calibration.nll(np.take_along_axis(probabilities, true_class[:, None], axis=1)[:, 0]),
        ece=calibration.ece(calibration.reliability(np.minimum(probabilities.max(1), 1), right, bins=bins)),
        brier=calibration.brier(probabilities, true_class),
    )


def mutual_information(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Disagreement of an ensemble's members, (M, N, C) -> (N,) float64, nats, 0 = all members say the same.

    Equation:
        H(mean_m P_m) - mean_m H(P_m)   (BALD, Houlsby et al. 2011)
    """
    probabilities = np.asarray(probabilities, np.float64)
    return np.maximum(_entropy(probabilities.mean(0)) - _entropy(probabilities).mean(0), 0)


def _entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithms = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return -(probabilities * logarithms).sum(-1)
