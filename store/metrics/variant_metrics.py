"""The metrics of one variant of an epoch, from its summary columns alone: accuracy, calibration, robustness.

They are written with the epoch, because pages need those of all epochs at once: computing them from the columns took
450 ms for 20 epochs, reading them takes 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from store.format.schema import VARIANT_METRICS
from store.metrics import calibration, failure_detection, robustness

COLUMNS = ("prediction", "label_rank", "confidence", "label_probability", "consistency", "sharpness", "similarity")
VARIANT_METRIC_NAMES = tuple(field.name for field in VARIANT_METRICS)


def variant_metrics(columns: Mapping[str, NDArray], clean: NDArray, labels: NDArray) -> dict[str, float]:
    """The schema's variant_metrics/* of one variant, in its order; NaN where one does not exist.

    Args:
        columns: those of COLUMNS, (N,) each, of one variant.
        clean: (N,) predictions of the clean variant.
        labels: (N,) class indices.
    """
    prediction, confidence = columns["prediction"], columns["confidence"]
    correct = prediction == labels
    bins = calibration.reliability(confidence, correct)
    detection = failure_detection.detection(confidence, correct)
    return {
        "top1": float(correct.mean()),
        "top5": float((columns["label_rank"] <= 5).mean()),
        "mean_confidence": float(confidence.mean(dtype=np.float64)),
        "nll": calibration.nll(columns["label_probability"]),
        "ece": calibration.ece(bins),
        "mce": calibration.mce(bins),
        **{name: float(getattr(detection, name)) for name in failure_detection.DETECTION_METRICS},
        "sharpness": float(columns["sharpness"].mean(dtype=np.float64)),
        "similarity": float(columns["similarity"].mean(dtype=np.float64)),
        "flip_rate": float(robustness.flip_rate(clean, prediction)),
        "unchanged_consistency": robustness.unchanged_consistency(clean, prediction, columns["consistency"]),
        "responsiveness": robustness.responsiveness(clean, prediction, columns["consistency"]),
        "different_reason_share": robustness.different_reason_share(clean == labels, correct, columns["consistency"]),
    }


def variant_metric_columns(columns: Mapping[str, NDArray], labels: NDArray) -> dict[str, NDArray[np.float64]]:
    """Path -> (V,) float64 of every dataset variant_metrics/*.

    Args:
        columns: those of COLUMNS, (V, N) each.
        labels: (N,) class indices.
    """
    clean = columns["prediction"][0]
    rows = [
        variant_metrics({name: columns[name][variant] for name in COLUMNS}, clean, labels)
        for variant in range(len(columns["prediction"]))
    ]
    return {
        f"variant_metrics/{name}": np.array([row[name] for row in rows], np.float64) for name in VARIANT_METRIC_NAMES
    }
