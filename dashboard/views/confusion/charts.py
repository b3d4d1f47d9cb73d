"""The chart of the Confusion page: how often two classes were predicted as each other over the epochs."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, chosen_epoch, drawing, epoch_axis, epoch_rule, rows, tooltips, whole_numbers
from dashboard.shared.theme import LIGHT, Palette

_WAYS = "one way", "the other way"


def pair_curve(
    table: pd.DataFrame, *, true_class: str, prediction: str, epoch: int, palette: Palette = LIGHT
) -> Figure:
    """How often two classes were predicted as each other, both ways, over the epochs.

    Args:
        table: columns epoch, count (of `true class` predicted as `prediction`) and reverse.
        true_class, prediction: the classes' names.
        epoch: the epoch to mark.
    """
    ways = {"count": f"{true_class} predicted as {prediction}", "reverse": f"{prediction} predicted as {true_class}"}
    long = table.melt(["epoch"], list(ways), "way", "images")
    long["way"] = long["way"].map(ways)
    replacements = dict(zip(_WAYS, ways.values(), strict=True))
    return Figure(_curves(palette), {"ways": long, **chosen_epoch(epoch)}, replacements)


@drawing
def _curves(palette: Palette) -> alt.TopLevelMixin:
    colours = alt.Scale(domain=list(_WAYS), range=[palette.prediction, palette.true_class])
    legend = alt.Legend(orient="top", labelLimit=320, columns=1)
    lines = (
        rows("ways")
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=45))
        .encode(
            x=epoch_axis(),
            y=alt.Y("images:Q", axis=whole_numbers(tickCount=4)),
            color=alt.Color("way:N", title=None, scale=colours, legend=legend),
            tooltip=tooltips("epoch:Q", "way:N", "images:Q"),
        )
    )
    return alt.layer(epoch_rule(palette), lines, height=220)
