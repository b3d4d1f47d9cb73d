"""Histograms of correct and wrong predictions by any measure, and the range that is chosen."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows, tooltips, whole_numbers
from dashboard.shared.theme import LIGHT, Palette

PREDICTIONS = ("correct", "wrong")


def value_bins(
    values: np.ndarray, correct: np.ndarray, *, limits: tuple[float, float], bins: int = 40, whole: bool = False
) -> pd.DataFrame:
    """Counts of correct and wrong predictions in each bin of a measure.

    Args:
        values: (N,) one for each prediction; NaN is left out, and what lies beyond the limits counts in the last bin.
        correct: (N,) bool.
        limits: lowest and highest value.
        bins: number of equally wide bins between the limits; fewer than 80 whole numbers get a bin each.
        whole: the values are whole numbers.

    Returns:
        Columns low, high, prediction (correct, wrong), count; a row per bin and prediction. A bin of a whole number
        reaches half a unit to either side.
    """
    low, high = limits
    one_each = whole and high - low < 80
    # Values that are all the same still need a bin with a width.
    edges = np.arange(low - 0.5, high + 1) if one_each else np.linspace(low, max(high, low + 1e-9), bins + 1)
    parts = []
    for prediction, counted in zip(PREDICTIONS, (correct, ~correct), strict=True):
        known = values[counted]
        counts, _ = np.histogram(np.clip(known[np.isfinite(known)], low, high), edges)
        parts.append(pd.DataFrame({"low": edges[:-1], "high": edges[1:], "prediction": prediction, "count": counts}))
    return pd.concat(parts, ignore_index=True)


def value_histogram(
    bins: pd.DataFrame, *, title: str, chosen: tuple[float, float], palette: Palette = LIGHT, height: int = 215
) -> Figure:
    """Correct and wrong predictions by a measure, pale outside the chosen range; a range can be brushed.

    Args:
        bins: from `value_bins`.
        title: of the axis.
        chosen: (lowest, highest) value of the chosen range.
        height: in pixels.
    """
    middle = (bins["low"] + bins["high"]) / 2
    shown = bins.assign(chosen=(middle >= chosen[0]) & (middle <= chosen[1]))
    shown = shown[shown["count"] > 0]
    domain = float(bins["low"].min()), float(bins["high"].max())
    present = set(shown["prediction"])
    predictions = tuple(prediction for prediction in PREDICTIONS if prediction in present) or ("wrong",)
    return Figure(_histogram(title, domain, predictions, palette, height), {"bins": shown})


@drawing
def _histogram(
    title: str, domain: tuple[float, float], predictions: tuple[str, ...], palette: Palette, height: int
) -> alt.Chart:
    legend = alt.Legend(orient="top") if len(predictions) > 1 else None
    by_prediction = {"correct": palette.correct, "wrong": palette.wrong}
    colours = alt.Scale(domain=list(predictions), range=[by_prediction[prediction] for prediction in predictions])
    return (
        rows("bins")
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title=title, scale=alt.Scale(domain=list(domain), nice=False)),
            x2=alt.X2("high:Q"),
            y=alt.Y("count:Q", title="images", axis=whole_numbers(tickCount=4)),
            color=alt.Color("prediction:N", title=None, scale=colours, legend=legend),
            order=alt.Order("prediction:N", sort="descending"),
            opacity=alt.condition("datum.chosen", alt.value(1), alt.value(0.25)),
            tooltip=tooltips(("low:Q", ".3~f", "from"), ("high:Q", ".3~f", "to"), "prediction:N", "count:Q"),
        )
        .add_params(alt.selection_interval(name="range", encodings=["x"]))
        # Drawn on a canvas: as SVG, the two rectangles of a range would be images without a text to a screen reader.
        .properties(height=height, usermeta={"embedOptions": {"renderer": "canvas"}})
    )
