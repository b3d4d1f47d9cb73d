"""The paper's Table 1 and Fig. 2 as data, and recorded runs beside them: the one place for both.

Source: X. Zhang, "Visualization of encoder-decoder structure of Deep Convolutional Neural Network", Table 1, Fig. 2 and
Sec. 5.1; the accuracies by epoch are listed in its author's repository (zxh009123/visualization-DCNNs-CSE261-W19-UCSC).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from store.errors import NotInRun
from store.metrics.intervals import wilson
from store.queries.accuracy import accuracy_by_variant, balanced_accuracy, majority_share
from store.queries.recorded_epochs import recorded_metrics
from store.queries.replicates import group_name, replicate_key, training_seed
from store.rates import percent
from store.read.run import Run

PROPOSED_TOP1, PROPOSED_TOP5 = 0.5378, 0.6109
PAPER_ROWS: tuple[tuple[str, str, str, int | None, float, float], ...] = (
    # name, network, data, epochs, top-1, top-5
    ("Baseline", "ResNet-18, fine-tuned", "Tiny ImageNet", None, 0.5280, 0.7331),
    ("Pre-trained ResNet-18", "ResNet-18", "ImageNet, 224×224", None, 0.6976, 0.8908),
    ("Proposed", "encoder-decoder", "Tiny ImageNet", 80, PROPOSED_TOP1, PROPOSED_TOP5),
)
# Fig. 2: epoch -> top-1 on the validation images, as the author's repository lists them.
PAPER_TOP1_BY_EPOCH = {
    **{1: 0.0486, 2: 0.0934, 3: 0.1198, 4: 0.1464, 5: 0.1710, 10: 0.2632, 15: 0.3572, 20: 0.4196},
    **{25: 0.4538, 36: 0.5014, 46: 0.5212, 60: 0.5318, 70: 0.5378, 80: 0.5360},
}
PAPER_VALIDATION_IMAGES = "probably 5,000 (its accuracies are multiples of 1/5,000)"
PAPER_FORMATION = {"school bus": 5, "sock": 10, "brown bear": 30}  # Sec. 5.1: by which epoch the map has formed
PAPER_MACHINE = "one K80, about 12 hours"

_FACTS = ("name", "source", "network", "data", "weights", "epochs", "planned_epochs", "epoch")
_ACCURACIES = ("top1", "top1_low", "top1_high", "balanced", "majority", "top5", "top5_low", "top5_high")
COLUMNS = (*_FACTS, *_ACCURACIES, "parameters", "minutes", "trainings", "top1_sd", "top5_sd")


def recorded_result(run: Run, *, best: bool = False, epochs: Sequence[int] | None = None) -> dict[str, Any]:
    """One run's row of `table1`: its last epoch, or with `best` the one with the highest clean top-1, of all or some.

    Raises:
        NotInRun: the run has no complete epoch yet.
    """
    if not run.epochs:
        raise NotInRun(f"The run '{run.path}' has no complete epoch yet, so it has no row. Let it finish one first.")
    accuracy = accuracy_by_variant(run, epochs=epochs)
    clean = accuracy[accuracy["variant"] == run.variants[0]].set_index("epoch")
    epoch = int(clean["top1"].idxmax()) if best else int(clean.index[-1])
    metrics, images = recorded_metrics(run, epochs=epochs), len(run.labels)
    seconds = sum(float(metrics[name].sum()) for name in ("train_seconds", "record_seconds") if name in metrics)
    row: dict[str, Any] = {
        "name": run.path.name,
        "source": "recorded",
        "network": setting_name(run.configuration.get("model")),
        "data": setting_name(run.provenance.get("data") or run.configuration.get("data")),
        "weights": setting_name(run.configuration.get("weights")),
        "epochs": sum(epoch > 0 for epoch in run.epochs),  # epoch 0 was not trained
        "planned_epochs": run.planned_epochs or None,
        "epoch": epoch,
        "parameters": run.provenance.get("parameters", math.nan),
        "minutes": seconds / 60,
        **{"replicate_key": replicate_key(run), "seed": training_seed(run), "group": group_name(run)},
    }
    row |= {"balanced": balanced_accuracy(run, epoch=epoch), "majority": majority_share(run)}
    for name in ("top1", "top5"):
        share = float(clean.loc[epoch, name])
        low, high = wilson(round(share * images), images)
        row |= {name: share, f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def table1(results: Iterable[Mapping[str, Any]], *, paper: bool = True) -> pd.DataFrame:
    """Recorded runs, then the paper's rows unless `paper` is False; the columns are COLUMNS.

    name, source ("recorded" or "paper"), network, data, weights (the initial ones), epochs and
    planned_epochs (counts), epoch (that the figures are of), top1 and top5 (fractions, all validation images, clean)
    with their 95 % Wilson intervals of the images, balanced (mean accuracy of the classes), majority (what always
    predicting the largest class would reach), parameters (count), minutes (of training and recording). Trainings of
    several seeds have a further row before them: the means, with trainings (count) and top1_sd and top5_sd, the
    standard deviations over trainings. What is not known is missing.

    Args:
        results: of `recorded_result`.
    """
    names = ("name", "network", "data", "epochs", "top1", "top5")
    quoted = [{"source": "paper", **dict(zip(names, row, strict=True))} for row in PAPER_ROWS if paper]
    rows = [*_with_means(list(results)), *quoted]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(("epochs", "planned_epochs", "epoch"), "Int64"))


def _with_means(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows; those of trainings that differ in their seed alone together, with a row of means before them."""
    by_key: dict[Any, dict[Any, Mapping[str, Any]]] = {}
    for number, row in enumerate(results):
        by_key.setdefault(row.get("replicate_key") or number, {}).setdefault(row.get("seed", number), row)
    groups = {key: list(rows.values()) for key, rows in by_key.items() if len(rows) > 1}
    ordered: list[Mapping[str, Any]] = []
    for number, row in enumerate(results):
        key = row.get("replicate_key") or number
        if key not in groups:
            ordered.append(row)
        elif groups[key]:
            ordered += [_mean_row(groups[key]), *(each for each in results if each.get("replicate_key") == key)]
            groups[key] = []
    return ordered


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row for trainings of several seeds: mean accuracies and their standard deviation (n - 1) over trainings."""
    shared = ("source", "network", "data", "weights", "planned_epochs", "parameters", "majority")
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("top1", "balanced", "top5", "minutes")}
    deviations = {f"{name}_sd": float(np.std([row[name] for row in rows], ddof=1)) for name in ("top1", "top5")}
    one_epoch = len({row["epoch"] for row in rows}) == 1
    return {
        "name": f"{rows[0]['group']}: mean of {len(rows)} trainings",
        **{name: rows[0][name] for name in shared},
        "epochs": min(row["epochs"] for row in rows),
        "epoch": rows[0]["epoch"] if one_epoch else None,
        "trainings": len(rows),
        **means,
        **deviations,
    }


def as_text(table: pd.DataFrame, *, markdown: bool = False, intervals: bool = False) -> str:
    """The table as aligned text or as Markdown, accuracies in %, optionally with their 95 % intervals."""
    unit = "% [95 %]" if intervals else "%"
    named = ("run", "network", "data", "initial weights")
    shares = (f"top-1 {unit}", "balanced %", "largest class %", f"top-5 {unit}")
    headings = (*named, "epochs", *shares, "M parameters", "minutes")
    lines = [headings, *(_cells(row, intervals=intervals) for row in table.to_dict("records"))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    numeric_from = len(named)  # from here on aligned to the right
    for number, line in enumerate(lines):
        left = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        right = [text.rjust(width) for text, width in zip(line, widths, strict=True)]
        lines[number] = (*left[:numeric_from], *right[numeric_from:])
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in lines)
    rule = ["-" * (width - 1) + ":" if column >= numeric_from else "-" * width for column, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def _cells(row: Mapping[Any, Any], *, intervals: bool) -> tuple[str, ...]:
    def text(name: str, template: str = "{}", scale: float = 1) -> str:
        return "–" if pd.isna(row[name]) else template.format(row[name] if scale == 1 else row[name] * scale)

    def share(name: str) -> str:
        shown = "–" if pd.isna(row[name]) else percent(row[name], 2).removesuffix(" %")
        if not pd.isna(row.get(f"{name}_sd", math.nan)):
            return f"{shown} ± {100 * row[f'{name}_sd']:.2f}"  # over trainings, not over images
        if f"{name}_low" not in row:
            return shown
        low, high = text(f"{name}_low", "{:.1f}", 100), text(f"{name}_high", "{:.1f}", 100)
        return f"{shown} [{low}, {high}]" if intervals and not pd.isna(row[f"{name}_low"]) else shown

    epochs = text("epochs") + ("" if pd.isna(row["planned_epochs"]) else text("planned_epochs", "/{}"))
    facts = (text("name"), text("network"), text("data"), text("weights"), epochs)
    shares = map(share, ("top1", "balanced", "majority", "top5"))
    return (*facts, *shares, text("parameters", "{:.2f}", 1e-6), text("minutes", "{:.1f}"))


def setting_name(value: Any) -> str | None:
    """The name in a section of the configuration; runs of other programs may have a plain text there, or nothing."""
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("source")
    return str(value) if value else None
