"""Figures of every epoch on resampled images: how surely is the best epoch the best?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from store.analysis.gather import EpochRecord
from store.metrics import calibration, failure_detection

Float64 = NDArray[np.float64]
RESAMPLES = 200
BINS = 15


def resampled_metrics(record: EpochRecord, *, seed: int = 0) -> dict[str, Float64]:
    """top1, nll, ece, auroc and augrc of the clean images at each epoch, name -> (resamples, E) float64.

    All epochs share the resamples, so that their differences are paired.
    """
    labels = record.run.labels
    weights = failure_detection.resamples(len(labels), count=RESAMPLES, seed=seed)
    columns: dict[str, list[Float64]] = {name: [] for name in ("top1", "nll", "ece", "auroc", "augrc")}
    for predictions, confidence, true_class in zip(
        record.predictions, record.confidences, record.label_probabilities, strict=True
    ):
        right = predictions[0] == labels
        found = failure_detection.detection(failure_detection.coarse(confidence), right, weights)
        columns["top1"].append(weights @ right.astype(np.float64) / len(labels))
        columns["nll"].append(weights @ calibration.surprisal(true_class) / len(labels))
        columns["ece"].append(_calibration_error(weights, confidence, right))
        columns["auroc"].append(found.auroc)
        columns["augrc"].append(found.augrc)
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def _calibration_error(weights: NDArray, confidence: NDArray, right: NDArray) -> Float64:
    """ECE under each weighting: a bin's share times its gap is |sum of right - confidence| over all images."""
    bin_of = np.clip(np.ceil(np.asarray(confidence, np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), bin_of] = right - confidence.astype(np.float64)
    return np.abs(weights @ gaps).sum(1) / len(right)


def sureness(samples: Mapping[str, Float64], figure: str, better: str, position: int) -> float:
    """Share of the resamples in which the epoch at `position` is the best, ties shared; NaN for unknown figures."""
    if figure not in samples:
        return float("nan")
    values = samples[figure] if better == "max" else -samples[figure]
    values = np.where(np.isnan(values), -np.inf, values)
    best = values == values.max(1, keepdims=True)
    return float((best[:, position] / best.sum(1)).mean())
