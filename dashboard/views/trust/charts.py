"""Calibration, risk against coverage, and the failure detection failure-detection ranking."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

_DIAGONAL = pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]})
_CHANCE = pd.DataFrame({"auroc": [0.5]})


def reliability_diagram(bins: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Accuracy against confidence per bin with Wilson intervals, the diagonal perfect; a click chooses a 'bin'.

    Args:
        bins: columns lower, upper, count, confidence, accuracy, low, high; empty bins are left out.
        palette: colours for the background.
    """
    return Figure(_reliability(palette), {"bins": bins[bins["count"] > 0], "diagonal": _DIAGONAL})


@drawing
def _reliability(palette: Palette) -> alt.TopLevelMixin:
    chosen = alt.selection_point(name="bin", fields=["lower", "upper"], on="click", empty=False)
    x = alt.X("confidence:Q", title="mean confidence of the bin", scale=alt.Scale(domain=[0, 1]))
    diagonal = rows("diagonal").mark_line(color=palette.neutral, strokeDash=[5, 4])
    bars = (
        rows("bins")
        .mark_rule(color=palette.true_class, strokeWidth=2)
        .encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    )
    points = (
        rows("bins")
        .mark_circle(color=palette.true_class, opacity=1)
        .encode(
            x=x,
            y=alt.Y("accuracy:Q", title="right in the bin", scale=alt.Scale(domain=[0, 1])),
            size=alt.Size("count:Q", title="images", scale=alt.Scale(range=[30, 500]), legend=None),
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


def risk_curves(scores: Sequence[str], palette: Palette) -> alt.Chart:
    """Share of wrong predictions among those accepted, against the share accepted, one line per score.

    Args:
        scores: the scores' labels, as in the table `curves`: columns coverage, risk, score.
        palette: colours for the background.
    """
    order = list(scores)
    colours = alt.Scale(domain=order, range=[palette.ink, *palette.series][: len(order)])
    return (
        rows("curves")
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("coverage:Q", title="share of predictions accepted", axis=alt.Axis(format=".0%")),
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


def failure_ranking_chart(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Every score's AUROC in telling right from wrong, with its 95 % interval; 0.5 is chance.

    Args:
        frame: columns label, kind, auroc, auroc_low, auroc_high, in the order of display.
        palette: colours for the background.
    """
    return Figure(_failure_ranking(tuple(frame["label"]), palette), {"failure_ranking": frame, "chance": _CHANCE})


@drawing
def _failure_ranking(labels: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    order = list(labels)
    kinds = {
        "softmax": palette.true_class,
        "map": palette.prediction,
        "record": palette.series[3],
        "fitted": palette.right,
    }
    colours = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=260))
    colour = alt.Color("kind:N", title="made from", scale=colours, legend=alt.Legend(orient="top"))
    chance = rows("chance").mark_rule(color=palette.neutral, strokeDash=[5, 4])
    spans = (
        rows("failure_ranking")
        .mark_rule(strokeWidth=3, opacity=0.5)
        .encode(
            y=y, x=alt.X("auroc_low:Q", title="AUROC, right against wrong"), x2=alt.X2("auroc_high:Q"), color=colour
        )
    )
    points = (
        rows("failure_ranking")
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
