"""The tables of a recorded run: everything that the paper reports, and what recording took. A run in, frames out.

Shares and accuracies are fractions 0..1, times seconds, sizes bytes unless a column's name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def paper_table_1(run: Run) -> pd.DataFrame:
    """The paper's Table 1 with this run beside it, see `store.queries.table1.table1`."""
    return table1.table1([table1.recorded_result(run)])


def figure_2(run: Run) -> pd.DataFrame:
    """A row per epoch: epoch, losses and accuracies of training and validation (Fig. 2), paper_validation_top1."""
    metrics = run.metrics()
    table = metrics[["epoch", *(name for name in FIGURE_2 if name in metrics)]]
    return table.assign(paper_validation_top1=[table1.PAPER_TOP1_BY_EPOCH.get(epoch) for epoch in table["epoch"]])


def variants(run: Run) -> pd.DataFrame:
    """A row per epoch and variant: epoch, variant, top1, top5, mean_confidence, nll, ece, flip_rate."""
    columns = ["epoch", "variant", "top1", "top5", "mean_confidence", "nll", "ece", "flip_rate"]
    return accuracy_by_variant(run)[columns]


def formation(run: Run) -> pd.DataFrame:
    """A row per class, earliest first.

    formation: first epoch from which the class pattern keeps its final form; half_correct: first epoch with half of its
    images predicted correctly; stabilisation: median epoch after which its images' predictions no longer change;
    -1 = never. within_class and between_classes: mean cosine of two maps of the class, and of one inside and one
    outside. paper: by which epoch the paper saw the pattern (Sec. 5.1).
    """
    columns = ["name", "group", "formation", "half_correct", "stabilisation", "accuracy"]
    columns += ["within_class", "between_classes"]
    table = _analysis_table(run, "classes")[columns].rename(columns={"name": "class"})
    by_paper = [table1.PAPER_FORMATION.get(name.split(",")[0]) for name in table["class"]]
    order = table["formation"].where(table["formation"] > 0, np.inf)
    return table.assign(paper=pd.array(by_paper, "Int64")).iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def formation_counts(classes: pd.DataFrame, epochs: Sequence[int]) -> pd.DataFrame:
    """A row per epoch, classes by then: formed (the pattern has its final form), half_correct, stabilised (median)."""
    reached = {"formed": "formation", "half_correct": "half_correct", "stabilised": "stabilisation"}
    rows = [
        {"epoch": epoch}
        | {name: int(((classes[column] > 0) & (classes[column] <= epoch)).sum()) for name, column in reached.items()}
        for epoch in epochs
    ]
    return pd.DataFrame(rows)


def failure_detection(run: Run) -> pd.DataFrame:
    """The failure-detection ranking of confidence scores with 95 % intervals, best AUROC first."""
    return _analysis_table(run, "failure_ranking")


def throughput(run: Run) -> pd.DataFrame:
    """A row per epoch: images and passes a second, gigabytes, recording's share, share of time waiting for the disk.

    waiting_share: of the time of the epoch, that in which training or the network waited for the writer (its queue
    full, or the epoch before not yet sealed); missing in runs that did not record it.
    """
    metrics = run.metrics()
    sizes = [sum(path.stat().st_size for path in run.path.glob(f"epochs/{epoch:04d}*.h5")) for epoch in run.epochs]
    seconds = metrics["train_seconds"] + metrics["record_seconds"]
    table = pd.DataFrame(
        {
            "epoch": metrics["epoch"],
            "train_seconds": metrics["train_seconds"],
            "training_images_per_second": metrics["train_images_per_second"],
            "record_seconds": metrics["record_seconds"],
            "recording_passes_per_second": len(run.labels) * len(run.variants) / metrics["record_seconds"],
            "gigabytes": np.array(sizes) / 1e9,
            "recording_share": metrics["record_seconds"] / seconds,
        }
    )
    if all(name in metrics for name in WAITS):
        waits = {name: metrics[name] for name in WAITS}
        table = table.assign(**waits, waiting_share=sum(waits.values()) / seconds)
    if "checkpoint_seconds" in metrics:
        table = table.assign(checkpoint_seconds=metrics["checkpoint_seconds"])
    return table


def differences(run: Run) -> pd.DataFrame:
    """Every setting in which the run is not the paper's: setting, paper, run; then what no setting says."""
    paper, recorded = as_dict(load_profile("paper")), run.configuration
    rows = []
    for section in SETTINGS_COMPARED:
        theirs, ours = _flat(paper[section]), _flat(recorded.get(section, {}))
        for key in [*theirs, *(key for key in ours if key not in theirs and key != "sha256")]:
            pair = ["" if value is None else str(value) for value in (theirs.get(key), ours.get(key))]
            if key in ours and pair[0] != pair[1]:
                rows.append((f"{section}.{key}", *pair))
    rows.append(("arithmetic", "float32", str(recorded.get("training", {}).get("precision", "?"))))
    loaded = run.provenance.get("initial_weights", {})
    if loaded.get("missing"):
        missing = ", ".join(name.removeprefix("encoder.") for name in loaded["missing"])
        drawn = f"{len(loaded['loaded'])} tensors loaded, {len(loaded['missing'])} drawn at random: {missing}"
        rows.append(("initial weights", "all of ResNet-18's encoder", drawn))
    rows.append(("validation images", table1.PAPER_VALIDATION_IMAGES, f"all {len(run.labels):,}"))
    return pd.DataFrame(rows, columns=["setting", "paper", "run"])


def _analysis_table(run: Run, name: str) -> pd.DataFrame:
    analysis = read_analysis(run)
    if analysis is None:
        raise ValueError(f"The run '{run.path}' has no analysis. Compute it with: python -m compute analyse {run.path}")
    return analysis.table(name)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


TABLES: dict[str, Callable[[Run], pd.DataFrame]] = {  # name of the CSV file -> table
    "table1": paper_table_1,
    "figure2": figure_2,
    "variants": variants,
    "formation": formation,
    "failure_detection": failure_detection,
    "throughput": throughput,
    "differences": differences,
}
