"""Which epoch is best for what, and what ensembles over recorded epochs or variants would have gained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.gather import EpochRecord
from store.analysis.resampled import sureness
from store.metrics.ensembles import ensemble_metrics
from store.metrics.intervals import mean_interval, wilson

PURPOSES: tuple[tuple[str, str, str], ...] = (
    ("Accuracy", "top1", "max"),
    ("Likelihood", "nll", "min"),
    ("Calibration", "ece", "min"),
    ("Failure detection", "auroc", "max"),
    ("Selective classification", "augrc", "min"),
    ("Robust accuracy", "robust_top1", "max"),
    ("Map consistency", "robust_consistency", "max"),
)
LAST_EPOCHS = (2, 3, 5, 10)


def best_epochs(figures: pd.DataFrame, images: int, samples: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """A row per purpose: purpose, figure, better ("max" or "min"), epoch, value, last_value, low, high and sure.

    Figures are the clean ones; robust_top1 and robust_consistency are means over the other variants. low and high
    (Wilson, top1 only, else NaN) show how far accuracy tells epochs apart; sure is the share of resampled sets of
    images on which that epoch is the best, too (NaN for the robust figures). A purpose without figures is left out.

    Args:
        figures: rows of `store.analysis.variant_metrics.epoch_variant_metrics` of all epochs, ascending.
        images: N. samples: from `store.analysis.resampled.resampled_metrics`.
    """
    clean = figures["variant"].iloc[0]
    series = figures[figures["variant"] == clean].set_index("epoch")
    others = figures[figures["variant"] != clean].groupby("epoch")
    series = series.assign(robust_top1=others["top1"].mean(), robust_consistency=others["unchanged_consistency"].mean())
    rows = []
    for criterion, figure, better in PURPOSES:
        values = series[figure].dropna()
        if values.empty:
            continue
        epoch = values.idxmax() if better == "max" else values.idxmin()
        low, high = wilson(values[epoch] * images, images) if figure == "top1" else (np.nan, np.nan)
        sure = sureness(samples, figure, better, series.index.get_loc(epoch))
        row = {
            "criterion": criterion,
            "metric": figure,
            "direction": better,
            "epoch": int(epoch),
            "value": values[epoch],
        }
        rows.append(
            {**row, "last_value": values.iloc[-1], "low": float(low), "high": float(high), "selection_share": sure}
        )
    return pd.DataFrame(rows)


def ensembles(record: EpochRecord) -> pd.DataFrame:
    """A row per ensemble: name, label, members, top1, nll, ece, brier, gain in top1 with gain_low and gain_high (95 %),
    won and lost (images that it alone, and that the last epoch alone predictions rightly).

    Members are equally weighted probabilities; the gain is over the last epoch's clean predictions, image by image. The
    first row is that epoch alone, with gain 0.
    """
    run, epochs = record.run, record.epochs
    true_class = run.labels
    single = mean_probabilities(record, [(epochs[-1], record.clean)])
    before = single.argmax(1) == true_class
    rows = []
    for name, label, members in memberships(record):
        mean = single if len(members) == 1 else mean_probabilities(record, members)
        found = ensemble_metrics(mean, true_class)
        rows.append(
            {
                "name": name,
                "label": label,
                "members": len(members),
                "top1": found.top1,
                "nll": found.nll,
                "ece": found.ece,
                "brier": found.brier,
                **gains(mean.argmax(1) == true_class, before),
            }
        )
    return pd.DataFrame(rows)


def gains(after: NDArray[np.bool_], before: NDArray[np.bool_]) -> dict[str, float]:
    """gain, gain_low, gain_high, won and lost of correct predictions `after` over those `before`, each (N,) bool."""
    gain, low, high = mean_interval(after.astype(float) - before)
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return {"gain": gain, "gain_low": low, "gain_high": high, "newly_correct": won, "newly_wrong": lost}


def memberships(record: EpochRecord) -> list[tuple[str, str, list[tuple[int, str]]]]:
    """Name, label and members (epoch, variant) of every ensemble that the run allows, the last epoch alone first."""
    epochs, variants, clean = record.epochs, record.run.variants, record.clean
    found = [("last", f"Epoch {epochs[-1]}", [(epochs[-1], clean)])]
    for count in LAST_EPOCHS:
        if count <= len(epochs):
            found.append((f"epochs_{count}", f"Last {count} epochs", [(epoch, clean) for epoch in epochs[-count:]]))
    if len(variants) > 1:
        found.append(("variants", f"All {len(variants)} variants", [(epochs[-1], variant) for variant in variants]))
        if len(epochs) > 1:
            both = [(epoch, variant) for epoch in epochs[-3:] for variant in variants]
            found.append(("both", f"Last {len(epochs[-3:])} epochs, all variants", both))
    return found


def mean_probabilities(record: EpochRecord, members: Iterable[tuple[int, str]]) -> NDArray[np.float64]:
    """The members' probabilities, equally weighted, (N, C)."""
    members = list(members)
    total = np.zeros((len(record.run.labels), len(record.run.classes)))
    for epoch, variant in members:
        total += record.run.probabilities(epoch=epoch, variant=variant)
    return total / len(members)
