"""The figures of one variant of an epoch, from its summary columns alone: accuracy, calibration, robustness.

They are written with the epoch, because pages ask for those of all epochs at once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from store.measures import calibration, failure, robustness
from store.schema import FIGURES

COLUMNS = ("prediction", "truth_rank", "confidence", "truth_probability", "consistency", "sharpness", "similarity")
FIGURE_NAMES = tuple(field.name for field in FIGURES)


def variant_figures(columns: Mapping[str, NDArray], clean: NDArray, labels: NDArray) -> dict[str, float]:
    """The figures of the schema's figures/*, in its order; NaN where one does not exist.

    Args:
        columns: those of COLUMNS, (N,) each, of one variant.
        clean: (N,) predictions of the clean variant.
        labels: (N,) class indices.
    """
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


def figure_columns(columns: Mapping[str, NDArray], labels: NDArray) -> dict[str, NDArray[np.float64]]:
    """Path -> (V,) float64 of every dataset figures/*.

    Args:
        columns: those of COLUMNS, (V, N) each.
        labels: (N,) class indices.
    """
    clean = columns["prediction"][0]
    rows = [
        variant_figures({name: columns[name][variant] for name in COLUMNS}, clean, labels)
        for variant in range(len(columns["prediction"]))
    ]
    return {f"figures/{name}": np.array([row[name] for row in rows], np.float64) for name in FIGURE_NAMES}
