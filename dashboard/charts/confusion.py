"""A pair of classes taken for each other over the epochs."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.rules import epoch_axis, epoch_rule
from dashboard.theme import LIGHT, Palette


def pair_curve(
    table: pd.DataFrame, truth: str, answer: str, *, epoch: int | None = None, palette: Palette = LIGHT
) -> alt.LayerChart | alt.FacetChart:
    """How often two classes were taken for each other, both ways, over the epochs.

    Args:
        table: columns epoch, count (of `truth` taken for `answer`) and reverse.
        truth, answer: the classes' names.
        epoch: the epoch to mark.
        palette: colours for the background.
    """
    ways = {"count": f"{truth} taken for {answer}", "reverse": f"{answer} taken for {truth}"}
    long = table.melt(["epoch"], list(ways), "way", "pictures")
    long["way"] = long["way"].map(ways)
    colours = alt.Scale(domain=list(ways.values()), range=[palette.prediction, palette.truth])
    lines = (
        alt.Chart(long)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=45))
        .encode(
            x=epoch_axis(),
            y=alt.Y("pictures:Q", axis=alt.Axis(tickMinStep=1, format="d", tickCount=4)),
            color=alt.Color(
                "way:N", title=None, scale=colours, legend=alt.Legend(orient="top", labelLimit=320, columns=1)
            ),
            tooltip=[alt.Tooltip("epoch:Q"), alt.Tooltip("way:N"), alt.Tooltip("pictures:Q")],
        )
    )
    layers = [lines] if epoch is None else [epoch_rule(epoch, palette), lines]
    return alt.layer(*layers, height=220)
