"""How confident the predictions are: right and wrong ones, and the range that is being looked at."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette


def confidence_bins(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 40) -> pd.DataFrame:
    """Counts of correct and wrong predictions per confidence bin.

    Args:
        confidence: (N,) in 0..1.
        correct: (N,) bool.
        bins: equally wide ones from 0 to 1.

    Returns:
        Columns low, high, prediction (right, wrong), count; a row per bin and prediction.
    """
    edges = np.linspace(0, 1, bins + 1)
    parts = []
    for prediction, counted in (("right", correct), ("wrong", ~correct)):
        counts, _ = np.histogram(np.clip(confidence[counted], 0, 1), edges)
        parts.append(pd.DataFrame({"low": edges[:-1], "high": edges[1:], "prediction": prediction, "count": counts}))
    return pd.concat(parts, ignore_index=True)


def confidence_histogram(
    bins: pd.DataFrame, *, chosen: tuple[float, float] = (0.0, 1.0), palette: Palette = LIGHT, height: int = 190
) -> Figure:
    """Right and wrong predictions by confidence; what lies outside the chosen range is pale. Can be brushed ('range').

    Args:
        bins: from `confidence_bins`.
        chosen: (lowest, highest) confidence looked at.
        palette: colours for the background.
        height: in pixels.
    """
    middle = (bins["low"] + bins["high"]) / 2
    shown = bins.assign(chosen=(middle >= chosen[0]) & (middle <= chosen[1]))
    return Figure(_histogram(palette, height), {"bins": shown})


@drawing
def _histogram(palette: Palette, height: int) -> alt.Chart:
    brush = alt.selection_interval(name="range", encodings=["x"])
    colours = alt.Scale(domain=["right", "wrong"], range=[palette.right, palette.wrong])
    return (
        rows("bins")
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title="confidence P of the prediction", scale=alt.Scale(domain=[0, 1])),
            x2=alt.X2("high:Q"),
            y=alt.Y("count:Q", title="images", axis=alt.Axis(tickCount=4, tickMinStep=1, format=",d")),
            color=alt.Color("prediction:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            order=alt.Order("prediction:N", sort="descending"),
            opacity=alt.condition("datum.chosen", alt.value(1), alt.value(0.25)),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=".3f"),
                alt.Tooltip("high:Q", title="to", format=".3f"),
                alt.Tooltip("prediction:N"),
                alt.Tooltip("count:Q"),
            ],
        )
        .add_params(brush)
        .properties(height=height)
    )
