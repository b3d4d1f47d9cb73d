"""Calibration, risk against coverage, and the failure detection league."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.theme import LIGHT, Palette


def reliability_diagram(bins: pd.DataFrame, *, palette: Palette = LIGHT) -> alt.LayerChart | alt.FacetChart:
    """Accuracy against confidence per bin with Wilson intervals, the diagonal perfect; a click chooses a 'bin'.

    Args:
        bins: columns lower, upper, count, confidence, accuracy, low, high; empty bins are left out.
        palette: colours for the background.
    """
    shown = bins[bins["count"] > 0].assign(middle=lambda rows: (rows["lower"] + rows["upper"]) / 2)
    chosen = alt.selection_point(name="bin", fields=["lower", "upper"], on="click", empty=False)
    x = alt.X("confidence:Q", title="mean confidence of the bin", scale=alt.Scale(domain=[0, 1]))
    diagonal = alt.Chart(pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]})).mark_line(
        color=palette.neutral, strokeDash=[5, 4]
    )
    bars = (
        alt.Chart(shown)
        .mark_rule(color=palette.truth, strokeWidth=2)
        .encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    )
    points = (
        alt.Chart(shown)
        .mark_circle(color=palette.truth, opacity=1)
        .encode(
            x=x,
            y=alt.Y("accuracy:Q", title="right in the bin", scale=alt.Scale(domain=[0, 1])),
            size=alt.Size("count:Q", title="pictures", scale=alt.Scale(range=[30, 500]), legend=None),
            tooltip=[
                alt.Tooltip("lower:Q", format=".2f"),
                alt.Tooltip("upper:Q", format=".2f"),
                alt.Tooltip("count:Q"),
                alt.Tooltip("confidence:Q", format=".3f"),
                alt.Tooltip("accuracy:Q", format=".3f"),
            ],
        )
        .add_params(chosen)
    )
    return alt.layer(diagonal.encode(x=alt.X("confidence:Q"), y=alt.Y("accuracy:Q")), bars, points, height=340)


def risk_curves(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> alt.Chart:
    """Share of wrong answers among those accepted, against the share accepted, one line per score.

    Args:
        frame: columns coverage, risk, score (label).
        palette: colours for the background.
    """
    order = list(dict.fromkeys(frame["score"]))
    colours = alt.Scale(domain=order, range=[palette.ink, *palette.series][: len(order)])
    return (
        alt.Chart(frame)
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("coverage:Q", title="share of answers accepted", axis=alt.Axis(format=".0%")),
            y=alt.Y("risk:Q", title="wrong among them", axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "score:N", title=None, sort=order, scale=colours, legend=alt.Legend(orient="top", columns=2)
            ),
            tooltip=[
                alt.Tooltip("score:N"),
                alt.Tooltip("coverage:Q", format=".1%"),
                alt.Tooltip("risk:Q", format=".2%"),
            ],
        )
        .properties(height=340)
    )


def league_chart(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> alt.LayerChart | alt.FacetChart:
    """Every score's AUROC in telling right from wrong, with its 95 % interval; 0.5 is chance.

    Args:
        frame: columns label, kind, auroc, auroc_low, auroc_high, in the order of display.
        palette: colours for the background.
    """
    order = frame["label"].tolist()
    kinds = {"softmax": palette.truth, "map": palette.prediction, "record": palette.series[3], "fitted": palette.right}
    colours = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=260))
    colour = alt.Color("kind:N", title="made from", scale=colours, legend=alt.Legend(orient="top"))
    chance = alt.Chart(pd.DataFrame({"auroc": [0.5]})).mark_rule(color=palette.neutral, strokeDash=[5, 4])
    spans = (
        alt.Chart(frame)
        .mark_rule(strokeWidth=3, opacity=0.5)
        .encode(
            y=y, x=alt.X("auroc_low:Q", title="AUROC, right against wrong"), x2=alt.X2("auroc_high:Q"), color=colour
        )
    )
    points = (
        alt.Chart(frame)
        .mark_circle(size=110, opacity=1)
        .encode(
            y=y,
            x=alt.X("auroc:Q", scale=alt.Scale(zero=False)),
            color=colour,
            tooltip=[
                alt.Tooltip("label:N"),
                alt.Tooltip("kind:N"),
                *(alt.Tooltip(f"auroc{end}:Q", format=".3f") for end in ("", "_low", "_high")),
            ],
        )
    )
    return alt.layer(chance.encode(x=alt.X("auroc:Q")), spans, points, height=alt.Step(24))
