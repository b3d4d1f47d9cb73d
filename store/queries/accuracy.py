"""Accuracy, calibration and risk: over epochs and variants, per class, per bin."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from store.analysis.analysis_file import Analysis, read_analysis
from store.analysis.confidence_scores import KINDS, LABELS, REFERENCE, column_scores, score_values
from store.analysis.variant_metrics import epoch_variant_metrics
from store.errors import NotInRun
from store.metrics import calibration, failure_detection, robustness
from store.metrics.intervals import wilson
from store.read.run import Run


def accuracy_by_variant(run: Run) -> pd.DataFrame:
    """A row per epoch and variant with every figure of `store.analysis.variant_metrics.epoch_variant_metrics`, all float64.

    epoch, variant, top1, top5, mean_confidence, nll, ece, mce, auroc, fpr95, aurc, e_aurc, augrc, sharpness,
    similarity, flip_rate, unchanged_consistency, responsiveness, different_reason_share.
    """
    analysis = read_analysis(run)
    known = analysis.table("epochs") if analysis is not None else pd.DataFrame({"epoch": []})
    covered = set(known["epoch"])
    parts = [known[known["epoch"].isin(run.epochs)]] if covered else []
    parts += [epoch_variant_metrics(run, epoch) for epoch in run.epochs if epoch not in covered]
    if not parts:
        return pd.DataFrame(columns=["epoch", "variant", "top1", "top5", "mean_confidence", "flip_rate"])
    return pd.concat(parts, ignore_index=True).sort_values("epoch", kind="stable", ignore_index=True)


def class_accuracy(run: Run, *, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch and class: epoch, class_index, name, group, accuracy, mean_confidence."""
    place = run.variant_index(variant)
    analysis = read_analysis(run)
    rows = [] if analysis is None else [_recorded_classes(run, analysis, place)]
    for epoch in run.epochs:
        if analysis is None or epoch not in analysis.epochs:
            rows.append(run.class_table(epoch=epoch, variant=variant).reset_index().assign(epoch=epoch))
    columns = ["epoch", "class_index", "name", "group", "accuracy", "mean_confidence"]
    if not rows:
        return pd.DataFrame(columns=columns)
    table = pd.concat(rows, ignore_index=True)[columns]
    return table.sort_values("epoch", kind="stable", ignore_index=True)


def _recorded_classes(run: Run, analysis: Analysis, place: int) -> pd.DataFrame:
    """What the analysis holds of `class_accuracy` for the epochs that the run still has."""
    kept = [row for row, epoch in enumerate(analysis.epochs) if epoch in run.epochs]
    classes = run.classes.reset_index()
    table = classes.iloc[np.tile(np.arange(len(classes)), len(kept))].reset_index(drop=True)
    return table.assign(
        epoch=np.repeat(np.array(analysis.epochs, np.int64)[kept], len(classes)),
        accuracy=analysis.array("class_accuracy")[kept, place].ravel(),
        mean_confidence=analysis.array("class_confidence")[kept, place].ravel(),
    )


def best_worst_classes(run: Run, *, epoch: int, variant: str = "clean", k: int = 10) -> pd.DataFrame:
    """The k most and the k least accurate classes, best first.

    The columns of `Run.class_table`, class_index, low and high (Wilson interval of the accuracy), and end ("best" or
    "worst"). Classes without images are left out; with fewer than 2 k classes each is named once.
    """
    table = run.class_table(epoch=epoch, variant=variant).reset_index()
    table = table[table["count"] > 0].sort_values(["accuracy", "mean_label_probability"], ascending=False)
    low, high = wilson(table["accuracy"] * table["count"], table["count"])
    table = table.assign(low=low, high=high)
    k = min(k, (len(table) + 1) // 2)
    worst = table.tail(min(k, len(table) - k))
    return pd.concat([table.head(k).assign(end="best"), worst.assign(end="worst")], ignore_index=True)


def corruption_errors(run: Run, *, reference: int) -> pd.DataFrame:
    """A row per epoch and variant: epoch, variant, error, ce = error over that of the `reference` epoch (NaN where 0).

    Its mean over the variants but clean is the "mean CE" of this run's own perturbations, not ImageNet-C's mCE.
    """
    table = accuracy_by_variant(run)
    table = table.assign(error=1 - table["top1"])[["epoch", "variant", "error"]]
    before = table[table["epoch"] == reference].set_index("variant")["error"]
    if before.empty:
        raise NotInRun(
            f"Epoch {reference} is not in the run {run.name!r}: take one of {list(run.epochs)} as reference."
        )
    return table.assign(ce=robustness.corruption_error(table["error"], table["variant"].map(before)))


def calibration_table(
    run: Run,
    *,
    epoch: int,
    variant: str = "clean",
    bins: int = 15,
    edges: Literal["width", "mass"] = "width",
    label: int | None = None,
) -> pd.DataFrame:
    """A row per reliability bin: lower, upper, count, confidence, accuracy, low and high (Wilson), gap.

    Of all images, or of those of the class `label` only. Confidence and accuracy of an empty bin are NaN.
    `table.attrs` holds ece, mce and nll.
    """
    of = slice(None) if label is None else run.labels == label
    right = (run.column("prediction", epoch=epoch, variant=variant) == run.labels)[of]
    found = calibration.reliability(
        run.column("confidence", epoch=epoch, variant=variant)[of], right, bins=bins, edges=edges
    )
    low, high = wilson(np.nan_to_num(found.accuracy) * found.count, found.count)
    table = pd.DataFrame({name: getattr(found, name) for name in ("lower", "upper", "count", "confidence", "accuracy")})
    table = table.assign(low=low, high=high, gap=found.gap)
    true_class = run.column("label_probability", epoch=epoch, variant=variant)[of]
    table.attrs = {"ece": calibration.ece(found), "mce": calibration.mce(found), "nll": calibration.nll(true_class)}
    return table


def score_metrics(run: Run, *, epoch: int, variant: str = "clean") -> pd.DataFrame:
    """A row per score, best AUROC first: score, label, kind, auroc, fpr95, aurc, e_aurc, augrc.

    On all images and without intervals; the failure-detection ranking of the analysis has these, for the last epoch.
    """
    right = run.column("prediction", epoch=epoch, variant=variant) == run.labels
    rows = []
    for name, values in column_scores(run, epoch=epoch, variant=variant).items():
        found = failure_detection.detection(values, right)
        figures = {figure: float(getattr(found, figure)) for figure in failure_detection.VARIANT_METRICS}
        rows.append({"score": name, "label": LABELS[name], "kind": KINDS[name], **figures})
    return pd.DataFrame(rows).sort_values("auroc", ascending=False, kind="stable", ignore_index=True)


def risk_coverage(
    run: Run, *, epoch: int, variant: str = "clean", score: str = REFERENCE, points: int = 400
) -> pd.DataFrame:
    """Risk-coverage curve of a score of `store.analysis.confidence_scores`: coverage, risk, threshold, from strict to none.

    At most `points` rows, evenly spaced in coverage. `table.attrs` holds auroc, fpr95, aurc, e_aurc and augrc.

    Raises:
        ValueError: no summary column gives that score.
    """
    values = score_values(run, score, epoch=epoch, variant=variant)
    right = run.column("prediction", epoch=epoch, variant=variant) == run.labels
    curve = failure_detection.risk_coverage(values, right)
    kept = np.unique(np.searchsorted(curve.coverage, np.linspace(curve.coverage[0], 1, points) - 1e-12))
    table = pd.DataFrame({name: getattr(curve, name)[kept] for name in ("coverage", "risk", "threshold")})
    figures = failure_detection.detection(values, right)
    table.attrs = {name: float(getattr(figures, name)) for name in failure_detection.VARIANT_METRICS}
    return table
