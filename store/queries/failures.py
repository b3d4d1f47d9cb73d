"""Wrong predictions: filtered and sorted, or those that a threshold on a confidence score accepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from store.analysis.analysis_file import readable_analysis
from store.analysis.confidence_scores import REFERENCE, score_values
from store.metrics.learning import at_most_per_pair
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
    """Which wrong predictions to list. None sets no condition; ranges include both ends.

    true_class, predicted_class: class indices. group: of the true class. cells: range of k*. margin: range of the
    probability of the first minus that of the second class. persistence: range of epochs x confidence x agreement.
    history: one of `store.metrics.learning.HISTORIES`. min_error_run: epochs with this same wrong prediction.
    label_issues: candidates only. sort: any column of the result, largest first unless `ascending`. most_per_pair: at
    most that many of each (true class, predicted class) pair.
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

    An analysis adds the columns ACROSS_EPOCHS, about the clean images over the epochs. Without
    one these columns are missing, and a filter on them has no effect.

    Raises:
        ValueError: `where.sort` is no column of the result.

    >>> queries.failures(run, epoch=3, where=queries.FailureFilter(confidence=(0.3, 1)))["image"].tolist()
    [15, 7]
    """
    table = run.predictions(epoch=epoch, variant=variant)
    analysis = readable_analysis(run, "images")
    if analysis is not None:
        table = pd.concat([table, analysis.table("images")[list(ACROSS_EPOCHS)]], axis=1)
    return select_failures(table, where or FailureFilter())


def select_failures(table: pd.DataFrame, where: FailureFilter) -> pd.DataFrame:
    """As `failures`, for a caller who has the table of predictions already.

    Raises:
        ValueError: `where.sort` is no column of the table.

    >>> queries.select_failures(run.predictions(epoch=3), queries.FailureFilter(most_per_pair=1))["image"].tolist()
    [15, 7]
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
    """The wrong predictions that a point of the risk-coverage curve accepts, most confident first.

    Columns: those of `Run.predictions` and confidence_score. Accepted are the share `coverage` of the images with the
    highest scores, and all that tie with the last of them.

    Raises:
        ValueError: the coverage is not in 0..1, or no summary column gives the score.

    >>> queries.accepted_errors(run, epoch=3, coverage=1.0)["image"].tolist()
    [15, 7]
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"The coverage must be above 0 and at most 1, got {coverage}.")
    values = score_values(run, score, epoch=epoch, variant=variant)
    threshold = np.sort(values)[::-1][max(int(np.ceil(coverage * len(values) - 1e-9)), 1) - 1]
    table = run.predictions(epoch=epoch, variant=variant).assign(confidence_score=values)
    table = table[~table["correct"] & (table["confidence_score"] >= threshold)]
    return table.sort_values("confidence_score", ascending=False, kind="stable", ignore_index=True)


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
