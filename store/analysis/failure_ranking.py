"""The failure detection failure-detection ranking: does the pattern betray a wrong prediction better than the softmax?

All figures are of the last epoch's clean images, the half that nothing was fitted on (a random half of each class).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.confidence_scores import KINDS, LABELS, REFERENCE, column_scores
from store.analysis.gather import EpochRecord, FinalEpoch
from store.metrics import correction, failure_detection, fitted_score, maps, persistence
from store.metrics.ensembles import mutual_information

Float64 = NDArray[np.float64]
RESAMPLES = 400
MEMBERS = 5  # last epochs whose disagreement is a score
TOGETHER = 4096  # images whose probabilities of a few epochs are in memory at once
BLOCK = 256  # images whose maps of all classes are in memory at once
FEWEST = (
    5  # correct and wrong predictions each, for an interval: with one or two, resamples mostly repeat the same images
)


@dataclass(frozen=True)
class FailureRanking:
    """table: a row per score, see `failure-detection ranking`. reported: (N,) bool, the images that the figures are of.
    weights: a row per score of the combination: score, weight (log-odds per standard deviation).
    """

    table: pd.DataFrame
    reported: NDArray[np.bool_]
    weights: pd.DataFrame


def failure_ranking(record: EpochRecord, final: FinalEpoch, *, seed: int = 0) -> FailureRanking:
    """Every score against the maximum softmax, best AUROC first.

    Columns: score, label, kind ("softmax", "map", "record", "fitted"), images, errors, for each figure of
    `store.metrics.failure_detection.VARIANT_METRICS` the figure with <figure>_low and <figure>_high (95 %, 400 paired resamples), and
    gain = AUROC minus that of the maximum softmax with gain_low and gain_high, 95 % for all scores jointly. Intervals
    are NaN with fewer than 5 right or 5 wrong predictions.
    """
    scores = all_scores(record, final, seed=seed)
    labels = record.run.labels
    right = record.predictions[-1][0] == labels
    fitted = fitted_score.fit_combination(np.stack(list(scores.values())), right, labels, seed=seed)
    weights = pd.DataFrame({"score": list(scores), "weight": fitted.weights})
    scores["combination"] = fitted.probability
    reported = fitted.reported if fitted.reported.any() else np.ones(len(labels), bool)
    draws = failure_detection.resamples(int(reported.sum()), count=RESAMPLES, seed=seed)
    known = min(np.bincount(right[reported], minlength=2)) >= FEWEST
    rows, samples = [], {}
    for name, values in scores.items():
        found = failure_detection.detection(values[reported], right[reported])
        spread = failure_detection.detection(failure_detection.coarse(values[reported]), right[reported], draws)
        samples[name] = spread.auroc
        row = {"score": name, "label": LABELS[name], "kind": KINDS[name], "images": int(reported.sum())}
        row["errors"] = int((~right[reported]).sum())
        for figure in failure_detection.VARIANT_METRICS:
            low, high = failure_detection.interval(getattr(spread, figure)) if known else (np.nan, np.nan)
            row |= {figure: float(getattr(found, figure)), f"{figure}_low": low, f"{figure}_high": high}
        rows.append(row)
    table = _with_gains(pd.DataFrame(rows), samples if known else {})
    return FailureRanking(table.sort_values("auroc", ascending=False, ignore_index=True), reported, weights)


def _with_gains(table: pd.DataFrame, samples: dict[str, Float64]) -> pd.DataFrame:
    gain = table["auroc"] - float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    if not samples:
        return table.assign(gain=gain, gain_low=np.nan, gain_high=np.nan)
    differences = np.stack([samples[name] - samples[REFERENCE] for name in table["score"]])
    low, high = failure_detection.joint_intervals(gain, differences)
    return table.assign(gain=gain, gain_low=low, gain_high=high)


def all_scores(record: EpochRecord, final: FinalEpoch, *, seed: int = 0) -> dict[str, Float64]:
    """Every score of the last epoch's clean images but the combination, name -> (N,) float64, high = trust.

    The similarity to the class pattern is taken against patterns of the fitted half alone, because a pattern made with
    the reported images' labels would know a little of their predictions.
    """
    run, epoch = record.run, record.epochs[-1]
    scores = column_scores(run, epoch=epoch, variant=record.clean)
    prediction = record.predictions[-1][0].astype(np.int64)
    fitted = ~fitted_score.halves(run.labels, seed=seed)
    scores["pattern_similarity"] = _similarity(final, run.labels, prediction, fitted, len(run.classes))
    if run.kept_maps != 1:  # the runner-up's map was kept, too
        scores["cells_to_flip"] = cells_to_flip(record).astype(np.float64)
    if len(run.variants) > 1:
        scores["agreement"] = persistence.variant_agreement(record.predictions[-1])
    if len(record.epochs) > 1:
        clean = np.stack([found[0] for found in record.predictions])
        scores["stability"] = persistence.final_run(clean).astype(np.float64)
        scores["disagreement"] = -_disagreement(record)
    return scores


def _disagreement(record: EpochRecord) -> Float64:
    """Mutual information of the last epochs, a few thousand images at a time: all of them may not fit in memory."""
    epochs, run = record.epochs[-MEMBERS:], record.run
    found = []
    for start in range(0, len(run.labels), TOGETHER):
        rows = slice(start, start + TOGETHER)
        members = [run.probabilities(epoch=epoch, variant=record.clean, images=rows) for epoch in epochs]
        found.append(mutual_information(np.stack(members)))
    return np.concatenate(found)


def _similarity(final: FinalEpoch, labels: NDArray, prediction: NDArray, fitted: NDArray, classes: int) -> Float64:
    sums = np.zeros((classes, *final.true_class_maps.shape[1:]))
    np.add.at(sums, labels[fitted], final.true_class_maps[fitted])
    return maps.cosine(final.predicted_class_maps, sums[prediction]).astype(np.float64)


def cells_to_flip(record: EpochRecord) -> NDArray[np.int64]:
    """Fewest cells whose removal lets the runner-up tie, (N,) int64, last epoch, clean: k* without the true class."""
    run, epoch, clean = record.run, record.epochs[-1], record.clean
    prediction, runner_up = (run.column(name, epoch=epoch, variant=clean) for name in ("prediction", "runner_up"))
    cells = np.zeros(len(prediction), np.int64)
    for start in range(0, len(prediction), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(prediction)))
        classes, place = np.unique(np.stack([prediction[rows], runner_up[rows]]), return_inverse=True)
        found = run.maps(epoch=epoch, variant=clean, images=rows, classes=classes)
        first, second = place.reshape(2, -1)
        each = np.arange(len(rows))
        cells[rows] = correction.correction_cells(found[each, first], found[each, second])
    return cells
