"""The Markdown page of a recorded run: the paper's figures beside ours, every difference named, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench import document, results
from store import Run
from store.queries import table1


@dataclass(frozen=True)
class Origin:
    """What the run's own files do not say: the page's title, the command, what `store verify` found, and a note."""

    title: str
    command: str
    verification: str
    note: str = ""


def results_page(run: Run, tables: Mapping[str, pd.DataFrame], origin: Origin) -> str:
    """The whole page; its links are the files beside it."""
    last, differences = run.metrics().iloc[-1], tables["differences"]
    sections = [
        f"# {origin.title}: {last['validation_top1']:.2%} top-1, {last['validation_top5']:.2%} top-5 "
        f"after {len(run.epochs)} epochs",
        _origin(run, origin),
        "## Table 1",
        table1.as_text(tables["table1"], markdown=True, intervals=True),
        _comparison(last),
        "## Every difference to the paper",
        document.table(list(differences), differences.to_numpy().tolist(), text_columns=3),
        "## Fig. 2: loss and accuracy",
        "![Loss and accuracy over the epochs](figure2.svg)",
        _figure_2(tables["figure2"]),
        "## Accuracy of the variants",
        _variants(run, tables["variants"]),
        "## When the patterns form",
        _formation(run, tables["formation"]),
        "![The pattern of every class](patterns.webp)",
        "## Which score detects wrong predictions best?",
        _failure_ranking(tables["failure_detection"]),
        "## Time and disk",
        throughput(tables["throughput"]),
    ]
    return "\n\n".join(sections) + "\n"


def _origin(run: Run, origin: Origin) -> str:
    recorded = run.provenance
    machine, libraries = recorded.get("machine", {}), recorded.get("libraries", {})
    data, code = recorded.get("data", {}), recorded.get("code", {})
    lines = [
        f"`{origin.command}`",
        f"Recorded {recorded.get('created', '?')} on {machine.get('device_name', '?')} "
        f"({machine.get('processor', '?')}), processes: {machine.get('processes', 1)}; "
        f"{', '.join(f'{name} {version}' for name, version in libraries.items())}, "
        f"Python {recorded.get('python', '?')}.",
        f"Code {str(code.get('commit') or code.get('sha256', '?'))[:12]}; data {data.get('name', '?')}, SHA-256 "
        f"{str(data.get('sha256', '?'))[:12]}: {data.get('training_images', 0):,} training and "
        f"{data.get('validation_images', 0):,} validation images.",
        f"Summarised {document.now()}. `store verify`: {origin.verification}.",
    ]
    return "  \n".join(lines + ([origin.note] if origin.note else []))


def _comparison(last: Mapping[str, Any]) -> str:
    """The run beside the paper's network, in a sentence."""
    pairs = {"top1": table1.PROPOSED_TOP1, "top5": table1.PROPOSED_TOP5}
    gaps = {name: 100 * (last[f"validation_{name}"] - value) for name, value in pairs.items()}
    text = " and ".join(
        f"{abs(gap):.1f} points {'above' if gap >= 0 else 'below'} in top-{name[-1]}" for name, gap in gaps.items()
    )
    return (
        f"Against the paper's {table1.PROPOSED_TOP1:.2%} and {table1.PROPOSED_TOP5:.2%} this run is {text}. The "
        "recipes differ, as listed next. Intervals are Wilson's and cover the choice of images, not of the seed."
    )


def _figure_2(table: pd.DataFrame) -> str:
    columns = {
        "epoch": ("epoch", "{:.0f}"),
        "train_loss": ("loss, training", "{:.3f}"),
        "validation_loss": ("validation", "{:.3f}"),
        "train_top1": ("top-1, training", "{:.2%}"),
        "validation_top1": ("validation", "{:.2%}"),
        "validation_top5": ("top-5, validation", "{:.2%}"),
        "paper_validation_top1": ("paper", "{:.2%}"),
    }
    note = (
        "Training figures are of augmented images while the network still changed. The last column is the top-1 that "
        "the paper's author lists for that epoch of 80."
    )
    return f"{_columns_table(table, columns)}\n\n{note}"


def _columns_table(table: pd.DataFrame, columns: Mapping[str, tuple[str, str]], *, text_columns: int = 0) -> str:
    """Columns of a frame as Markdown: their headings and formats; missing values and columns stay out."""
    shown = {name: form for name, (_, form) in columns.items() if name in table}
    rows = [
        ["" if pd.isna(row[name]) else form.format(row[name]) for name, form in shown.items()]
        for row in table.to_dict("records")
    ]
    return document.table([columns[name][0] for name in shown], rows, text_columns=text_columns)


def select_epochs(epochs: Sequence[int], *, most: int = 10) -> list[int]:
    """At most so many of the epochs, evenly spaced, the first and the last among them."""
    positions = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return [int(epochs[position]) for position in positions]


def _variants(run: Run, table: pd.DataFrame) -> str:
    """Top-1 by epoch; top-5, confidence and changed predictions of the last epoch."""
    shown, rows = select_epochs(run.epochs), []
    for variant in run.variants:
        own = table[table["variant"] == variant].set_index("epoch")
        by_epoch = (f"{100 * own.loc[epoch, 'top1']:.1f}" for epoch in shown)
        rows.append((variant, *by_epoch, *(f"{100 * own.iloc[-1][name]:.1f}" for name in _LAST_OF_VARIANT)))
    epochs = [f"epoch {epoch}" if not at else f"{epoch}" for at, epoch in enumerate(shown)]
    return document.table(("top-1 %", *epochs, *_LAST_OF_VARIANT.values()), rows)


_LAST_OF_VARIANT = {"top5": "last top-5 %", "mean_confidence": "confidence %", "flip_rate": "changed predictions %"}


def _formation(run: Run, table: pd.DataFrame) -> str:
    counts = results.formation_counts(table, select_epochs(run.epochs))
    headings = ("by epoch", "patterns in their final form", "classes with half their images correct", "stabilised")
    named = [
        f"- {row['class']}: pattern {_epoch(row['formation'])}, half correct {_epoch(row['half_correct'])}; "
        f"the paper saw it by epoch {row['paper']} of 80"
        for row in table[table["paper"].notna()].to_dict("records")
    ]
    cosines = (
        f"Mean cosine of two maps of one class {table['within_class'].mean():.3f}, of a map of the class and one "
        f"outside {table['between_classes'].mean():.3f}. Stabilised: classes half of whose images keep their "
        "prediction from then on; one that changed at the last epoch stabilises there."
    )
    counted = document.table(headings, counts.to_numpy().tolist(), text_columns=0)
    return "\n\n".join([counted, cosines, *(["\n".join(named)] if named else [])])


def _epoch(value: float) -> str:
    return "not reached" if value < 0 else f"epoch {value:.0f}"


def _failure_ranking(table: pd.DataFrame) -> str:
    rows = []
    for row in table.to_dict("records"):
        gain = f"{row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]" if row["gain"] else ""
        auroc = f"{row['auroc']:.3f} [{row['auroc_low']:.3f}, {row['auroc_high']:.3f}]"
        rows.append((row["label"], row["kind"], auroc, gain, f"{row['fpr95']:.3f}", f"{row['aurc']:.3f}"))
    headings = ("score", "kind", "AUROC [95 %]", "against the maximum softmax [95 %, jointly]", "FPR95", "AURC")
    first = table.iloc[0]
    note = f"Of {first['images']:,} images on which nothing was fitted, {first['errors']:,} of them wrong."
    return f"{document.table(headings, rows, text_columns=2)}\n\n{note}"


def throughput(table: pd.DataFrame) -> str:
    """Rates and sizes by epoch, and the sums."""
    columns = {
        "epoch": ("epoch", "{:.0f}"),
        "training_images_per_second": ("training images/s", "{:,.0f}"),
        "recording_passes_per_second": ("recorded passes/s", "{:,.0f}"),
        "gigabytes": ("GB", "{:.2f}"),
        "train_seconds": ("training, s", "{:.0f}"),
        "record_seconds": ("recording, s", "{:.0f}"),
        "recording_share": ("recording's share", "{:.1%}"),
        "waiting_share": ("waiting for the disk", "{:.1%}"),
    }
    recording, seconds = table["record_seconds"].sum(), (table["record_seconds"] + table["train_seconds"]).sum()
    waits = "" if "waiting_share" in table else " This run did not record how long it waited for the disk."
    note = (
        f"{seconds / 60:.0f} minutes in all, {table['gigabytes'].sum():.1f} GB of epochs; recording took "
        f"{recording / seconds:.1%} of the time.{waits} The paper: {table1.PAPER_MACHINE}, nothing recorded."
    )
    return f"{_columns_table(table, columns)}\n\n{note}"
