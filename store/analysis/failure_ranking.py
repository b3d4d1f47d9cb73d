"""Failure-detection ranking: which confidence score detects wrong predictions best, and do maps beat the softmax?

All figures are of the last epoch's clean images, the half that nothing was fitted on (a random half of each class).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.confidence_scores import KINDS, LABELS, REFERENCE, all_scores
from store.analysis.gather import EpochRecord, FinalEpoch
from store.metrics import failure_detection

Float64 = NDArray[np.float64]
RESAMPLES = 400
# Correct and wrong predictions each, for an interval: with one or two, resamples mostly repeat the same images, and of
# equal scores one came out better in 19 % and 7 % of simulations.
FEWEST_OF_EACH = 5


def failure_ranking(record: EpochRecord, final: FinalEpoch, *, seed: int = 0) -> pd.DataFrame:
    """Every confidence score against the maximum softmax, best AUROC first.

    Columns: score, label, kind ("softmax", "map", "record", "fitted"), images, errors, each of
    `store.metrics.failure_detection.DETECTION_METRICS` with <metric>_low and <metric>_high (95 %, 400 paired
    resamples), and gain = AUROC minus that of the maximum softmax with gain_low and gain_high, 95 % for all scores
    jointly. Intervals are NaN with fewer than 5 correct or 5 wrong predictions.
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
    return table.sort_values("auroc", ascending=False, ignore_index=True)


def _with_gains(table: pd.DataFrame, samples: dict[str, Float64]) -> pd.DataFrame:
    gain = table["auroc"] - float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    if not samples:
        return table.assign(gain=gain, gain_low=np.nan, gain_high=np.nan)
    differences = np.stack([samples[name] - samples[REFERENCE] for name in table["score"]])
    low, high = failure_detection.joint_intervals(gain, differences)
    return table.assign(gain=gain, gain_low=low, gain_high=high)
