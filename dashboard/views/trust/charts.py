"""The charts of the Trust page: calibration, risk against coverage, and the failure-detection ranking."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

_DIAGONAL = pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]})
_CHANCE = pd.DataFrame({"auroc": [0.5]})


def reliability_diagram(bins: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Accuracy against confidence per bin with Wilson intervals, the diagonal perfect.

    Args:
        bins: columns lower, upper, count, confidence, accuracy, low, high; empty bins are left out.
        palette: colours for the background.
    """
    return Figure(_reliability(palette), {"bins": bins[bins["count"] > 0], "diagonal": _DIAGONAL})


@drawing
def _reliability(palette: Palette) -> alt.TopLevelMixin:
    chosen = alt.selection_point(name="point", fields=["lower", "upper"], on="click", empty=False)
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
        "fitted": palette.correct,
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


def marked(curves: pd.DataFrame, *, every: float = 0.05) -> pd.DataFrame:
    """The curves with a column `percent`: 5, 10, ... at the row of each score next to it, 0 elsewhere.

    Args:
        curves: columns coverage, risk, score, key (the score's name).
        every: distance of the points in coverage.
    """
    percent = np.zeros(len(curves), int)
    for _, curve in curves.reset_index(drop=True).groupby("score", sort=False):
        for share in np.arange(every, 1 + every / 2, every):
            distance = (curve["coverage"] - share).abs()
            if distance.min() <= every / 2:
                percent[curve.index[int(distance.argmin())]] = round(100 * share)
    return curves.reset_index(drop=True).assign(percent=percent)


def acceptance_chart(frame: pd.DataFrame, *, chosen: tuple[str, int] | None = None, palette: Palette = LIGHT) -> Figure:
    """Risk-coverage curves with their points; a click on one chooses 'accepted' (key and percent).

    Args:
        frame: from `marked`.
        chosen: (key, percent) of the point that is looked at.
        palette: colours for the background.
    """
    tables = {"curves": frame[["coverage", "risk", "score"]], "points": frame[frame["percent"] > 0]}
    return Figure(_acceptance(tuple(dict.fromkeys(frame["score"])), chosen, palette), tables)


@drawing
def _acceptance(scores: tuple[str, ...], chosen: tuple[str, int] | None, palette: Palette) -> alt.TopLevelMixin:
    pick = alt.selection_point(name="point", fields=["key", "percent"], on="click", empty=False)
    curves, order = risk_curves(scores, palette), list(scores)
    colours = alt.Scale(domain=order, range=[palette.ink, *palette.series][: len(order)])
    base = rows("points").encode(
        x=alt.X("coverage:Q"),
        y=alt.Y("risk:Q"),
        color=alt.Color("score:N", sort=order, scale=colours),
        tooltip=[
            alt.Tooltip("score:N"),
            alt.Tooltip("coverage:Q", title="accepted", format=".0%"),
            alt.Tooltip("risk:Q", title="wrong among them", format=".2%"),
        ],
    )
    points = base.mark_circle(size=60, opacity=1).add_params(pick)
    layers = [curves, points]
    if chosen is not None:
        here = f"datum.key == '{chosen[0]}' && datum.percent == {int(chosen[1])}"
        layers.append(base.transform_filter(here).mark_point(size=260, strokeWidth=2.5, opacity=1))
    return alt.layer(*layers, height=340)


def confidence_bins(confidence: np.ndarray, correct: np.ndarray, *, bins: int = 40) -> pd.DataFrame:
    """Counts of correct and wrong predictions per confidence bin.

    Args:
        confidence: (N,) in 0..1.
        correct: (N,) bool.
        bins: equally wide ones from 0 to 1.

    Returns:
        Columns low, high, prediction (correct, wrong), count; a row per bin and prediction.
    """
    edges = np.linspace(0, 1, bins + 1)
    parts = []
    for prediction, counted in (("correct", correct), ("wrong", ~correct)):
        counts, _ = np.histogram(np.clip(confidence[counted], 0, 1), edges)
        parts.append(pd.DataFrame({"low": edges[:-1], "high": edges[1:], "prediction": prediction, "count": counts}))
    return pd.concat(parts, ignore_index=True)


def confidence_histogram(
    bins: pd.DataFrame, *, chosen: tuple[float, float] = (0.0, 1.0), palette: Palette = LIGHT, height: int = 190
) -> Figure:
    """Right and wrong predictions by confidence; what lies outside the chosen range is pale. Can be brushed.

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
    colours = alt.Scale(domain=["correct", "wrong"], range=[palette.correct, palette.wrong])
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
