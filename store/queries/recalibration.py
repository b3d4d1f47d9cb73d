"""What half of the images teaches about the confidences of the other half: a temperature, and prediction sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.metrics import calibration, recalibration
from store.metrics.failure_detection import reported_half
from store.metrics.intervals import wilson
from store.read.run import Run

MISSES = (0.1, 0.05)  # the shares of missed true classes that prediction sets are made for
BLOCK = 4096  # images whose logits of all classes are in memory at once
MOST_FITTED = 4096  # images for the temperature: its error is then below one per cent


def recalibration_table(run: Run, *, epoch: int, variant: str = "clean", seed: int = 0) -> pd.DataFrame:
    """Calibration with the network's own confidences and with a fitted temperature: a row each; no row without images.

    Columns: temperature, ece, nll, mean_confidence, images; of the half of each class on which nothing was fitted
    (`store.metrics.failure_detection.reported_half`). The temperature is fitted on the other half,
    evenly thinned out to MOST_FITTED images at most.

    >>> queries.recalibration_table(run, epoch=3).columns.tolist()
    ['temperature', 'ece', 'nll', 'mean_confidence', 'images']
    """
    reported = reported_half(run.labels, seed=seed)
    fitted = np.flatnonzero(~reported)
    fitted = fitted[:: -(-len(fitted) // MOST_FITTED) or 1]  # evenly: images are sorted by class
    columns = ["temperature", "ece", "nll", "mean_confidence", "images"]
    if not reported.any() or not len(fitted):
        return pd.DataFrame(columns=columns)
    logits = run.logits(epoch=epoch, variant=variant, images=fitted)
    best = recalibration.fit_temperature(logits, run.labels[fitted])
    rows = []
    for temperature in (1.0, best):
        confidence, own, correct = _confidences(
            run, np.flatnonzero(reported), temperature, epoch=epoch, variant=variant
        )
        bins = calibration.reliability(confidence, correct)
        found = (temperature, calibration.ece(bins), calibration.nll(own), float(confidence.mean()), len(own))
        rows.append(dict(zip(columns, found, strict=True)))
    return pd.DataFrame(rows)


def _confidences(
    run: Run, images: NDArray, temperature: float, *, epoch: int, variant: str
) -> tuple[NDArray, NDArray, NDArray]:
    """Confidence, probability of the true class and correctness of images, each (n,), at a temperature."""
    found: list[tuple[NDArray, NDArray, NDArray]] = []
    for rows in _blocks(images):
        logits = run.logits(epoch=epoch, variant=variant, images=rows)
        probabilities = recalibration.at_temperature(logits, temperature)
        true = run.labels[rows]
        own = np.take_along_axis(probabilities, true[:, None], axis=1)[:, 0]
        found.append((probabilities.max(1), own, probabilities.argmax(1) == true))
    confidence, own, correct = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.minimum(confidence, 1), own, correct


def prediction_sets(run: Run, *, epoch: int, seed: int = 0) -> pd.DataFrame:
    """How often sets of classes contain the true one: a row per promised miss and variant; none without images.

    The thresholds are fitted on one half of the clean images and hold for clean images alone: under the other variants
    the table shows what a perturbation takes from the promise.

    Columns: miss, threshold (probability from which a class is in the set), variant, coverage with low and high
    (Wilson, 95 %), mean_size, single_share and empty_share (sets of one class, of none), images.

    >>> queries.prediction_sets(run, epoch=3).query("variant == 'clean'")["images"].tolist()
    [10, 10]
    """
    reported = reported_half(run.labels, seed=seed)
    images, fitted = np.flatnonzero(reported), np.flatnonzero(~reported)
    if not len(images) or not len(fitted):
        return pd.DataFrame(columns=["miss", "variant", "coverage"])
    own = run.column("label_probability", epoch=epoch, variant=run.variants[0])[fitted]
    thresholds = {miss: recalibration.set_threshold(own, miss=miss) for miss in MISSES}
    rows = []
    for variant in run.variants:
        own = run.column("label_probability", epoch=epoch, variant=variant)[images]
        sizes = _set_sizes(run, images, list(thresholds.values()), epoch=epoch, variant=variant)
        for (miss, threshold), size in zip(thresholds.items(), sizes, strict=True):
            covered = int((own >= threshold).sum())
            low, high = wilson(covered, len(images))
            row = {"miss": miss, "threshold": threshold, "variant": variant, "coverage": covered / len(images)}
            row |= {"low": float(low), "high": float(high), "mean_size": float(size.mean())}
            rows.append(row | {"single_share": float((size == 1).mean()), "empty_share": float((size == 0).mean())})
    return pd.DataFrame(rows).assign(images=len(images)).sort_values("miss", ascending=False, kind="stable")


def _set_sizes(run: Run, images: NDArray, thresholds: list[float], *, epoch: int, variant: str) -> NDArray[np.int64]:
    """How many classes reach each threshold, (thresholds, n)."""
    parts = []
    for rows in _blocks(images):
        probabilities = run.probabilities(epoch=epoch, variant=variant, images=rows)
        parts.append(np.stack([(probabilities >= threshold).sum(1) for threshold in thresholds]))
    return np.concatenate(parts, axis=1)


def _blocks(images: NDArray) -> Iterator[NDArray]:
    return (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
