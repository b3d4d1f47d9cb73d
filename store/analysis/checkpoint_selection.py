"""Checkpoint selection: the best epoch by each criterion, how certain that is, and what ensembles would have gained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.gather import EpochRecord
from store.metrics import calibration, failure_detection
from store.metrics.intervals import mean_interval, wilson
from store.queries.accuracy import clean_and_robust

Float64 = NDArray[np.float64]
CRITERIA: tuple[tuple[str, str, str], ...] = (  # name, metric, whether its highest or lowest value is best
    ("Accuracy", "top1", "max"),
    ("Likelihood", "nll", "min"),
    ("Calibration", "ece", "min"),
    ("Failure detection", "auroc", "max"),
    ("Selective classification", "augrc", "min"),
    ("Robust accuracy", "robust_top1", "max"),
    ("Map consistency", "robust_consistency", "max"),
)
LAST_EPOCHS = (2, 3, 5, 10)
RESAMPLES = 200
BINS = 15


def best_epochs(record: EpochRecord) -> pd.DataFrame:
    """A row per criterion: criterion, metric, direction ("max" or "min"), epoch, value, last_value, low, high and
    selection_share.

    Metrics are of the clean images; robust_top1 and robust_consistency are means over the other variants. low and high
    (Wilson, top1 only, else NaN) show how far accuracy separates epochs; selection_share is the share of resampled sets
    of images on which that epoch is the best, too (NaN for the robust metrics). A criterion without values is left out.
    The untrained network is no candidate, though nothing may be better calibrated.
    """
    metrics, images = pd.concat(record.metrics[record.first_trained :]), len(record.run.labels)
    samples, series, rows = resampled_metrics(record), clean_and_robust(metrics), []
    for criterion, metric, direction in CRITERIA:
        values = series[metric].dropna()
        if values.empty:
            continue
        epoch = values.idxmax() if direction == "max" else values.idxmin()
        low, high = wilson(values[epoch] * images, images) if metric == "top1" else (np.nan, np.nan)
        row = {"criterion": criterion, "metric": metric, "direction": direction, "epoch": int(epoch)}
        row |= {"value": values[epoch], "last_value": values.iloc[-1], "low": float(low), "high": float(high)}
        rows.append(row | {"selection_share": selection_share(samples, metric, direction, series.index.get_loc(epoch))})
    return pd.DataFrame(rows)


def resampled_metrics(record: EpochRecord) -> dict[str, Float64]:
    """top1, nll, ece, auroc and augrc of the clean images at each trained epoch, name -> (resamples, E) float64.

    All epochs share the resamples, so that their differences are paired.
    """
    labels = record.run.labels
    weights = failure_detection.resamples(len(labels), count=RESAMPLES)
    columns: dict[str, list[Float64]] = {name: [] for name in ("top1", "nll", "ece", "auroc", "augrc")}
    recorded = (record.predictions, record.confidences, record.label_probabilities)
    for predictions, confidence, label_probability in zip(
        *(each[record.first_trained :] for each in recorded), strict=True
    ):
        correct = predictions[0] == labels
        found = failure_detection.detection(failure_detection.coarse(confidence), correct, weights)
        columns["top1"].append(weights @ correct.astype(np.float64) / len(labels))
        columns["nll"].append(weights @ calibration.surprisal(label_probability) / len(labels))
        columns["ece"].append(_resampled_ece(weights, confidence, correct))
        columns["auroc"].append(found.auroc)
        columns["augrc"].append(found.augrc)
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def _resampled_ece(weights: NDArray, confidence: NDArray, correct: NDArray) -> Float64:
    """ECE under each weighting: a bin's share times its gap is |sum of correct - confidence| over all images."""
    bin_of = np.clip(np.ceil(np.asarray(confidence, np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.zeros((len(correct), BINS))
    gaps[np.arange(len(correct)), bin_of] = correct - confidence.astype(np.float64)
    return np.abs(weights @ gaps).sum(1) / len(correct)


def selection_share(samples: Mapping[str, Float64], metric: str, direction: str, position: int) -> float:
    """Share of the resamples in which the epoch at `position` is the best, ties shared; NaN for unknown metrics."""
    if metric not in samples:
        return float("nan")
    values = samples[metric] if direction == "max" else -samples[metric]
    values = np.where(np.isnan(values), -np.inf, values)
    best = values == values.max(1, keepdims=True)
    return float((best[:, position] / best.sum(1)).mean())


def ensembles(record: EpochRecord) -> pd.DataFrame:
    """A row per ensemble: name, label, members (count), top1, nll, ece, brier and the columns of `gains`.

    Members are equally weighted probabilities; the gain is over the last epoch's clean predictions, image by image. The
    first row is that epoch alone, with gain 0.
    """
    run, epochs = record.run, record.epochs
    single = mean_probabilities(record, [(epochs[-1], record.clean)])
    before = single.argmax(1) == run.labels
    rows = []
    for name, label, members in memberships(record):
        mean = single if len(members) == 1 else mean_probabilities(record, members)
        found = calibration.probability_metrics(mean, run.labels)
        row = {"name": name, "label": label, "members": len(members), **found}
        rows.append(row | gains(mean.argmax(1) == run.labels, before))
    return pd.DataFrame(rows)


def gains(after: NDArray[np.bool_], before: NDArray[np.bool_]) -> dict[str, float]:
    """The accuracy gained by predictions over earlier ones, from which of them are correct, each (N,) bool.

    gain (accuracy) with gain_low and gain_high (95 %), newly_correct and newly_wrong (images).
    """
    gain, low, high = mean_interval(after.astype(float) - before)
    counts = {"newly_correct": int((after & ~before).sum()), "newly_wrong": int((before & ~after).sum())}
    return {"gain": gain, "gain_low": low, "gain_high": high, **counts}


def memberships(record: EpochRecord) -> list[tuple[str, str, list[tuple[int, str]]]]:
    """Name, label and members (epoch, variant) of every ensemble that the run allows, the last epoch alone first."""
    epochs = record.epochs[record.first_trained :]  # nobody averages in the untrained network
    variants, clean = record.run.variants, record.clean
    found = [("last", f"Epoch {epochs[-1]}", [(epochs[-1], clean)])]
    for count in LAST_EPOCHS:
        if count <= len(epochs):
            found.append((f"epochs_{count}", f"Last {count} epochs", [(epoch, clean) for epoch in epochs[-count:]]))
    if len(variants) > 1:
        found.append(("variants", f"All {len(variants)} variants", [(epochs[-1], variant) for variant in variants]))
        if len(epochs) > 1:
            both = [(epoch, variant) for epoch in epochs[-3:] for variant in variants]
            found.append(("both", f"Last {len(epochs[-3:])} epochs, all variants", both))
    return found


def mean_probabilities(record: EpochRecord, members: Iterable[tuple[int, str]]) -> Float64:
    """The members' probabilities, equally weighted, (N, C)."""
    members = list(members)
    total = np.zeros((len(record.run.labels), len(record.run.classes)))
    for epoch, variant in members:
        total += record.run.probabilities(epoch=epoch, variant=variant)
    return total / len(members)
