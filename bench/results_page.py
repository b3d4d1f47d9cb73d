"""The Markdown page of a recorded run: the paper's figures beside ours, every difference named, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench import results, surroundings
from store import Run
from store.queries import table1


@dataclass(frozen=True)
class Facts:
    """What the run's own files do not say."""

    title: str
    command: str
    verification: str  # what `store verify` found, in words
    note: str = ""  # what a reader should know besides


def page(run: Run, tables: Mapping[str, pd.DataFrame], facts: Facts) -> str:
    """The whole page; its links are the files beside it."""
    last = run.metrics().iloc[-1]
    sections = [
        f"# {facts.title}: {last['validation_top1']:.2%} top-1, {last['validation_top5']:.2%} top-5 "
        f"after {len(run.epochs)} epochs",
        _origin(run, facts),
        "## Table 1",
        table1.as_text(tables["table1"], markdown=True, intervals=True),
        _reading(run, last),
        "## Every difference to the paper",
        markdown(tables["differences"]),
        "## Fig. 2: loss and accuracy",
        "![Loss and accuracy over the epochs](figure2.svg)",
        _figure_2(tables["figure2"]),
        "## Accuracy of the variants",
        _variants(run, tables["variants"]),
        "## When the patterns form",
        _formation(run, tables["formation"]),
        "![The pattern of every class](patterns.webp)",
        "## Does the pattern betray a wrong prediction?",
        _failure_ranking(tables["failure_detection"]),
        "## What it cost",
        _throughput(run, tables["throughput"]),
    ]
    return "\n\n".join(sections) + "\n"


def _origin(run: Run, facts: Facts) -> str:
    found = run.provenance
    machine, libraries = found.get("machine", {}), found.get("libraries", {})
    data, code = found.get("data", {}), found.get("code", {})
    lines = [
        f"`{facts.command}`",
        f"Recorded {found.get('created', '?')} on {machine.get('device_name', '?')} "
        f"({machine.get('processor', '?')}), processes: {machine.get('processes', 1)}; "
        f"{', '.join(f'{name} {version}' for name, version in libraries.items())}, Python {found.get('python', '?')}.",
        f"Code {str(code.get('commit') or code.get('sha256', '?'))[:12]}; data {data.get('name', '?')}, SHA-256 "
        f"{str(data.get('sha256', '?'))[:12]}: {data.get('training_images', 0):,} training and "
        f"{data.get('validation_images', 0):,} validation images.",
        f"Summarised {surroundings.now()}. `store verify`: {facts.verification}.",
    ]
    lines += [facts.note] if facts.note else []
    return "  \n".join(lines)


def _reading(run: Run, last: Mapping[str, Any]) -> str:
    """The run against the paper's network in one sentence each way."""
    gaps = (
        ("top-1", last["validation_top1"] - table1.PROPOSED_TOP1),
        ("top-5", last["validation_top5"] - table1.PROPOSED_TOP5),
    )
    reported = " and ".join(
        f"{abs(100 * gap):.1f} points {'above' if gap >= 0 else 'below'} in {name}" for name, gap in gaps
    )
    return (
        f"Against the paper's {table1.PROPOSED_TOP1:.2%} and {table1.PROPOSED_TOP5:.2%} this run is {reported}. "
        "The two cannot be compared as recipes: "
        "the differences are listed next. Intervals are Wilson's and cover the choice of images, not of the seed."
    )


def _figure_2(table: pd.DataFrame) -> str:
    headings = (
        "epoch",
        "loss, training",
        "validation",
        "top-1 %, training",
        "validation",
        "top-5 %, validation",
        "paper",
    )
    rows = [
        (
            f"{row['epoch']:.0f}",
            *(f"{row[name]:.3f}" for name in ("train_loss", "validation_loss")),
            *(f"{100 * row[name]:.2f}" for name in ("train_top1", "validation_top1", "validation_top5")),
            "" if pd.isna(row["paper_validation_top1"]) else f"{100 * row['paper_validation_top1']:.2f}",
        )
        for row in table.to_dict("records")
    ]
    note = (
        "Training figures are of augmented images while the network still changed. The last column is the top-1 % "
        "that the paper's author lists for that epoch of 80."
    )
    return rendered(headings, rows, right_from=0) + "\n\n" + note


def few(epochs: Sequence[int], *, most: int = 10) -> list[int]:
    """At most so many of the epochs, evenly spaced, the first and the last among them."""
    places = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return [int(epochs[place]) for place in places]


def _variants(run: Run, table: pd.DataFrame) -> str:
    """Top-1 by epoch; top-5, confidence and changed predictions of the last epoch."""
    shown, rows = few(run.epochs), []
    for variant in run.variants:
        own = table[table["variant"] == variant].set_index("epoch")
        path = (f"{100 * own.loc[epoch, 'top1']:.1f}" for epoch in shown)
        rest = (f"{100 * own.iloc[-1][name]:.1f}" for name in ("top5", "mean_confidence", "flip_rate"))
        rows.append((variant, *path, *rest))
    epochs = [f"epoch {epoch}" if place == 0 else f"{epoch}" for place, epoch in enumerate(shown)]
    headings = ["top-1 %", *epochs, "last top-5 %", "confidence %", "changed predictions %"]
    return rendered(headings, rows, right_from=1)


def _formation(run: Run, table: pd.DataFrame) -> str:
    counts = results.formation_counts(table, few(run.epochs))
    rows = [tuple(f"{value}" for value in row) for row in counts.itertuples(index=False)]
    headings = (
        "by epoch",
        "patterns in their final form",
        "classes with half their images right",
        "predictions settled",
    )
    named = table[table["paper"].notna()]
    reported = [
        f"- {row['class']}: pattern {_epoch(row['formation'])}, half right {_epoch(row['half'])}; "
        f"the paper saw it by epoch {row['paper']} of 80"
        for row in named.to_dict("records")
    ]
    cosines = f"Mean cosine of two maps of one class {table['within'].mean():.3f}, "
    cosines += f"of a map of the class and one outside {table['between'].mean():.3f}. A prediction that changed at the "
    cosines += "last epoch settles there."
    return "\n\n".join([rendered(headings, rows, right_from=0), cosines, *(["\n".join(reported)] if reported else [])])


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
    return rendered(headings, rows, right_from=2) + "\n\n" + note


def _throughput(run: Run, table: pd.DataFrame) -> str:
    names = {
        "epoch": ("epoch", "{:.0f}"),
        "training_images_per_second": ("training images/s", "{:,.0f}"),
        "recording_passes_per_second": ("recorded passes/s", "{:,.0f}"),
        "gigabytes": ("GB", "{:.2f}"),
        "train_seconds": ("training, s", "{:.0f}"),
        "record_seconds": ("recording, s", "{:.0f}"),
        "recording_share": ("recording's share", "{:.1%}"),
        "waiting_share": ("waiting for the disk", "{:.1%}"),
    }
    shown = {name: form for name, form in names.items() if name in table}
    rows = [tuple(form.format(row[name]) for name, (_, form) in shown.items()) for row in table.to_dict("records")]
    total = f"{results.training_minutes(run):.0f} minutes in all, {table['gigabytes'].sum():.1f} GB of epochs"
    share = table["record_seconds"].sum() / (table["record_seconds"] + table["train_seconds"]).sum()
    waits = "" if "waiting_share" in table else " This run did not record how long it waited for the disk."
    note = (
        f"{total}; recording took {share:.1%} of the time.{waits} The paper: {table1.PAPER_MACHINE}, nothing recorded."
    )
    return rendered([heading for heading, _ in shown.values()], rows, right_from=0) + "\n\n" + note


def markdown(table: pd.DataFrame) -> str:
    """A frame of texts as a Markdown table."""
    return rendered(list(table.columns), [tuple(map(str, row)) for row in table.itertuples(index=False)], right_from=99)


def rendered(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right_from: int) -> str:
    """A Markdown table; columns from `right_from` on are aligned to the right."""
    rule = ["---:" if column >= right_from else "---" for column in range(len(headings))]
    lines = [headings, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
