"""Confidence scores: which of them detects wrong predictions best, and do those of maps beat the softmax?

A score is a number that may separate correct predictions from wrong ones, oriented so that high = trusted. None looks
at the true class. Map scores belong to the predicted class's map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.metrics import failure_detection, learning, maps
from store.metrics.calibration import TINY, mutual_information
from store.metrics.intervals import rank_correlation
from store.metrics.means import class_sums
from store.read.run import Run

if TYPE_CHECKING:  # pages need only the scores of columns, and not the slow imports of gathering
    from store.analysis.gather import EpochRecord, FinalEpoch

Float64 = NDArray[np.float64]
ENSEMBLE_EPOCHS = 5  # last epochs whose disagreement is a score
PROBABILITY_BLOCK = 4096  # images whose probabilities of these epochs are in memory at once
RESAMPLES = 400
# Correct and wrong predictions each, for an interval. With one or two wrong ones most resamples are alike, and of equal
# scores one came out as better in 19 % and 7 % of simulated rankings.
FEWEST_OF_EACH = 5


@dataclass(frozen=True)
class Score:
    """One score. `kind` is "softmax" or one of FAMILIES; `columns` are the summary columns that `compute` needs."""

    name: str
    label: str
    kind: str
    columns: tuple[str, ...]
    compute: Callable[[Mapping[str, NDArray]], Float64]


def _column(name: str, label: str, kind: str, column: str, sign: float = 1.0) -> Score:
    return Score(name, label, kind, (column,), lambda columns: sign * np.asarray(columns[column], np.float64))


def _energy(columns: Mapping[str, NDArray]) -> Float64:
    # ln sum exp S = S_max - ln P_max
    confidence = np.maximum(np.asarray(columns["confidence"], np.float64), TINY)
    return np.asarray(columns["predicted_logit"], np.float64) - np.log(confidence)


REFERENCE = "max_softmax"
FAMILIES = ("shape", "strength", "margin")  # what of the maps a score is made from
COLUMN_SCORES: tuple[Score, ...] = (
    _column(REFERENCE, "Maximum softmax", "softmax", "confidence"),
    _column("entropy", "Low entropy of the softmax", "softmax", "entropy", -1),
    _column("margin", "Margin of the top two", "softmax", "margin"),
    _column("max_logit", "Maximum logit", "softmax", "predicted_logit"),
    Score("energy", "Energy, ln sum exp S", "softmax", ("confidence", "predicted_logit"), _energy),
    _column("sharpness", "Sharpness of the map", "shape", "sharpness"),
    _column("map_entropy", "Low entropy of the map", "shape", "map_entropy", -1),
    _column("peak_share", "Peak share of the map", "shape", "peak_share"),
    _column("peak", "Peak of the map", "strength", "peak"),
    _column("pattern_similarity", "Similarity to the class pattern", "shape", "predicted_similarity"),
    _column("overlap", "Little overlap of the top two maps", "shape", "overlap", -1),
)
# Scores that need more than columns: name -> label and kind, "record" for those of several epochs or variants.
_OTHER_SCORES = {
    "cells_to_flip": ("Cells to remove until the prediction changes", "margin"),
    "agreement": ("Agreement of the variants", "record"),
    "stability": ("Epochs with this prediction", "record"),
    "disagreement": ("Agreement of the last epochs", "record"),
    "combination": ("Fitted combination", "fitted"),
}
LABELS = {score.name: score.label for score in COLUMN_SCORES} | {k: label for k, (label, _) in _OTHER_SCORES.items()}
KINDS = {score.name: score.kind for score in COLUMN_SCORES} | {k: kind for k, (_, kind) in _OTHER_SCORES.items()}


def column_scores(run: Run, *, epoch: int, variant: str) -> dict[str, Float64]:
    """Every score that needs summary columns only, name -> (N,) float64; none of the maps where the run has none."""
    known = [score for score in COLUMN_SCORES if run.has_maps or score.kind not in FAMILIES]
    names = {column for score in known for column in score.columns}
    columns = {name: run.column(name, epoch=epoch, variant=variant) for name in sorted(names)}
    return {score.name: score.compute(columns) for score in known}


def score_values(run: Run, score: str, *, epoch: int, variant: str) -> Float64:
    """One score of `COLUMN_SCORES` by its name, (N,) float64.

    Raises:
        ValueError: no summary column gives a score of that name.
    """
    for known in COLUMN_SCORES:
        if known.name == score:
            return known.compute({name: run.column(name, epoch=epoch, variant=variant) for name in known.columns})
    names = ", ".join(known.name for known in COLUMN_SCORES)
    raise ValueError(f"The summary columns give no confidence score {score!r}: choose one of {names}.")


def all_scores(record: EpochRecord, final: FinalEpoch, *, seed: int = 0) -> dict[str, Float64]:
    """Every score of the last epoch's clean images but the combination, name -> (N,) float64, high = trusted."""
    run, epoch = record.run, record.epochs[-1]
    scores = column_scores(run, epoch=epoch, variant=record.clean)
    if run.has_maps:
        scores |= _map_scores(record, final, seed=seed)
    if len(run.variants) > 1:
        scores["agreement"] = learning.variant_agreement(record.predictions[-1])
    if len(record.epochs) > 1:
        clean = np.stack([found[0] for found in record.predictions])
        scores["stability"] = learning.final_run(clean).astype(np.float64)
        scores["disagreement"] = -_disagreement(record)
    return scores


def _map_scores(record: EpochRecord, final: FinalEpoch, *, seed: int) -> dict[str, Float64]:
    """The scores that need the maps themselves, name -> (N,) float64."""
    run, prediction = record.run, record.predictions[-1][0].astype(np.int64)
    # Patterns of the fitted half alone: a pattern made with the labels of the reported images would leak whether they
    # are predicted correctly.
    fitted = ~failure_detection.reported_half(run.labels, seed=seed)
    patterns = class_sums(final.true_class_maps[fitted], run.labels[fitted], len(run.classes))
    similarity = maps.cosine(final.predicted_class_maps, patterns[prediction])
    scores = {"pattern_similarity": similarity.astype(np.float64)}
    if final.cells_to_flip is not None:
        scores["cells_to_flip"] = final.cells_to_flip.astype(np.float64)
    return scores


def _disagreement(record: EpochRecord) -> Float64:
    """Mutual information of the last epochs, (N,), in blocks: the probabilities of all images may not fit in memory."""
    epochs, run = record.epochs[-ENSEMBLE_EPOCHS:], record.run
    found = []
    for start in range(0, len(run.labels), PROBABILITY_BLOCK):
        rows = slice(start, start + PROBABILITY_BLOCK)
        members = [run.probabilities(epoch=epoch, variant=record.clean, images=rows) for epoch in epochs]
        found.append(mutual_information(np.stack(members)))
    return np.concatenate(found)


def failure_ranking(record: EpochRecord, final: FinalEpoch, *, seed: int = 0) -> pd.DataFrame:
    """Every confidence score against the maximum softmax, best AUROC first.

    Of the last epoch's clean images, the half that nothing was fitted on (a random half of each class).

    Columns: score, label, kind ("softmax", one of FAMILIES, "record", "fitted"), images, errors, each of
    `store.metrics.failure_detection.DETECTION_METRICS` with <metric>_low and <metric>_high (95 %, 400 paired
    resamples), and gain = AUROC minus that of the maximum softmax with gain_low and gain_high, 95 % for all scores
    jointly, with the p-value gain_p of the same. Intervals are NaN with fewer than 5 correct or 5 wrong
    predictions.
    """
    scores = all_scores(record, final, seed=seed)
    correct = record.correct[0]
    fitted = failure_detection.fit_combination(np.stack(list(scores.values())), correct, record.run.labels, seed=seed)
    scores["combination"] = fitted.probability
    reported = fitted.reported if fitted.reported.any() else np.ones(len(correct), bool)
    correct = correct[reported]
    weights = failure_detection.resamples(len(correct), count=RESAMPLES, seed=seed)
    known = min(np.bincount(correct, minlength=2)) >= FEWEST_OF_EACH
    rows, samples = [], {}
    for name, values in scores.items():
        found = failure_detection.detection(values[reported], correct)
        spread = failure_detection.detection(failure_detection.coarse(values[reported]), correct, weights)
        samples[name] = spread.auroc
        row = {"score": name, "label": LABELS[name], "kind": KINDS[name], "images": len(correct)}
        row["errors"] = int((~correct).sum())
        for metric in failure_detection.DETECTION_METRICS:
            low, high = failure_detection.interval(getattr(spread, metric)) if known else (np.nan, np.nan)
            row |= {metric: float(getattr(found, metric)), f"{metric}_low": low, f"{metric}_high": high}
        rows.append(row)
    table = _with_gains(pd.DataFrame(rows), samples if known else {})
    table["gain_p"] = np.nan
    if known:
        every = np.stack([values[reported] for values in scores.values()])
        table["gain_p"] = failure_detection.gain_p(every, scores[REFERENCE][reported], correct, seed=seed)
    return table.sort_values("auroc", ascending=False, ignore_index=True)


def _with_gains(table: pd.DataFrame, samples: dict[str, Float64]) -> pd.DataFrame:
    gain = table["auroc"] - float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    if not samples:
        return table.assign(gain=gain, gain_low=np.nan, gain_high=np.nan)
    differences = np.stack([samples[name] - samples[REFERENCE] for name in table["score"]])
    low, high = failure_detection.joint_intervals(gain, differences)
    return table.assign(gain=gain, gain_low=low, gain_high=high)


def map_confidence(record: EpochRecord) -> pd.DataFrame:
    """Whether maps of a higher peak or sharpness come with a higher confidence P_k; last epoch, clean.

    A row each for the peak and the sharpness of the predicted class's map: measure, and Spearman's rank correlation
    with the confidence, overall and within the images predicted as one class, each with _low and _high (95 %).
    """
    run, rows = record.run, []
    for measure in ("peak", "sharpness") if run.has_maps else ():
        columns = run.column(measure, epoch=record.epochs[-1], variant=record.clean), record.confidences[-1]
        row: dict[str, str | float] = {"measure": measure}
        for name, groups in (("overall", None), ("within", record.predictions[-1][0])):
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), rank_correlation(*columns, groups), strict=True))
        rows.append(row)
    columns_of_table = ["measure", *(f"{name}{end}" for name in ("overall", "within") for end in ("", "_low", "_high"))]
    return pd.DataFrame(rows, columns=columns_of_table)
