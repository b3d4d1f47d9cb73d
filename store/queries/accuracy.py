"""Accuracy, calibration and risk: over epochs and variants, per class, per bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from store.analysis.analysis_file import Analysis, readable_analysis
from store.analysis.confidence_scores import REFERENCE, score_values
from store.metrics import calibration, failure_detection
from store.metrics.intervals import wilson
from store.metrics.learning import churn
from store.metrics.maps import cosine
from store.queries.recorded_epochs import recorded_metrics
from store.read.run import Run


def accuracy_by_variant(run: Run, *, epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """A row per epoch, or for some, and variant with the columns of `Run.variant_metrics`.

    >>> queries.accuracy_by_variant(run).query("epoch == 3")[["variant", "top1"]].head(2).values.tolist()
    [['clean', 0.9], ['gray', 0.75]]
    """
    analysis = readable_analysis(run, "epochs")
    known = analysis.table("epochs") if analysis is not None else pd.DataFrame({"epoch": []})
    covered = set(known["epoch"])
    chosen = run.epochs if epochs is None else epochs
    parts = [known[known["epoch"].isin(chosen)]] if covered else []
    parts += [run.variant_metrics(epoch=epoch) for epoch in chosen if epoch not in covered]
    if not parts:
        return pd.DataFrame(columns=["epoch", "variant", "top1", "top5", "mean_confidence", "flip_rate"])
    return pd.concat(parts, ignore_index=True).sort_values("epoch", kind="stable", ignore_index=True)


def clean_and_robust(metrics: pd.DataFrame) -> pd.DataFrame:
    """A row per epoch, indexed by it: the metrics of the clean images, and robust_top1 and robust_consistency, the
    means of top1 and unchanged_consistency over the other variants.

    Args:
        metrics: of `accuracy_by_variant`.

    >>> queries.clean_and_robust(queries.accuracy_by_variant(run))["robust_top1"].round(2).tolist()[-1]
    0.84
    """
    is_clean = metrics["variant"] == metrics["variant"].iloc[0]
    others = metrics[~is_clean].groupby("epoch")[["top1", "unchanged_consistency"]].mean()
    robust = {"robust_top1": others["top1"], "robust_consistency": others["unchanged_consistency"]}
    return metrics[is_clean].set_index("epoch").assign(**robust)


def epoch_metrics(run: Run, *, epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """A row per epoch, or for some: `Run.metrics`, with validation_loss, validation_top1 and validation_top5 always.

    What was not recorded about the epoch, as where the network was trained elsewhere, is that of its clean images.

    >>> queries.epoch_metrics(run)["epoch"].tolist()
    [1, 2, 3]
    """
    rows = recorded_metrics(run, epochs=epochs)
    clean = accuracy_by_variant(run, epochs=epochs)
    clean = clean[clean["variant"] == run.variants[0]].set_index("epoch").reindex(rows["epoch"])
    for name, figure in (("loss", "nll"), ("top1", "top1"), ("top5", "top5")):
        derived = pd.Series(clean[figure].to_numpy(), rows.index) if figure in clean else pd.Series(dtype=float)
        column = f"validation_{name}"
        rows[column] = rows[column].fillna(derived) if column in rows else derived
    return rows


def epoch_churn(run: Run, *, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch but the first: epoch, churn (share predicted otherwise than at the recorded epoch before),
    newly_correct and newly_wrong (shares of all images).

    >>> queries.epoch_churn(run).columns.tolist()
    ['epoch', 'churn', 'newly_correct', 'newly_wrong']
    """
    predictions = run.columns("prediction", variant=variant)
    before, after = predictions[:-1], predictions[1:]
    was, now = before == run.labels, after == run.labels
    shares = {"churn": churn(before, after), "newly_correct": (~was & now).mean(1), "newly_wrong": (was & ~now).mean(1)}
    return pd.DataFrame({"epoch": run.epochs[1:], **shares})


def epoch_pairs(run: Run, *, variant: str = "clean") -> pd.DataFrame:
    """A row per pair of recorded epochs, in both orders: before, after, agreement (share of the images predicted as
    the same class), change (of top-1, after minus before) and similarity (cosine of the class patterns, mean over the
    classes with images; NaN without maps).

    >>> queries.epoch_pairs(run).query("before == 1 and after == 3")["change"].round(2).tolist()
    [0.1]
    """
    predictions = run.columns("prediction", variant=variant)
    top1 = (predictions == run.labels).mean(1)
    similarity = np.full((len(top1), len(top1)), np.nan)
    if run.has_maps:
        patterns = np.stack([run.patterns(epoch=epoch, variant=variant) for epoch in run.epochs])
        patterns = patterns[:, np.unique(run.labels)]
        # One epoch against all: all pairs at once would hold as many copies of the patterns as there are epochs.
        similarity = np.stack([cosine(one, patterns).mean(1) for one in patterns])
    before, after = (places.ravel() for places in np.indices(similarity.shape))
    epochs = np.array(run.epochs)
    return pd.DataFrame(
        {
            "before": epochs[before],
            "after": epochs[after],
            "agreement": np.concatenate([1 - churn(one, predictions) for one in predictions]),
            "change": top1[after] - top1[before],
            "similarity": similarity.ravel(),
        }
    )


def balanced_accuracy(run: Run, *, epoch: int, variant: str = "clean") -> float:
    """Mean accuracy of the classes that have images, 0..1: what top-1 would be if they all had equally many.

    Equation:
        mean_k (correct images of class k / images of class k)   (Brodersen et al. 2010, for any number of classes)

    >>> round(queries.balanced_accuracy(run, epoch=3), 2)
    0.9
    """
    analysis = readable_analysis(run, "class_accuracy")
    if analysis is None or epoch not in analysis.epochs:
        return float(np.nanmean(run.class_table(epoch=epoch, variant=variant)["accuracy"]))
    found = analysis.array("class_accuracy")[analysis.epochs.index(epoch), run.variant_index(variant)]
    return float(np.nanmean(found, dtype=np.float64))


def majority_share(run: Run) -> float:
    """Share of the images that belong to the largest class, 0..1: the top-1 of always predicting that class.

    >>> queries.majority_share(run)
    0.2
    """
    return float(np.bincount(run.labels).max() / len(run.labels))


def class_accuracy(run: Run, *, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch and class: epoch, class_index, name, group, accuracy, mean_confidence.

    >>> queries.class_accuracy(run).pivot(index="epoch", columns="class_index", values="accuracy").shape
    (3, 5)
    """
    index = run.variant_index(variant)
    analysis = readable_analysis(run, "class_accuracy", "class_confidence")
    rows = [] if analysis is None else [_recorded_classes(run, analysis, index)]
    for epoch in run.epochs:
        if analysis is None or epoch not in analysis.epochs:
            rows.append(run.class_table(epoch=epoch, variant=variant).reset_index().assign(epoch=epoch))
    columns = ["epoch", "class_index", "name", "group", "accuracy", "mean_confidence"]
    if not rows:
        return pd.DataFrame(columns=columns)
    table = pd.concat(rows, ignore_index=True)[columns]
    return table.sort_values("epoch", kind="stable", ignore_index=True)


def _recorded_classes(run: Run, analysis: Analysis, variant_index: int) -> pd.DataFrame:
    """The part of `class_accuracy` that the analysis has, for epochs that are still in the run."""
    kept = [row for row, epoch in enumerate(analysis.epochs) if epoch in run.epochs]
    classes = run.classes.reset_index()
    table = classes.iloc[np.tile(np.arange(len(classes)), len(kept))].reset_index(drop=True)
    return table.assign(
        epoch=np.repeat(np.array(analysis.epochs, np.int64)[kept], len(classes)),
        accuracy=analysis.array("class_accuracy")[kept, variant_index].ravel(),
        mean_confidence=analysis.array("class_confidence")[kept, variant_index].ravel(),
    )


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

    >>> queries.calibration_table(run, epoch=3, bins=4)[["count", "accuracy"]].dropna().values.tolist()
    [[20.0, 0.9]]
    """
    chosen = slice(None) if label is None else run.labels == label
    correct = (run.column("prediction", epoch=epoch, variant=variant) == run.labels)[chosen]
    found = calibration.reliability(
        run.column("confidence", epoch=epoch, variant=variant)[chosen], correct, bins=bins, edges=edges
    )
    low, high = wilson(np.nan_to_num(found.accuracy) * found.count, found.count)
    table = pd.DataFrame({name: getattr(found, name) for name in ("lower", "upper", "count", "confidence", "accuracy")})
    table = table.assign(low=low, high=high, gap=found.gap)
    label_probability = run.column("label_probability", epoch=epoch, variant=variant)[chosen]
    table.attrs = {
        "ece": calibration.ece(found),
        "mce": calibration.mce(found),
        "nll": calibration.nll(label_probability),
    }
    return table


def risk_coverage(
    run: Run, *, epoch: int, variant: str = "clean", score: str = REFERENCE, points: int = 400
) -> pd.DataFrame:
    """Risk-coverage curve of a confidence score: coverage, risk, threshold, from the strictest to none.

    At most `points` rows, evenly spaced in coverage. `table.attrs` holds auroc, fpr95, aurc, e_aurc and augrc.

    Raises:
        ValueError: no summary column gives that score.

    >>> queries.risk_coverage(run, epoch=3)["coverage"].tolist()[-1]
    1.0
    """
    values = score_values(run, score, epoch=epoch, variant=variant)
    correct = run.column("prediction", epoch=epoch, variant=variant) == run.labels
    curve = failure_detection.risk_coverage(values, correct)
    kept = np.unique(np.searchsorted(curve.coverage, np.linspace(curve.coverage[0], 1, points) - 1e-12))
    table = pd.DataFrame({name: getattr(curve, name)[kept] for name in ("coverage", "risk", "threshold")})
    figures = failure_detection.detection(values, correct)
    table.attrs = {name: float(getattr(figures, name)) for name in failure_detection.DETECTION_METRICS}
    return table
