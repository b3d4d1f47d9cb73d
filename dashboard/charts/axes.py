"""What charts share: the axis of the epochs, the rule at the chosen one, a legend that fits a phone."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import rows
from dashboard.shared.theme import Palette


def epoch_axis() -> alt.X:
    """The epochs, from the first recorded one, in whole numbers."""
    return alt.X(
        "epoch:Q",
        title="epoch",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False),
        scale=alt.Scale(zero=False, nice=False, padding=14),
    )


def ruled(epoch: int | None) -> dict[str, pd.DataFrame]:
    """The table behind `epoch_rule`; none where no epoch is marked."""
    return {} if epoch is None else {"chosen": pd.DataFrame({"epoch": [epoch]})}


def epoch_rule(palette: Palette) -> alt.Chart:
    """A rule at the chosen epoch."""
    rule = rows("chosen").mark_rule(color=palette.prediction, strokeWidth=2, opacity=0.8)
    return rule.encode(x=alt.X("epoch:Q"), tooltip=[alt.Tooltip("epoch:Q", title="chosen epoch")])


def columns(wide: int, narrow: int = 2) -> alt.ExprRef:
    """How many entries of a legend stand side by side: fewer where the plot is as narrow as on a phone."""
    return alt.ExprRef(f"width > 400 ? {wide} : {narrow}")
