"""The figures of one epoch under each variant."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.metrics.variants import COLUMNS, VARIANT_METRIC_NAMES, variant_metric_columns
from store.read.epoch_data import EpochData
from store.read.run import Run

Figures = dict[str, NDArray[np.float64]]
# Worked out once for every open epoch that was recorded without them; sealed files do not change.
_worked_out: WeakKeyDictionary[EpochData, Figures] = WeakKeyDictionary()


def epoch_variant_metrics(run: Run, epoch: int) -> pd.DataFrame:
    """A row per variant: epoch, variant and the figures below, (V,) float64; shares are 0..1.

    top1, top5, mean_confidence, nll (nats), ece and mce (15 bins of equal width), of the maximum softmax as a failure
    score auroc, fpr95, aurc, e_aurc and augrc, then mean sharpness and similarity, and against the clean variant
    flip_rate, unchanged_consistency, responsiveness and different_reason_share; NaN where a figure does not exist.

    As recorded with the epoch; worked out from its columns where an older version of the program recorded it.
    """
    return pd.DataFrame({"epoch": epoch, "variant": list(run.variants), **run.read(epoch, lambda data: _of(run, data))})


def _of(run: Run, data: EpochData) -> Figures:
    if set(VARIANT_METRIC_NAMES) <= set(data.names("variant_metrics")):
        return {name: data.all_rows(f"variant_metrics/{name}") for name in VARIANT_METRIC_NAMES}
    known = _worked_out.get(data)
    if known is None:
        variants = range(len(run.variants))
        columns = {name: np.stack([data.all_rows(f"images/{name}", index) for index in variants]) for name in COLUMNS}
        found = variant_metric_columns(columns, run.labels)
        known = _worked_out[data] = {path.removeprefix("variant_metrics/"): values for path, values in found.items()}
    return known
