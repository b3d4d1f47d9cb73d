"""The training images of a run with what its ledger says about each, and those that deserve a look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from store.metrics import failure_detection
from store.metrics import training_images as metrics
from store.metrics.learning import NEVER, first_correct
from store.read.run import Run

# Order of suspicion -> column, and whether small values come first.
ORDERS = {"aum": True, "confidence": True, "forgetting": False}


def training_images(run: Run) -> pd.DataFrame:
    """A row per training image, over all epochs of the ledger.

    Columns: name, label, true_class (the label's name), prediction and predicted_class (of the last epoch in which the
    image was seen), aum, confidence, variability, el2n (NaN where it was not recorded), forgetting, first_learned (an
    epoch; 0 = never), seen (epochs), and original_label where labels were exchanged on purpose. `table.attrs` holds
    epochs, and threshold where the run has a threshold class.

    Raises:
        NotInRun: the run has no ledger.

    >>> queries.training_images(demo).shape[0]
    6400
    """
    ledger = run.training_ledger
    images, epochs = ledger.images(), ledger.epochs
    rows = [ledger.epoch(epoch) for epoch in epochs]

    def stacked(name: str) -> np.ndarray:
        return np.array([row[name] if name in row else np.full(len(images), np.nan) for row in rows])

    probability, prediction, labels = stacked("label_probability"), stacked("prediction"), images["label"].to_numpy()
    seen = ~np.isnan(probability)
    correct = (prediction == labels) & seen
    last = np.where(seen.any(0), len(epochs) - 1 - seen[::-1].argmax(0), 0)
    latest = prediction[last, np.arange(len(images))]
    names = run.classes["name"].to_numpy()
    learned = first_correct(correct)
    table = images.assign(
        true_class=names[labels],
        prediction=latest,
        predicted_class=names[latest],
        aum=metrics.aum(stacked("margin")),
        confidence=metrics.confidence(probability),
        variability=metrics.variability(probability),
        el2n=metrics.el2n(stacked("error_norm")),
        forgetting=metrics.forgetting_events(correct, seen),
        first_learned=np.where(learned == NEVER, 0, np.array(epochs)[learned]),
        seen=seen.sum(0),
    )
    table.attrs["epochs"] = epochs
    threshold_samples = table.loc[labels == len(names) - 1, "aum"].dropna().to_numpy()
    if _has_threshold_class(run) and len(threshold_samples):
        table.attrs["threshold"] = metrics.aum_threshold(threshold_samples)
    return table


def _has_threshold_class(run: Run) -> bool:
    data = run.configuration.get("data")
    return isinstance(data, dict) and data.get("threshold_class") is True


def suspects(table: pd.DataFrame, order: str, *, count: int) -> pd.DataFrame:
    """The `count` most suspicious rows of `training_images`, by a key of ORDERS; without images never seen.

    Equal values, as of forgetting, are in the order of their AUM. Threshold samples, which are there to be suspicious,
    are left out.

    >>> table = queries.training_images(demo)
    >>> queries.suspects(table, "aum", count=3)["aum"].is_monotonic_increasing
    True
    """
    rows = table[table["seen"] > 0]
    if "threshold" in table.attrs:
        rows = rows[rows["label"] < rows["label"].max()]
    return rows.sort_values([order, "aum"], ascending=[ORDERS[order], True], kind="stable").head(count)


@dataclass(frozen=True)
class LabelDetection:
    """How well an order finds labels that were exchanged on purpose: AUROC, and precision at each k."""

    auroc: float
    precision: dict[int, float]


def label_detection(table: pd.DataFrame, order: str, *, at: tuple[int, ...] = ()) -> LabelDetection | None:
    """How well an order finds the exchanged labels; None where none is known to be wrong.

    Args:
        table: of `training_images`.
        order: a key of ORDERS.
        at: numbers of suspects; by default 100 and as many as there are exchanged labels.

    >>> queries.label_detection(queries.training_images(demo), "aum") is None  # no label was exchanged on purpose
    True
    """
    if "original_label" not in table:
        return None
    rows = suspects(table, order, count=len(table))
    wrong = (rows["original_label"] != rows["label"]).to_numpy()
    if not 0 < wrong.sum() < len(wrong):
        return None
    values = rows[order].to_numpy(np.float64)  # not the place in the order, where AUM decides between equal values
    suspicion = -values if ORDERS[order] else values
    sizes = at or tuple(sorted({min(100, len(rows)), int(wrong.sum())}))
    precision = {k: metrics.precision_at(suspicion, wrong, k) for k in sizes}
    return LabelDetection(float(failure_detection.detection(suspicion, wrong).auroc), precision)
