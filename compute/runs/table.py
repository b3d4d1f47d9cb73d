"""Table 1 of the paper from recorded runs: one row a run, from what is in its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import BadOption
from store import Run, open_run

HEADINGS = ("run", "network", "data", "initial weights", "epochs", "top-1 %", "top-5 %", "M parameters", "minutes")
NUMERIC_FROM = 4  # headings from here on are numbers, aligned to the right


@dataclass(frozen=True)
class Row:
    """One run's line, of its last sealed epoch."""

    run: str
    network: str
    data: str
    weights: str
    epochs: str
    top1: float
    top5: float
    parameters: float
    minutes: float

    def cells(self) -> tuple[str, ...]:
        """The texts of the row, in the order of HEADINGS."""
        numbers = f"{self.top1:.2%}", f"{self.top5:.2%}", f"{self.parameters / 1e6:.2f}", f"{self.minutes:.1f}"
        return (self.run, self.network, self.data, self.weights, self.epochs, *(n.rstrip("%") for n in numbers))


def rows(paths: Sequence[str | Path]) -> list[Row]:
    """The rows of the runs in the order given.

    Raises:
        RunNotFound, SchemaMismatch, DamagedFile: a run cannot be read.
        BadOption: a run has no sealed epoch yet.
    """
    return [_row(open_run(path)) for path in paths]


def render(table: Sequence[Row], *, markdown: bool = False) -> str:
    """The table as aligned text or as Markdown."""
    lines = [HEADINGS, *(row.cells() for row in table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = [
        [
            text.rjust(width) if column >= NUMERIC_FROM else text.ljust(width)
            for column, (text, width) in enumerate(cells)
        ]
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    if not markdown:
        return "\n".join("  ".join(line).rstrip() for line in padded)
    rule = ["-" * (width - 1) + ":" if column >= NUMERIC_FROM else "-" * width for column, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])


def _row(run: Run) -> Row:
    if not run.epochs:
        raise BadOption(f"The run '{run.path}' has no sealed epoch yet, so it has no row. Let it finish one first.")
    metrics = run.metrics()
    seconds = sum(float(metrics[name].sum()) for name in ("train_seconds", "record_seconds") if name in metrics)
    last = metrics.iloc[-1]
    configuration, provenance = run.configuration, run.provenance
    planned = f"{len(run.epochs)}/{run.planned_epochs}" if run.planned_epochs else str(len(run.epochs))
    return Row(
        run=run.name,
        network=_named(configuration.get("model"), "name"),
        data=_named(provenance.get("data"), "name"),
        weights=_named(configuration.get("weights"), "source"),
        epochs=planned,
        top1=float(last.get("validation_top1", math.nan)),
        top5=float(last.get("validation_top5", math.nan)),
        parameters=float(provenance.get("parameters", math.nan)),
        minutes=seconds / 60,
    )


def _named(settings: Any, key: str) -> str:
    """What a section of the configuration says under a key; runs that others recorded may say it in a word, or not."""
    if isinstance(settings, Mapping):
        return str(settings.get(key, "?"))
    return "?" if settings is None else str(settings)
