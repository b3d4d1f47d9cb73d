"""The charts of the Trust page: calibration, risk against coverage, and the failure-detection ranking."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.figure import (
    Figure,
    drawing,
    legend_columns,
    point_selection,
    reference_line,
    reference_rule,
    rows,
    tooltips,
    with_percents,
)
from dashboard.charts.intervals import interval_dots
from dashboard.shared.theme import LIGHT, Palette

_DIAGONAL = pd.DataFrame({"confidence": [0, 1], "accuracy": [0, 1]})
_CHANCE = pd.DataFrame({"auroc": [0.5]})


def reliability_diagram(bins: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Accuracy against confidence per bin with Wilson intervals; the diagonal is perfect. Points can be clicked.

    Args:
        bins: columns lower, upper, count, confidence, accuracy, low, high; empty bins are left out.
    """
    return Figure(_reliability(palette), {"bins": bins[bins["count"] > 0], "diagonal": _DIAGONAL})


@drawing
def _reliability(palette: Palette) -> alt.TopLevelMixin:
    x = alt.X("confidence:Q", title="mean confidence of the bin", scale=alt.Scale(domain=[0, 1]))
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
            y=alt.Y("accuracy:Q", title="accuracy of the bin", scale=alt.Scale(domain=[0, 1])),
            size=alt.Size("count:Q", title="images", scale=alt.Scale(range=[30, 500]), legend=None),
            tooltip=tooltips(
                ("lower:Q", ".2f"), ("upper:Q", ".2f"), "count:Q", ("confidence:Q", ".3f"), ("accuracy:Q", ".3f")
            ),
        )
        .add_params(point_selection("lower", "upper"))
    )
    return alt.layer(reference_line("confidence", "accuracy", palette), bars, points, height=340)


def removal_chart(curves: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Mean probability of the prediction while cells of the maps are removed or returned, in two orders.

    Args:
        curves: of `store.queries.removal_curves`: measure, order, share, probability.
    """
    words = {"map": "strongest cells first", "random": "random order"}
    shown = with_percents(curves, share=0).assign(order=curves["order"].map(words))
    return Figure(_removal(palette), {"curves": shown})


@drawing
def _removal(palette: Palette) -> alt.TopLevelMixin:
    measures = alt.Scale(domain=["deletion", "insertion"], range=[palette.wrong, palette.correct])
    legend = alt.Legend(orient="top", columns=2, symbolType="stroke")
    return (
        rows("curves")
        .mark_line(strokeWidth=2.2)
        .encode(
            x=alt.X("share:Q", title="share of the cells removed or returned", axis=alt.Axis(format="~%")),
            y=alt.Y("probability:Q", title="mean P of the prediction", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("measure:N", title=None, scale=measures, legend=legend),
            strokeDash=alt.StrokeDash("order:N", title=None, sort=None, legend=legend),
            tooltip=tooltips("measure:N", "order:N", ("share_percent:N", "", "cells"), ("probability:Q", ".3f")),
        )
        .properties(height=300)
    )


def failure_ranking_chart(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """The AUROC of every confidence score with its 95 % interval; 0.5 is chance.

    Args:
        frame: columns label, kind, auroc, auroc_low, auroc_high, in the order of display.
    """
    return Figure(_failure_ranking(tuple(frame["label"]), palette), {"failure_ranking": frame, "chance": _CHANCE})


@drawing
def _failure_ranking(labels: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    kinds = {
        "softmax": palette.true_class,
        "shape": palette.prediction,
        "strength": palette.series[5],
        "margin": palette.series[2],
        "record": palette.series[3],
        "fitted": palette.series[6],
    }
    colours = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    legend = alt.Legend(orient="top", columnPadding=4, columns=legend_columns(6, 2))
    dots = interval_dots(
        "failure_ranking",
        "auroc",
        y=alt.Y("label:N", sort=list(labels), title=None, axis=alt.Axis(labelLimit=260)),
        x=alt.X(
            "auroc:Q",
            title="AUROC",
            scale=alt.Scale(zero=False),
        ),
        colour=alt.Color("kind:N", title="computed from", scale=colours, legend=legend),
        tooltip=tooltips("label:N", "kind:N", *((f"auroc{end}:Q", ".3f") for end in ("", "_low", "_high"))),
    )
    return alt.layer(reference_rule("chance", "auroc", palette), *dots, height=alt.Step(24))


def with_percent_marks(curves: pd.DataFrame, *, every: float = 0.05) -> pd.DataFrame:
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
    """Risk (share of wrong predictions among those accepted) against coverage (share accepted); points can be clicked.

    Args:
        frame: from `with_percent_marks`.
        chosen: (key, percent) of the chosen point.
    """
    # The curves have hundreds of rows, so they travel without the columns that only the points need.
    shown = with_percents(frame, coverage=1, risk=2)
    columns = ["coverage", "risk", "score", "coverage_percent", "risk_percent"]
    tables = {"curves": shown[columns], "points": shown[shown["percent"] > 0]}
    return Figure(_acceptance(tuple(dict.fromkeys(frame["score"])), chosen, palette), tables)


@drawing
def _acceptance(scores: tuple[str, ...], chosen: tuple[str, int] | None, palette: Palette) -> alt.TopLevelMixin:
    order = list(scores)
    colours = alt.Scale(domain=order, range=[palette.ink, *palette.series][: len(order)])

    legend = alt.Legend(orient="top", columns=2)

    def encode(table: str) -> alt.Chart:
        return rows(table).encode(
            x=alt.X("coverage:Q", title="coverage: share of predictions accepted", axis=alt.Axis(format="~%")),
            y=alt.Y("risk:Q", title="risk: wrong among them", axis=alt.Axis(format="~%")),
            color=alt.Color("score:N", title=None, sort=order, scale=colours, legend=legend),
            tooltip=tooltips(
                "score:N", ("coverage_percent:N", "", "accepted"), ("risk_percent:N", "", "wrong among them")
            ),
        )

    points = encode("points")
    dots = points.mark_circle(size=60, opacity=1).add_params(point_selection("key", "percent"))
    layers = [encode("curves").mark_line(strokeWidth=2.2), dots]
    if chosen is not None:
        here = f"datum.key == '{chosen[0]}' && datum.percent == {int(chosen[1])}"
        layers.append(points.transform_filter(here).mark_point(size=260, strokeWidth=2.5, opacity=1))
    return alt.layer(*layers, height=340)
