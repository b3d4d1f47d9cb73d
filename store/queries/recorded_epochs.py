"""What was recorded about the epochs themselves: their metrics and their labels.

Both are in every epoch's file, and in the analysis: of a run at a URL, the analysis saves fetching all epochs to draw a
curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from store.analysis.analysis_file import readable_analysis
from store.read.run import Run


def recorded_metrics(run: Run, *, epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """A row per epoch, or for some, with the columns of `Run.metrics`.

    >>> queries.recorded_metrics(run)["epoch"].tolist()
    [1, 2, 3]
    """
    analysis = readable_analysis(run, "epoch_metrics")
    if analysis is None:
        return run.metrics(epochs)
    rows = analysis.table("epoch_metrics")
    names = rows["name"].unique()
    known = rows.pivot(index="epoch", columns="name", values="value").reindex(columns=names).rename_axis(columns=None)
    chosen = run.epochs if epochs is None else epochs
    known = known.reindex([epoch for epoch in chosen if epoch in analysis.epochs]).rename_axis("epoch")
    others = run.metrics([epoch for epoch in chosen if epoch not in analysis.epochs])
    together = pd.concat([known.reset_index(), others]) if len(others) else known.reset_index()
    return together.sort_values("epoch", ignore_index=True)


def epoch_label(run: Run, epoch: int) -> str:
    """`Run.epoch_label`: the name of an epoch for people, empty where it has none.

    >>> queries.epoch_label(run, 3)
    ''
    """
    analysis = None if run.source.is_local else readable_analysis(run, "epoch_labels")
    if analysis is None or epoch not in analysis.epochs:
        return run.epoch_label(epoch)
    return str(analysis.table("epoch_labels").set_index("epoch")["label"].get(epoch, ""))
