"""What charts share: the axis of the epochs, the rule at the chosen one, a legend that fits a phone."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.theme import Palette


def epoch_axis() -> alt.X:
    """The epochs, from the first recorded one, in whole numbers."""
    return alt.X(
        "epoch:Q",
        title="epoch",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        scale=alt.Scale(zero=False, nice=False, padding=14),
    )


def epoch_rule(epoch: int, palette: Palette) -> alt.Chart:
    """A rule at the chosen epoch."""
    rule = alt.Chart(pd.DataFrame({"epoch": [epoch]})).mark_rule(color=palette.prediction, strokeWidth=2, opacity=0.8)
    return rule.encode(x=alt.X("epoch:Q"), tooltip=[alt.Tooltip("epoch:Q", title="chosen epoch")])


def columns(wide: int, narrow: int = 2) -> alt.ExprRef:
    """How many entries of a legend stand side by side: fewer where the plot is as narrow as on a phone."""
    return alt.ExprRef(f"width > 400 ? {wide} : {narrow}")
