"""The figures of one epoch under each variant, from its summary columns alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.measures import calibration, failure, robustness
from store.reader import Run

COLUMNS = ("prediction", "truth_rank", "confidence", "truth_probability", "consistency", "sharpness", "similarity")


def epoch_figures(run: Run, epoch: int) -> pd.DataFrame:
    """A row per variant: epoch, variant and the figures below; shares are 0..1.

    top1, top5, mean_confidence, nll (nats), ece and mce (15 bins of equal width), of the maximum softmax as a failure
    score auroc, fpr95, aurc, e_aurc and augrc, then mean sharpness and similarity, and against the clean variant
    flip_rate, kept_consistency, responsiveness and lucky_share; NaN where a figure does not exist.
    """
    clean = run.column("prediction", epoch=epoch, variant=run.variants[0])
    rows = []
    for variant in run.variants:
        columns = {name: run.column(name, epoch=epoch, variant=variant) for name in COLUMNS}
        rows.append({"epoch": epoch, "variant": variant, **variant_figures(columns, clean, run.labels)})
    return pd.DataFrame(rows)


def variant_figures(columns: dict[str, NDArray], clean: NDArray, labels: NDArray) -> dict[str, float]:
    """The figures of `epoch_figures` from the columns of one variant and the clean predictions."""
    prediction, confidence = columns["prediction"], columns["confidence"]
    right = prediction == labels
    bins = calibration.reliability(confidence, right)
    detection = failure.detection(confidence, right)
    return {
        "top1": float(right.mean()),
        "top5": float((columns["truth_rank"] <= 5).mean()),
        "mean_confidence": float(confidence.mean(dtype=np.float64)),
        "nll": calibration.nll(columns["truth_probability"]),
        "ece": calibration.ece(bins),
        "mce": calibration.mce(bins),
        **{name: float(getattr(detection, name)) for name in failure.FIGURES},
        "sharpness": float(columns["sharpness"].mean(dtype=np.float64)),
        "similarity": float(columns["similarity"].mean(dtype=np.float64)),
        "flip_rate": float(robustness.flip_rate(clean, prediction)),
        "kept_consistency": robustness.kept_consistency(clean, prediction, columns["consistency"]),
        "responsiveness": robustness.responsiveness(clean, prediction, columns["consistency"]),
        "lucky_share": robustness.lucky_share(clean == labels, right, columns["consistency"]),
    }
