"""The charts of the Image page: one image's probability over the epochs, and the image among its class."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, chosen_epoch, drawing, epoch_axis, epoch_rule, rows
from dashboard.shared.theme import LIGHT, Palette


def probability_curve(
    frame: pd.DataFrame, *, name: str, epoch: int | None = None, palette: Palette = LIGHT, height: int = 250
) -> Figure:
    """One image's probability of one class over the epochs, each epoch's prediction marked as correct or wrong.

    Args:
        frame: columns epoch, probability, predicted_class (name), correct (bool).
        name: of the class whose P_k is drawn.
        epoch: the epoch to mark.
        palette: colours for the background.
        height: in pixels.
    """
    frame = frame.assign(prediction=["correct" if correct else "wrong" for correct in frame["correct"]])
    tables = {"image": frame, **chosen_epoch(epoch)}
    return Figure(_probability("chosen" in tables, palette, height), tables, replacements={"P(class)": f"P({name})"})


@drawing
def _probability(marked: bool, palette: Palette, height: int) -> alt.TopLevelMixin:
    x = epoch_axis()
    y = alt.Y(
        "probability:Q", title="P(class)", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5, titleLimit=180)
    )
    line = rows("image").mark_line(color=palette.neutral, strokeWidth=1.5).encode(x=x, y=y)
    points = (
        rows("image")
        .mark_point(filled=True, size=60, opacity=1)
        .encode(
            x=x,
            y=y,
            **_correctness(palette, title="prediction"),
            tooltip=[
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("probability:Q", format=".3f"),
                alt.Tooltip("predicted_class:N", title="prediction"),
            ],
        )
    )
    layers = [epoch_rule(palette), line, points] if marked else [line, points]
    return alt.layer(*layers, height=height)


def _correctness(palette: Palette, *, title: str | None) -> dict[str, Any]:
    """Correct and wrong predictions apart by colour and by shape."""
    names = ["correct", "wrong"]
    colours = alt.Scale(domain=names, range=[palette.correct, palette.wrong])
    shapes = alt.Scale(domain=names, range=["circle", "cross"])
    return {
        "color": alt.Color("prediction:N", title=title, scale=colours, legend=alt.Legend(orient="top")),
        "shape": alt.Shape("prediction:N", title=title, scale=shapes),
    }


def class_place(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """The images of a class by similarity to its pattern and probability of the true class; points can be clicked.

    Args:
        frame: columns image, similarity (cosine), label_probability, predicted_class (name), correct, here (bool: the
            chosen image).
        palette: colours for the background.
    """
    shown = frame.assign(prediction=["correct" if correct else "wrong" for correct in frame["correct"]])
    return Figure(_scatter(palette), {"images": shown})


@drawing
def _scatter(palette: Palette) -> alt.TopLevelMixin:
    chosen = alt.selection_point(name="point", fields=["image"], on="click", empty=False)
    base = rows("images").encode(
        x=alt.X("similarity:Q", title="similarity of the map to the class pattern", scale=alt.Scale(zero=False)),
        y=alt.Y(
            "label_probability:Q", title="P(true class)", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)
        ),
    )
    points = base.mark_point(filled=True, size=55, opacity=0.75).encode(
        **_correctness(palette, title=None),
        tooltip=[
            alt.Tooltip("image:Q"),
            alt.Tooltip("predicted_class:N", title="prediction"),
            alt.Tooltip("similarity:Q", format=".3f"),
            alt.Tooltip("label_probability:Q", title="P(true class)", format=".3f"),
        ],
    )
    here = base.transform_filter("datum.here").mark_point(
        shape="circle", size=340, filled=False, strokeWidth=2.5, opacity=1, color=palette.prediction
    )
    return alt.layer(points.add_params(chosen), here, height=230)
