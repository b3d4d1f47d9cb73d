"""Scores that may tell a correct prediction from a wrong one, each oriented so that high means trust.

None of them looks at the true class. Map scores belong to the predicted class's map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.read.run import Run

Float64 = NDArray[np.float64]
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Score:
    """One score. `kind` is "softmax" or "map"; `columns` are the summary columns that `compute` needs."""

    name: str
    label: str
    kind: str
    columns: tuple[str, ...]
    compute: Callable[[Mapping[str, NDArray]], Float64]


def _column(name: str, label: str, kind: str, column: str, sign: float = 1.0) -> Score:
    return Score(name, label, kind, (column,), lambda columns: sign * np.asarray(columns[column], np.float64))


def _energy(columns: Mapping[str, NDArray]) -> Float64:
    # ln sum exp S = S_max - ln P_max
    confidence = np.maximum(np.asarray(columns["confidence"], np.float64), _TINY)
    return np.asarray(columns["predicted_logit"], np.float64) - np.log(confidence)


REFERENCE = "max_softmax"
COLUMN_SCORES: tuple[Score, ...] = (
    _column(REFERENCE, "Maximum softmax", "softmax", "confidence"),
    _column("entropy", "Low entropy of the softmax", "softmax", "entropy", -1),
    _column("margin", "Margin of the top two", "softmax", "margin"),
    _column("max_logit", "Maximum score", "softmax", "predicted_logit"),
    Score("energy", "Energy, ln sum exp S", "softmax", ("confidence", "predicted_logit"), _energy),
    _column("sharpness", "Sharpness of the map", "map", "sharpness"),
    _column("map_entropy", "Low entropy of the map", "map", "map_entropy", -1),
    _column("peak_share", "Peak share of the map", "map", "peak_share"),
    _column("peak", "Peak of the map", "map", "peak"),
    _column("pattern_similarity", "Similarity to the class pattern", "map", "predicted_similarity"),
    _column("overlap", "Little overlap of the top two maps", "map", "overlap", -1),
)
LABELS: dict[str, str] = {
    **{score.name: score.label for score in COLUMN_SCORES},
    "cells_to_flip": "Cells to flip the prediction",
    "agreement": "Agreement of the variants",
    "stability": "Epochs with this prediction",
    "disagreement": "Agreement of the last epochs",
    "combination": "Fitted combination",
}
KINDS: dict[str, str] = {
    **{score.name: score.kind for score in COLUMN_SCORES},
    "cells_to_flip": "map",
    "agreement": "record",
    "stability": "record",
    "disagreement": "record",
    "combination": "fitted",
}


def column_scores(run: Run, *, epoch: int, variant: str) -> dict[str, Float64]:
    """Every score that summary columns alone give, name -> (N,) float64."""
    names = {column for score in COLUMN_SCORES for column in score.columns}
    columns = {name: run.column(name, epoch=epoch, variant=variant) for name in sorted(names)}
    return {score.name: score.compute(columns) for score in COLUMN_SCORES}


def score_values(run: Run, score: str, *, epoch: int, variant: str) -> Float64:
    """One score of `COLUMN_SCORES` by its name, (N,) float64.

    Raises:
        ValueError: no summary column gives a score of that name.
    """
    for known in COLUMN_SCORES:
        if known.name == score:
            return known.compute({name: run.column(name, epoch=epoch, variant=variant) for name in known.columns})
    names = ", ".join(known.name for known in COLUMN_SCORES)
    raise ValueError(f"Score {score!r} does not come from the summary columns: there are {names}.")
