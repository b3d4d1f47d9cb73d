"""Risk against coverage with points that can be chosen: each stands for the predictions accepted up to there."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette
from dashboard.views.trust.charts import risk_curves


def marked(curves: pd.DataFrame, *, every: float = 0.05) -> pd.DataFrame:
    """The curves with a column `percent`: 5, 10, ... at the row of each score next to it, 0 elsewhere.

    Args:
        curves: columns coverage, risk, score, key (the score's name).
        every: distance of the points in coverage.
    """
    percent = np.zeros(len(curves), int)
    for _, curve in curves.reset_index(drop=True).groupby("score", sort=False):
        for share in np.arange(every, 1 + every / 2, every):
            distance = (curve["coverage"] - share).abs()
            if distance.min() <= every / 2:
                percent[curve.index[int(distance.argmin())]] = round(100 * share)
    return curves.reset_index(drop=True).assign(percent=percent)


def acceptance_chart(frame: pd.DataFrame, *, chosen: tuple[str, int] | None = None, palette: Palette = LIGHT) -> Figure:
    """Risk-coverage curves with their points; a click on one chooses 'accepted' (key and percent).

    Args:
        frame: from `marked`.
        chosen: (key, percent) of the point that is looked at.
        palette: colours for the background.
    """
    tables = {"curves": frame[["coverage", "risk", "score"]], "points": frame[frame["percent"] > 0]}
    return Figure(_acceptance(tuple(dict.fromkeys(frame["score"])), chosen, palette), tables)


@drawing
def _acceptance(scores: tuple[str, ...], chosen: tuple[str, int] | None, palette: Palette) -> alt.TopLevelMixin:
    pick = alt.selection_point(name="accepted", fields=["key", "percent"], on="click", empty=False)
    curves, order = risk_curves(scores, palette), list(scores)
    colours = alt.Scale(domain=order, range=[palette.ink, *palette.series][: len(order)])
    base = rows("points").encode(
        x=alt.X("coverage:Q"),
        y=alt.Y("risk:Q"),
        color=alt.Color("score:N", sort=order, scale=colours),
        tooltip=[
            alt.Tooltip("score:N"),
            alt.Tooltip("coverage:Q", title="accepted", format=".0%"),
            alt.Tooltip("risk:Q", title="wrong among them", format=".2%"),
        ],
    )
    points = base.mark_circle(size=60, opacity=1).add_params(pick)
    layers = [curves, points]
    if chosen is not None:
        here = f"datum.key == '{chosen[0]}' && datum.percent == {int(chosen[1])}"
        layers.append(base.transform_filter(here).mark_point(size=260, strokeWidth=2.5, opacity=1))
    return alt.layer(*layers, height=340)
