"""Mistakes that training did not correct: entrenched ones, and images whose label may be the mistake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Persistence:
    """How deep each image's final mistake sits, arrays (N,), all 0 where the final prediction is right.

    run: recorded epochs at the end with the same wrong prediction. confidence: its mean over the run.
    agreement: share of the variants that give it, too, at the last epoch. score: run x confidence x agreement.
    """

    run: Int64
    confidence: Float64
    agreement: Float64
    score: Float64


def final_run(values: ArrayLike) -> Int64:
    """Length of the last unbroken run of the same value, (E, ...) -> (...) int64, 1..E."""
    values = np.asarray(values)
    return np.logical_and.accumulate(values[::-1] == values[-1], axis=0).sum(0)


def variant_agreement(predictions: ArrayLike) -> Float64:
    """Share of the variants with the clean prediction, (V, N), clean first -> (N,) float64; 1 if clean is alone."""
    predictions = np.asarray(predictions)
    if len(predictions) == 1:
        return np.ones(predictions.shape[1])
    return (predictions[1:] == predictions[0]).mean(0)


def persistence(predictions: ArrayLike, confidences: ArrayLike, labels: ArrayLike, agreement: ArrayLike) -> Persistence:
    """Entrenchment of every image's final mistake.

    Args:
        predictions: (E, N) class indices. confidences: (E, N) of these predictions.
        labels: (N,) class indices. agreement: (N,) from `variant_agreement` at the last epoch.
    """
    predictions, confidences = np.asarray(predictions), np.asarray(confidences, np.float64)
    wrong = predictions[-1] != np.asarray(labels)
    run = final_run(predictions)
    in_run = np.arange(len(predictions))[:, None] >= len(predictions) - run
    confidence = (confidences * in_run).sum(0) / run
    agreement = np.asarray(agreement, np.float64)
    columns = (run, confidence, agreement, run * confidence * agreement)
    return Persistence(*(np.where(wrong, column, np.zeros_like(column)) for column in columns))


def label_issue_candidates(
    self_confidence: ArrayLike, run: ArrayLike, *, share: float = 0.02, min_error_run: int = 2
) -> NDArray[np.bool_]:
    """Images whose label deserves a look, (N,) bool: the true class never got far, and one wrong prediction stays.

    Candidates have a self-confidence among the lowest `share` of all images and the same wrong prediction for the
    last `min_error_run` epochs or more. They are candidates only: a hard image looks the same.

    Args:
        self_confidence: (N,) probability of the true class, averaged over the epochs (Northcutt et al. 2021, per image).
        run: (N,) from `persistence`, 0 where the final prediction is right.
    """
    self_confidence = np.asarray(self_confidence, np.float64)
    limit = np.quantile(self_confidence, share, method="inverted_cdf")
    return (self_confidence <= limit) & (np.asarray(run) >= min_error_run)


def at_most_per_pair(order: ArrayLike, true_class: ArrayLike, prediction: ArrayLike, *, most: int) -> Int64:
    """The rows of `order` in their order, but at most `most` of each (true class, prediction) pair: a varied list.

    Args:
        order: (n,) rows, best first. true class, prediction: (N,) class indices.
    """
    order = np.asarray(order, np.int64)
    pairs = np.stack([np.asarray(true_class)[order], np.asarray(prediction)[order]], axis=1)
    _, pair = np.unique(pairs, axis=0, return_inverse=True)
    pair = pair.reshape(-1)
    by_pair = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.diff(pair[by_pair], prepend=-1))
    rank = np.empty(len(order), np.int64)
    rank[by_pair] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return order[rank < most]
