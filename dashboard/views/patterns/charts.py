"""The chart of the Patterns page: how often two classes are confused, by the similarity of their patterns."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure, drawing, point_selection, rows, tooltips, with_percents
from dashboard.shared.theme import LIGHT, Palette


def similarity_trend(similarity: np.ndarray, counts: np.ndarray, *, bins: int = 12) -> pd.DataFrame:
    """How often two classes are predicted as each other, by the similarity of their patterns.

    Over all pairs of classes that have images; without any a class has no pattern.

    Args:
        similarity: (C, C) cosines of the patterns.
        counts: (C, C) images by true class and prediction.
        bins: number of equally wide bins between the least and the most similar pair.

    Returns:
        Columns similarity (mean of the bin), rate (of the images of both classes), pairs; empty bins are left out.
    """
    # Over all pairs: the confused ones alone would show how often confused pairs are confused.
    known = np.flatnonzero(counts.sum(1))
    first, second = known[np.stack(np.triu_indices(len(known), 1))]
    cosines = similarity[first, second]
    confused = (counts + counts.T)[first, second]
    images = counts.sum(1)[first] + counts.sum(1)[second]
    if not len(cosines):
        return pd.DataFrame({"similarity": [], "rate": [], "pairs": []})
    edges = np.linspace(cosines.min(), cosines.max(), bins + 1)[1:-1]
    table = pd.DataFrame(
        {"bin": np.digitize(cosines, edges), "similarity": cosines, "confused": confused, "images": images}
    )
    grouped = table.groupby("bin").agg(
        similarity=("similarity", "mean"),
        confused=("confused", "sum"),
        images=("images", "sum"),
        pairs=("confused", "size"),
    )
    rate = grouped["confused"] / grouped["images"].clip(lower=1)
    return grouped.assign(rate=rate)[["similarity", "rate", "pairs"]].reset_index(drop=True)


def pairs_and_means(pairs: pd.DataFrame, trend: pd.DataFrame) -> pd.DataFrame:
    """Single pairs and the means over all pairs in one table; the column `row` says which: pair or mean."""
    return pd.concat([pairs.assign(row="pair"), trend.assign(row="mean")], ignore_index=True)


def similarity_chart(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Single pairs as points, which can be clicked, and the mean over all pairs as a line.

    Args:
        frame: from `pairs_and_means`.
    """
    pairs = frame[frame["row"] == "pair"].drop(columns=["row", "pairs"])
    means = frame[frame["row"] == "mean"][["similarity", "rate", "pairs"]]
    return Figure(_similarity(palette), {"pairs": with_percents(pairs, rate=1), "means": with_percents(means, rate=2)})


@drawing
def _similarity(palette: Palette) -> alt.TopLevelMixin:
    line = (
        rows("means")
        .mark_line(
            color=palette.prediction,
            strokeWidth=3,
            point=alt.OverlayMarkDef(color=palette.prediction, filled=True, size=50),
        )
        .encode(
            x=alt.X("similarity:Q"),
            y=alt.Y("rate:Q"),
            tooltip=tooltips(("similarity:Q", ".2f"), ("rate_percent:N", "", "mean of all pairs"), "pairs:Q"),
        )
    )
    points = (
        rows("pairs")
        .mark_circle(size=55, opacity=0.6, color=palette.true_class)
        .encode(
            x=alt.X("similarity:Q", title="similarity of the two patterns (cosine)", scale=alt.Scale(zero=False)),
            y=alt.Y("rate:Q", title="predicted as each other", axis=alt.Axis(format="~%")),
            tooltip=tooltips("first:N", "second:N", ("similarity:Q", ".2f"), ("rate_percent:N", "", "rate"), "count:Q"),
        )
        .add_params(point_selection("first_index", "second_index"))
    )
    return alt.layer(points, line, height=320)
