"""Learning events over the recorded epochs: when a map took its form, when a prediction settled, what was forgotten.

The first axis is always the epoch; results are positions on it (0 = first recorded epoch), and NEVER where the event
did not happen. Translate positions to epoch numbers with `run.epochs`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Int64 = NDArray[np.int64]
NEVER = -1
FORMED = 0.9  # cosine to its final form from which a map counts as formed


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


def learned(right: ArrayLike) -> Int64:
    """Position from which the prediction stays right, (E, ...) bool -> (...) int64; NEVER where it is wrong at the end."""
    return lasting_from(right)


def first_correct(right: ArrayLike) -> Int64:
    """Position of the first correct prediction, (E, ...) bool -> (...) int64; NEVER where there is none."""
    right = np.asarray(right, bool)
    return np.where(right.any(0), right.argmax(0), NEVER).astype(np.int64)


def forgetting_count(right: ArrayLike) -> Int64:
    """How often a correct prediction became wrong at the next epoch, (E, ...) bool -> (...) int64 (Toneva et al. 2019)."""
    right = np.asarray(right, bool)
    return (right[:-1] & ~right[1:]).sum(0)


def flip_count(predictions: ArrayLike) -> Int64:
    """How often the prediction changed from one epoch to the next, (E, ...) -> (...) int64."""
    return (np.diff(np.asarray(predictions, np.int64), axis=0) != 0).sum(0)


def map_lead(stabilised: ArrayLike, formed: ArrayLike) -> Int64:
    """Epochs by which the map was ahead of the prediction, settling - formation, (...) int64; 0 where either is NEVER.

    Positive: the map had its final form before the prediction settled.
    """
    stabilised, formed = np.asarray(stabilised, np.int64), np.asarray(formed, np.int64)
    return np.where((stabilised == NEVER) | (formed == NEVER), 0, stabilised - formed)


HISTORIES = ("always correct", "learned", "learned late", "flip-flopping", "forgotten", "never correct")


def history(right: ArrayLike, *, late: float = 0.75, restless: int = 3) -> NDArray[np.int8]:
    """Which of HISTORIES each image went through, (E, ...) bool -> (...) int8.

    never correct; forgotten = right once, wrong at the end; flip-flopping = right at the end after being forgotten
    `restless` times or more; learned late = right for good only within the last 1 - `late` of the epochs; always correct.
    """
    right = np.asarray(right, bool)
    last = learned(right)
    result = np.full(right.shape[1:], HISTORIES.index("learned"), np.int8)
    result[last >= late * len(right)] = HISTORIES.index("learned late")
    result[right.all(0)] = HISTORIES.index("always correct")
    result[forgetting_count(right) >= restless] = HISTORIES.index("flip-flopping")
    result[right.any(0) & ~right[-1]] = HISTORIES.index("forgotten")
    result[~right.any(0)] = HISTORIES.index("never correct")
    return result
