"""Right and wrong answers by any figure, and the range that is being looked at."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.theme import LIGHT, Palette


def value_bins(
    values: np.ndarray, correct: np.ndarray, *, limits: tuple[float, float], bins: int = 40, whole: bool = False
) -> pd.DataFrame:
    """Counts of right and wrong answers per bin of a figure.

    Args:
        values: (N,) figure of each answer; NaN is left out, what lies beyond the limits counts in the last bin there.
        correct: (N,) bool.
        limits: lowest and highest value.
        bins: equally wide ones between the limits; of whole numbers one for each, if these are fewer than 80.
        whole: the figure is a whole number.

    Returns:
        Columns low, high, answer (right, wrong), count; a row per bin and answer. Bins of whole numbers reach half a
        number to either side.
    """
    low, high = limits
    each = whole and high - low < 80
    edges = np.arange(low - 0.5, high + 1) if each else np.linspace(low, max(high, low + 1e-9), bins + 1)
    parts = []
    for answer, counted in (("right", correct), ("wrong", ~correct)):
        known = values[counted]
        counts, _ = np.histogram(np.clip(known[np.isfinite(known)], low, high), edges)
        parts.append(pd.DataFrame({"low": edges[:-1], "high": edges[1:], "answer": answer, "count": counts}))
    return pd.concat(parts, ignore_index=True)


def value_histogram(
    bins: pd.DataFrame,
    title: str,
    *,
    chosen: tuple[float, float],
    palette: Palette = LIGHT,
    height: int = 215,
) -> Figure:
    """Right and wrong answers by a figure; what lies outside the chosen range is pale. Can be brushed ('range').

    Args:
        bins: from `value_bins`.
        title: of the axis.
        chosen: (lowest, highest) value looked at.
        palette: colours for the background.
        height: in pixels.
    """
    middle = (bins["low"] + bins["high"]) / 2
    shown = bins.assign(chosen=(middle >= chosen[0]) & (middle <= chosen[1]))
    shown = shown[shown["count"] > 0]
    domain = float(bins["low"].min()), float(bins["high"].max())
    answers = tuple(answer for answer in ("right", "wrong") if (shown["answer"] == answer).any()) or ("wrong",)
    return Figure(_histogram(title, domain, answers, palette, height), {"bins": shown})


@drawing
def _histogram(
    title: str, domain: tuple[float, float], answers: tuple[str, ...], palette: Palette, height: int
) -> alt.Chart:
    legend = alt.Legend(orient="top") if len(answers) > 1 else None
    colours = alt.Scale(domain=list(answers), range=[getattr(palette, answer) for answer in answers])
    return (
        rows("bins")
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title=title, scale=alt.Scale(domain=list(domain), nice=False)),
            x2=alt.X2("high:Q"),
            y=alt.Y("count:Q", title="pictures", axis=alt.Axis(tickCount=4, tickMinStep=1, format=",d")),
            color=alt.Color("answer:N", title=None, scale=colours, legend=legend),
            order=alt.Order("answer:N", sort="descending"),
            opacity=alt.condition("datum.chosen", alt.value(1), alt.value(0.25)),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=".3~f"),
                alt.Tooltip("high:Q", title="to", format=".3~f"),
                alt.Tooltip("answer:N"),
                alt.Tooltip("count:Q"),
            ],
        )
        .add_params(alt.selection_interval(name="range", encodings=["x"]))
        .properties(height=height)
    )
