"""What would have been gained by another choice than the last epoch."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

_ZERO = pd.DataFrame({"gain": [0.0]})


def ensemble_gains(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """The accuracy that each ensemble gains over the last epoch alone, with its 95 % interval; zero is ruled.

    Args:
        frame: columns label, gain, gain_low, gain_high (fractions), top1, nll, ece.
        palette: colours for the background.
    """
    shown = frame.assign(clear=(frame["gain_low"] > 0) | (frame["gain_high"] < 0))
    return Figure(_gains(tuple(frame["label"]), palette), {"ensembles": shown, "zero": _ZERO})


@drawing
def _gains(labels: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    y = alt.Y("label:N", sort=list(labels), title=None, axis=alt.Axis(labelLimit=240))
    colour = alt.condition("datum.clear", alt.value(palette.true_class), alt.value(palette.neutral))
    zero = rows("zero").mark_rule(color=palette.neutral, strokeDash=[5, 4])
    spans = (
        rows("ensembles")
        .mark_rule(strokeWidth=3, opacity=0.5)
        .encode(
            y=y,
            x=alt.X("gain_low:Q", title="accuracy gained over the last epoch alone", axis=alt.Axis(format="+.1%")),
            x2=alt.X2("gain_high:Q"),
            color=colour,
        )
    )
    points = (
        rows("ensembles")
        .mark_circle(size=110, opacity=1)
        .encode(
            y=y,
            x=alt.X("gain:Q"),
            color=colour,
            tooltip=[
                alt.Tooltip("label:N", title="average of"),
                alt.Tooltip("gain:Q", format="+.2%"),
                alt.Tooltip("gain_low:Q", format="+.2%"),
                alt.Tooltip("gain_high:Q", format="+.2%"),
                alt.Tooltip("top1:Q", format=".2%"),
                alt.Tooltip("nll:Q", format=".3f"),
                alt.Tooltip("ece:Q", format=".2%"),
            ],
        )
    )
    return alt.layer(zero.encode(x=alt.X("gain:Q")), spans, points).properties(height=alt.Step(30))
