"""Look-alike letters: likeness of two classes' patterns against how often they are taken for each other."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.classes import likeness_points
from dashboard.charts.figure import Figure, drawing, rows
from dashboard.theme import LIGHT, Palette


def likeness_trend(likeness: np.ndarray, counts: np.ndarray, *, bins: int = 12) -> pd.DataFrame:
    """How often two classes are taken for each other, by how alike their patterns are, over all pairs.

    Args:
        likeness: (C, C) cosines of the patterns.
        counts: (C, C) pictures by truth and prediction.
        bins: equally wide ones between the least and the most alike pair.

    Returns:
        Columns likeness (mean of the bin), rate (of the pictures of both classes), pairs; empty bins are left out.
    """
    first, second = np.triu_indices(len(counts), 1)
    alike = likeness[first, second]
    taken = (counts + counts.T)[first, second]
    pictures = counts.sum(1)[first] + counts.sum(1)[second]
    if not len(alike):
        return pd.DataFrame({"likeness": [], "rate": [], "pairs": []})
    edges = np.linspace(alike.min(), alike.max(), bins + 1)[1:-1]
    table = pd.DataFrame({"bin": np.digitize(alike, edges), "likeness": alike, "taken": taken, "pictures": pictures})
    grouped = table.groupby("bin").agg(
        likeness=("likeness", "mean"), taken=("taken", "sum"), pictures=("pictures", "sum"), pairs=("taken", "size")
    )
    rate = grouped["taken"] / grouped["pictures"].clip(lower=1)
    return grouped.assign(rate=rate)[["likeness", "rate", "pairs"]].reset_index(drop=True)


def drawn(pairs: pd.DataFrame, trend: pd.DataFrame) -> pd.DataFrame:
    """Single pairs and the means over all pairs in one table, told apart by the column `row`: pair or mean."""
    return pd.concat([pairs.assign(row="pair"), trend.assign(row="mean")], ignore_index=True)


def likeness_chart(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Single pairs as points (a click chooses a 'pair') and the mean over all pairs as a line.

    Args:
        frame: from `drawn`.
        palette: colours for the background.
    """
    pairs = frame[frame["row"] == "pair"].drop(columns=["row", "pairs"])
    means = frame[frame["row"] == "mean"][["likeness", "rate", "pairs"]]
    return Figure(_likeness(palette), {"pairs": pairs, "means": means})


@drawing
def _likeness(palette: Palette) -> alt.TopLevelMixin:
    line = (
        rows("means")
        .mark_line(
            color=palette.prediction,
            strokeWidth=3,
            point=alt.OverlayMarkDef(color=palette.prediction, filled=True, size=50),
        )
        .encode(
            x=alt.X("likeness:Q"),
            y=alt.Y("rate:Q"),
            tooltip=[
                alt.Tooltip("likeness:Q", format=".2f"),
                alt.Tooltip("rate:Q", title="mean of all pairs", format=".2%"),
                alt.Tooltip("pairs:Q"),
            ],
        )
    )
    return alt.layer(likeness_points(palette), line, height=320)
