"""The chart of the Overview: accuracy under every variant at one epoch."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

_LABEL_ROOM = 0.25  # a smaller accuracy leaves no room for its label between the dot and the variants' names


def accuracy_by_variant(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Top-1 and top-5 accuracy of every variant as dots on one line, in the run's order of variants.

    Args:
        frame: a row per variant: variant_label, top1, top5 (fractions), mean_confidence.
        palette: colours for the background.
    """
    long = frame.melt(["variant_label", "mean_confidence"], ["top1", "top5"], "measure", "value")
    long["measure"] = long["measure"].map({"top1": "top-1", "top5": "top-5"})
    return Figure(_dots(tuple(frame["variant_label"]), palette), {"variants": frame, "shares": long})


@drawing
def _dots(names: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    y = alt.Y("variant_label:N", sort=list(names), title=None, axis=alt.Axis(labelLimit=150, ticks=False, domain=False))
    x = alt.X("value:Q", title="accuracy", axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    span = (
        rows("variants")
        .mark_rule(color=palette.faint, strokeWidth=4)
        .encode(y=y, x=alt.X("top1:Q"), x2=alt.X2("top5:Q"))
    )
    colours = alt.Scale(domain=["top-1", "top-5"], range=[palette.true_class, palette.neutral])
    dots = (
        rows("shares")
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            y=y,
            x=x,
            color=alt.Color("measure:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            tooltip=[
                alt.Tooltip("variant_label:N", title="variant"),
                alt.Tooltip("measure:N"),
                alt.Tooltip("value:Q", format=".2%"),
                alt.Tooltip("mean_confidence:Q", title="mean confidence", format=".2f"),
            ],
        )
    )
    text = alt.Text("top1:Q", format=".1%")
    wide, narrow = alt.datum.top1 >= _LABEL_ROOM, alt.datum.top1 < _LABEL_ROOM
    before = (
        rows("variants").transform_filter(wide).mark_text(align="right", dx=-9, fontSize=11, color=palette.true_class)
    )
    behind = (
        rows("variants").transform_filter(narrow).mark_text(align="left", dx=9, fontSize=11, color=palette.true_class)
    )
    labels = (before.encode(y=y, x=alt.X("top1:Q"), text=text), behind.encode(y=y, x=alt.X("top5:Q"), text=text))
    return alt.layer(span, dots, *labels, title="Accuracy by variant", height=330)
