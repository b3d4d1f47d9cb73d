"""Images that went wrong, filtered and sorted, and images whose prediction changed between two states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from store.analysis.analysis_file import read_analysis
from store.analysis.confidence_scores import REFERENCE, score_values
from store.metrics.persistence import at_most_per_pair
from store.read.run import Run

ACROSS_EPOCHS = (
    "history",
    "forgetting_count",
    "flips",
    "error_run",
    "persistence",
    "self_confidence",
    "label_issue",
    "cluster",
)


@dataclass(frozen=True)
class FailureFilter:
    """Which mistakes to list. None leaves a thing open; ranges include both ends.

    true class, predicted: class indices. group: of the true class. cells: range of k*. margin: range of P of the first minus P of
    the second. entrenchment: range of epochs x confidence x agreement. history: one of
    `store.metrics.learning.HISTORIES`. min_error_run: epochs with this same wrong prediction. label_issues: candidates only.
    sort: any column of the result, largest first unless `ascending`. most_per_pair: at most so many of each
    (true class, predicted) pair.
    """

    true_class: int | None = None
    predicted_class: int | None = None
    group: str | None = None
    confidence: tuple[float, float] = (0.0, 1.0)
    cells: tuple[float, float] | None = None
    margin: tuple[float, float] | None = None
    persistence: tuple[float, float] | None = None
    history: str | None = None
    min_error_run: int = 0
    label_issues: bool = False
    sort: str = "confidence"
    ascending: bool = False
    most_per_pair: int | None = None


def failures(run: Run, *, epoch: int, variant: str = "clean", where: FailureFilter | None = None) -> pd.DataFrame:
    """A row per wrong prediction that passes the filter, with the columns of `Run.predictions`.

    A run with an analysis adds what it knows of the clean images over the epochs: history, forgetting_count, flips, run,
    entrenchment, self_confidence, label_issue and mode. Without one these columns are missing, and a filter on them
    passes everything.

    Raises:
        ValueError: `where.sort` is no column of the result.
    """
    table = run.predictions(epoch=epoch, variant=variant)
    analysis = read_analysis(run)
    if analysis is not None:
        table = pd.concat([table, analysis.table("images")[list(ACROSS_EPOCHS)]], axis=1)
    return select_failures(table, where or FailureFilter())


def select_failures(table: pd.DataFrame, where: FailureFilter) -> pd.DataFrame:
    """The rows of a table of predictions that `failures` lists, for a caller who has the table already.

    Raises:
        ValueError: `where.sort` is no column of the table.
    """
    if where.sort not in table:
        raise ValueError(f"Cannot sort by {where.sort!r}: the columns are {', '.join(table.columns)}.")
    table = table[_passes(table, where)].sort_values(where.sort, ascending=where.ascending, kind="stable")
    if where.most_per_pair is not None:
        kept = at_most_per_pair(np.arange(len(table)), table["label"], table["prediction"], most=where.most_per_pair)
        table = table.iloc[kept]
    return table.reset_index(drop=True)


def accepted_errors(
    run: Run, *, epoch: int, variant: str = "clean", score: str = REFERENCE, coverage: float = 0.5
) -> pd.DataFrame:
    """The mistakes that a point of the risk-coverage curve accepts, the most trusted first, with their `trust`.

    Accepted are the share `coverage` of the images with the highest scores, and all that tie with the last of them.

    Raises:
        ValueError: the coverage is not in 0..1, or no summary column gives the score.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"A coverage lies above 0 and up to 1, got {coverage}.")
    trust = score_values(run, score, epoch=epoch, variant=variant)
    threshold = np.sort(trust)[::-1][max(int(np.ceil(coverage * len(trust) - 1e-9)), 1) - 1]
    table = run.predictions(epoch=epoch, variant=variant).assign(trust=trust)
    table = table[~table["correct"] & (table["trust"] >= threshold)]
    return table.sort_values("trust", ascending=False, kind="stable", ignore_index=True)


def _passes(table: pd.DataFrame, where: FailureFilter) -> pd.Series:
    passes = ~table["correct"] & table["confidence"].between(*where.confidence)
    for column, wanted in (("label", where.true_class), ("prediction", where.predicted_class), ("group", where.group)):
        if wanted is not None:
            passes &= table[column] == wanted
    for column, span in (
        ("correction_cells", where.cells),
        ("margin", where.margin),
        ("persistence", where.persistence),
    ):
        if span is not None and column in table:
            passes &= table[column].between(*span)
    if "history" in table:
        if where.history is not None:
            passes &= table["history"] == where.history
        if where.label_issues:
            passes &= table["label_issue"]
        passes &= table["error_run"] >= where.min_error_run
    return passes


def flips(run: Run, *, before: tuple[int, str], after: tuple[int, str]) -> pd.DataFrame:
    """A row per image whose prediction differs between two states, each an (epoch, variant).

    image, name, label, true class, group, before and after (class indices), before_name, after_name, before_confidence,
    after_confidence, outcome ("lost", "gained" or "still wrong") and, of the second state, consistency; the largest
    change of the true class's probability first.
    """
    states = [
        {
            column: run.column(column, epoch=epoch, variant=variant)
            for column in ("prediction", "confidence", "label_probability", "consistency")
        }
        for epoch, variant in (before, after)
    ]
    first, second = (state["prediction"] for state in states)
    change = np.abs(states[0]["label_probability"] - states[1]["label_probability"])
    rows = np.flatnonzero(first != second)
    rows = rows[np.argsort(-change[rows], kind="stable")]
    names, labels = run.classes["name"].to_numpy(), run.labels[rows]
    outcome = np.where(first[rows] == labels, "lost", np.where(second[rows] == labels, "gained", "still wrong"))
    return pd.DataFrame(
        {
            "image": rows,
            "name": np.asarray(run.image_names, object)[rows],
            "label": labels,
            "true_class": names[labels],
            "group": run.classes["group"].to_numpy()[labels],
            "before": first[rows],
            "after": second[rows],
            "before_name": names[first[rows]],
            "after_name": names[second[rows]],
            "before_confidence": states[0]["confidence"][rows],
            "after_confidence": states[1]["confidence"][rows],
            "outcome": outcome,
            "consistency": states[1]["consistency"][rows],
        }
    )
