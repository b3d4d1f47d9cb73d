"""What every section of docs/findings.md starts from: a run with its analysis, and figures with their intervals."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import document
from store import Run, open_run
from store.analysis import Analysis, from_table, read_analysis
from store.analysis.analyse import analyse
from store.metrics.intervals import wilson

Rows = Mapping[str, str]


@dataclass(frozen=True)
class AnalysedRun:
    """A run with its analysis, and the processor seconds that the analysis took (NaN where it was there already)."""

    run: Run
    analysis: Analysis
    seconds: float

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.path.name

    @property
    def last(self) -> dict[str, Any]:
        """The clean images at the last epoch, as arguments of the run's methods."""
        return {"epoch": self.run.epochs[-1], "variant": self.run.variants[0]}

    @property
    def is_phantom(self) -> bool:
        """Whether the images were drawn, so that the correct predictions under each perturbation are known."""
        return self.setting("data", "source") == "phantom"

    def setting(self, section: str, name: str) -> str:
        """A setting of the run's configuration; '–' where there is none."""
        values = self.run.configuration.get(section, {})
        return str(values.get(name, "–") if isinstance(values, dict) else values)

    def predictions(self, variant: str = "") -> NDArray[np.int64]:
        """Predicted class of every image at the last epoch, (N,); of the clean images unless a variant is named."""
        at = self.last | ({"variant": variant} if variant else {})
        return self.run.column("prediction", **at)

    def sentences(self, *kinds: str) -> list[str]:
        """Texts of the run's findings of these kinds."""
        return [finding.text for finding in from_table(self.analysis.table("findings")) if finding.kind in kinds]


def read_analysed(path: Path, *, keep: bool) -> AnalysedRun:
    """The run at `path` with its analysis, computed again and timed unless `keep`.

    Raises:
        ValueError: with `keep`, there is no analysis.
    """
    run, seconds = open_run(path), math.nan
    if not keep:
        before = resource.getrusage(resource.RUSAGE_SELF)
        analyse(run)
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    analysis = read_analysis(run)
    if analysis is None:
        raise ValueError(f"The run '{path}' has no analysis. Leave out --keep to compute it.")
    return AnalysedRun(run, analysis, seconds)


def figures_table(analysed: Sequence[AnalysedRun], rows: Callable[[AnalysedRun], Rows]) -> str:
    """A Markdown table with a row for each figure and a column for each run; '–' where a run has no such figure."""
    columns = [rows(each) for each in analysed]
    labels = dict.fromkeys(label for column in columns for label in column)
    cells = [(label, *(column.get(label, "–") for column in columns)) for label in labels]
    return document.table(("", *(each.name for each in analysed)), cells, text_columns=1 + len(columns))


def share(successes: float, of: float) -> str:
    """A share with its Wilson interval: '27.1 % [24.4, 30.0] (256 of 945)'."""
    if not of:
        return "–"
    low, high = (100 * float(edge) for edge in wilson(successes, of))
    return f"{100 * successes / of:.1f} % [{low:.1f}, {high:.1f}] ({int(successes)} of {int(of)})"


def figure(value: float, low: float, high: float, digits: int = 3) -> str:
    """A figure with its interval: '0.31 [0.30, 0.32]'; alone where that is endless, '–' where there is no figure."""
    if math.isnan(value):
        return "–"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
