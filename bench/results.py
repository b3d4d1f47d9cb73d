"""The tables of a recorded run: everything that the paper reports, and what recording cost. A run in, frames out.

Shares and accuracies are fractions 0..1, times seconds, sizes bytes unless a column's name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from compute.config.profile import as_dict, load_profile
from store import Run
from store.analysis import read_analysis
from store.queries import accuracy_by_variant, table1

FIGURE_2 = ("train_loss", "validation_loss", "train_top1", "validation_top1", "train_top5", "validation_top5")
SETTINGS_COMPARED = ("model", "weights", "training", "augmentation")
WAITS = ("write_wait_seconds", "seal_wait_seconds")


def figure_2(run: Run) -> pd.DataFrame:
    """A row per epoch: epoch, losses and accuracies of training and validation (Fig. 2), paper_validation_top1."""
    metrics = run.metrics()
    table = metrics[["epoch", *(name for name in FIGURE_2 if name in metrics)]]
    return table.assign(paper_validation_top1=[table1.PAPER_TOP1_BY_EPOCH.get(epoch) for epoch in table["epoch"]])


def table_1(run: Run) -> pd.DataFrame:
    """The paper's Table 1 with this run beside it, see `store.queries.table1.table1`."""
    return table1.table1([table1.recorded_result(run)])


def training_minutes(run: Run) -> float:
    """Minutes that training and recording took, over all epochs."""
    metrics = run.metrics()
    return float(metrics["train_seconds"].sum() + metrics["record_seconds"].sum()) / 60


def variants(run: Run) -> pd.DataFrame:
    """A row per epoch and variant: epoch, variant, top1, top5, mean_confidence, nll, ece, flip_rate."""
    columns = ["epoch", "variant", "top1", "top5", "mean_confidence", "nll", "ece", "flip_rate"]
    return accuracy_by_variant(run)[columns]


def formation(run: Run) -> pd.DataFrame:
    """A row per class, earliest first: class, group, formation and settling (epochs), last accuracy, paper.

    formation: first epoch from which the class pattern keeps its final form; half: first epoch with half of its
    images right; settling: median epoch after which its images' predictions no longer change; -1 = never. within and
    between: mean cosine of two maps of the class, and of one inside and one outside. paper: by which epoch the paper
    saw the pattern (Sec. 5.1).
    """
    table = _analysis_table(run, "classes")
    kept = [
        "name",
        "group",
        "formation",
        "half_correct",
        "stabilisation",
        "accuracy",
        "within_class",
        "between_classes",
    ]
    table = table[kept].rename(columns={"name": "class"})
    named = [table1.PAPER_FORMATION.get(name.split(",")[0]) for name in table["class"]]
    order = table["formation"].where(table["formation"] > 0, np.inf)
    return table.assign(paper=pd.array(named, "Int64")).iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def formation_counts(classes: pd.DataFrame, epochs: Sequence[int]) -> pd.DataFrame:
    """A row per epoch, classes by then: formed (the pattern has its final form), half_right, settled (median)."""
    reached = {"formed": "formation", "half_right": "half_correct", "stabilised": "stabilisation"}
    rows = [
        {"epoch": epoch}
        | {name: int(((classes[column] > 0) & (classes[column] <= epoch)).sum()) for name, column in reached.items()}
        for epoch in epochs
    ]
    return pd.DataFrame(rows)


def failure_detection(run: Run) -> pd.DataFrame:
    """The failure-detection ranking of failure scores with 95 % intervals, best AUROC first; see `failure_ranking`."""
    return _analysis_table(run, "failure_ranking")


def throughput(run: Run) -> pd.DataFrame:
    """A row per epoch: images and passes a second, gigabytes, recording's share, share of time waiting for the disk.

    waiting_share: of the time of the epoch, that in which training or the network stood still for the writer (its
    queue full, or the epoch before still being sealed); missing in runs that did not record it.
    """
    metrics = run.metrics()
    passes = len(run.labels) * len(run.variants)
    bytes_written = [sum(path.stat().st_size for path in _epoch_files(run, epoch)) for epoch in run.epochs]
    both = metrics["train_seconds"] + metrics["record_seconds"]
    table = pd.DataFrame(
        {
            "epoch": metrics["epoch"],
            "train_seconds": metrics["train_seconds"],
            "training_images_per_second": metrics["train_images_per_second"],
            "record_seconds": metrics["record_seconds"],
            "recording_passes_per_second": passes / metrics["record_seconds"],
            "gigabytes": np.array(bytes_written) / 1e9,
            "recording_share": metrics["record_seconds"] / both,
        }
    )
    if all(name in metrics for name in WAITS):
        waits = metrics[WAITS[0]] + metrics[WAITS[1]]
        table = table.assign(**{name: metrics[name] for name in WAITS}, waiting_share=waits / both)
    if "checkpoint_seconds" in metrics:
        table = table.assign(checkpoint_seconds=metrics["checkpoint_seconds"])
    return table


def differences(run: Run) -> pd.DataFrame:
    """Every setting in which the run is not the paper's: setting, paper, run; then what no setting says."""
    paper, own = as_dict(load_profile("paper")), run.configuration
    rows = []
    for section in SETTINGS_COMPARED:
        theirs, ours = _flat(paper[section]), _flat(own.get(section, {}))
        ours.pop("sha256", None)
        rows += [
            {"setting": f"{section}.{key}", "paper": _told(theirs.get(key)), "run": _told(ours.get(key))}
            for key in dict.fromkeys([*theirs, *ours])
            if _told(theirs.get(key)) != _told(ours.get(key)) and key in ours
        ]
    rows.append({"setting": "arithmetic", "paper": "float32", "run": own.get("training", {}).get("precision", "?")})
    loaded = run.provenance.get("initial_weights", {})
    if loaded.get("missing"):
        what = f"{len(loaded['loaded'])} tensors loaded, {len(loaded['missing'])} drawn at random: "
        what += ", ".join(name.removeprefix("encoder.") for name in loaded["missing"])
        rows.append({"setting": "initial weights", "paper": "all of ResNet-18's encoder", "run": what})
    counted = f"all {len(run.labels):,}"
    rows.append({"setting": "validation images", "paper": table1.PAPER_VALIDATION_IMAGES, "run": counted})
    return pd.DataFrame(rows)


def _analysis_table(run: Run, name: str) -> pd.DataFrame:
    analysis = read_analysis(run)
    if analysis is None:
        raise ValueError(f"The run '{run.path}' has no analysis. Make it with: python -m compute analyse {run.path}")
    return analysis.table(name)


def _epoch_files(run: Run, epoch: int) -> list[Any]:
    return [path for path in run.path.glob(f"epochs/{epoch:04d}*") if path.suffix == ".h5"]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def _told(value: Any) -> str:
    return "" if value is None else str(value)
