"""Events over the recorded epochs: when maps form, when predictions stabilise, what is forgotten and which errors
persist.

The first axis is always the epoch; events are positions on it (0 = first recorded epoch), and NEVER where the event did
not happen. Translate positions to epoch numbers with `run.epochs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
NEVER = -1
FORMED = 0.9  # cosine to its final form from which a map counts as formed, where a class has no two images
_STRICTEST = 0.999  # maps are quantised: no limit tells more equal ones apart


def form_limit(within_class: float) -> float:
    """Cosine to its final form from which a map counts as formed: that of the maps of two images of its class.

    With a fixed limit the limit decided the answer: of one run's maps 99.7 to 10.5 % came before the prediction as it
    went from 0.8 to 0.999.

    Args:
        within_class: mean cosine of the maps of two images of one class; NaN where no class has two.
    """
    return FORMED if np.isnan(within_class) else float(np.clip(within_class, 0, _STRICTEST))


def lasting_from(holds: ArrayLike) -> Int64:
    """First position from which a condition holds to the end, (E, ...) bool -> (...) int64; NEVER if not at the end."""
    holds = np.asarray(holds, bool)
    tail = np.logical_and.accumulate(holds[::-1], axis=0).sum(0)
    return np.where(tail > 0, len(holds) - tail, NEVER).astype(np.int64)


def formation(similarity: ArrayLike, *, threshold: float = FORMED) -> Int64:
    """Position from which a map stays in its final form, (E, ...) -> (...) int64.

    Equation:
        t_map = min {t : cos(M_s, M_E) >= threshold for all s >= t}

    Args:
        similarity: cosine between the map at each epoch and the map at the last one. A map that is silent at the
            end has similarity 0 with everything and NEVER forms.
    """
    return lasting_from(np.asarray(similarity) >= threshold)


def stabilisation(predictions: ArrayLike) -> Int64:
    """Position from which the prediction never changes again, (E, ...) -> (...) int64, E - 1 at the latest."""
    predictions = np.asarray(predictions)
    return lasting_from(predictions == predictions[-1])


def learned(correct: ArrayLike) -> Int64:
    """Position from which the prediction stays correct, (E, ...) bool -> (...) int64; NEVER if it ends wrong."""
    return lasting_from(correct)


def first_correct(correct: ArrayLike) -> Int64:
    """Position of the first correct prediction, (E, ...) bool -> (...) int64; NEVER where there is none."""
    correct = np.asarray(correct, bool)
    return np.where(correct.any(0), correct.argmax(0), NEVER).astype(np.int64)


def forgetting_count(correct: ArrayLike) -> Int64:
    """How often a correct prediction turned wrong at the next epoch, (E, ...) bool -> (...) int64.

    Source:
        Toneva et al. 2019, forgetting events.
    """
    correct = np.asarray(correct, bool)
    return (correct[:-1] & ~correct[1:]).sum(0)


def flip_count(predictions: ArrayLike) -> Int64:
    """How often the prediction changed from one epoch to the next, (E, ...) -> (...) int64."""
    return (np.diff(np.asarray(predictions, np.int64), axis=0) != 0).sum(0)


def churn(predictions: ArrayLike, other: ArrayLike) -> Float64:
    """Share of the images that two epochs or two trainings predict differently, (..., N) each -> (...) float64.

    Source:
        Milani Fard et al. 2016.
    """
    return (np.asarray(predictions) != np.asarray(other)).mean(-1)


def map_lead(stabilised: ArrayLike, formed: ArrayLike) -> Int64:
    """Epochs by which the map was ahead of the prediction, stabilised - formed, (...) int64; 0 where either is NEVER.

    Positive: the map had its final form before the prediction stabilised.
    """
    stabilised, formed = np.asarray(stabilised, np.int64), np.asarray(formed, np.int64)
    return np.where((stabilised == NEVER) | (formed == NEVER), 0, stabilised - formed)


HISTORIES = ("always correct", "learned", "learned late", "flip-flopping", "forgotten", "never correct")


def history(correct: ArrayLike, *, late: float = 0.75, restless: int = 3) -> NDArray[np.int8]:
    """The history of each image, an index into HISTORIES, (E, ...) bool -> (...) int8.

    never correct; forgotten = correct once, wrong at the end; flip-flopping = correct at the end after being forgotten
    `restless` times or more; learned late = correct to the end only within the last 1 - `late` of the epochs; always
    correct; learned = all others.
    """
    correct = np.asarray(correct, bool)
    last = learned(correct)
    result = np.full(correct.shape[1:], HISTORIES.index("learned"), np.int8)
    result[last >= late * len(correct)] = HISTORIES.index("learned late")
    result[correct.all(0)] = HISTORIES.index("always correct")
    result[forgetting_count(correct) >= restless] = HISTORIES.index("flip-flopping")
    result[correct.any(0) & ~correct[-1]] = HISTORIES.index("forgotten")
    result[~correct.any(0)] = HISTORIES.index("never correct")
    return result


@dataclass(frozen=True)
class Persistence:
    """How persistent each image's final error is, arrays (N,), all 0 where the final prediction is correct.

    run: recorded epochs at the end with the same wrong prediction. confidence: its mean over the run.
    agreement: share of the variants with the same prediction at the last epoch. score: run x confidence x agreement.
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
    """How persistent every image's final error is.

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


def label_issue_candidates(self_confidence: ArrayLike, run: ArrayLike, *, min_run: int = 2) -> NDArray[np.bool_]:
    """Images whose label may be wrong, (N,) bool: a low probability of the true class, and a persistent error.

    Candidates have a self-confidence among the lowest 2 % of all images and the same wrong prediction for the
    last `min_run` epochs or more. They are candidates only: a hard image looks the same.

    Args:
        self_confidence: (N,) probability of the true class, mean over the epochs (Northcutt et al. 2021).
        run: (N,) from `persistence`, 0 where the final prediction is correct.
    """
    self_confidence = np.asarray(self_confidence, np.float64)
    limit = np.quantile(self_confidence, 0.02, method="inverted_cdf")
    return (self_confidence <= limit) & (np.asarray(run) >= min_run)


def at_most_per_pair(order: ArrayLike, true_class: ArrayLike, prediction: ArrayLike, *, most: int) -> Int64:
    """The rows of `order` in their order, but at most `most` of each (true class, prediction) pair, for variety.

    Args:
        order: (n,) rows, best first. true_class, prediction: (N,) class indices.
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
