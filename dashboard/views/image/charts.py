"""The charts of the Image page: one image's probability over the epochs, and the image among its class."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.figure import (
    Figure,
    chosen_epoch,
    drawing,
    epoch_axis,
    epoch_rule,
    point_selection,
    rows,
    tooltips,
)
from dashboard.shared.theme import LIGHT, Palette


def probability_curve(frame: pd.DataFrame, *, name: str, epoch: int, palette: Palette = LIGHT) -> Figure:
    """One image's probability of one class over the epochs, each epoch's prediction marked as correct or wrong.

    Args:
        frame: columns epoch, probability, predicted_class (name), correct (bool).
        name: of the class whose P_k is drawn.
        epoch: the epoch to mark.
    """
    tables = {"image": _with_words(frame), **chosen_epoch(epoch)}
    return Figure(_probability(palette), tables, replacements={"P(class)": f"P({name})"})


def _with_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the column `prediction`, correct or wrong, of which `_correctness` makes colours and shapes."""
    return frame.assign(prediction=["correct" if correct else "wrong" for correct in frame["correct"]])


@drawing
def _probability(palette: Palette) -> alt.TopLevelMixin:
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
            tooltip=tooltips("epoch:Q", ("probability:Q", ".3f"), ("predicted_class:N", "", "prediction")),
        )
    )
    return alt.layer(epoch_rule(palette), line, points, height=250)


def _correctness(palette: Palette, *, title: str | None) -> dict[str, Any]:
    """Correct and wrong predictions apart by colour and by shape."""
    # Shape as well as colour: some readers cannot tell green from orange.
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
    """
    return Figure(_scatter(palette), {"images": _with_words(frame)})


@drawing
def _scatter(palette: Palette) -> alt.TopLevelMixin:
    base = rows("images").encode(
        x=alt.X(
            "similarity:Q",
            title="similarity of the map to the class pattern",
            scale=alt.Scale(zero=False),
            axis=alt.Axis(tickCount=8),
        ),
        y=alt.Y(
            "label_probability:Q", title="P(true class)", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)
        ),
    )
    points = base.mark_point(filled=True, size=55, opacity=0.75).encode(
        **_correctness(palette, title=None),
        tooltip=tooltips(
            "image:Q",
            ("predicted_class:N", "", "prediction"),
            ("similarity:Q", ".3f"),
            ("label_probability:Q", ".3f", "P(true class)"),
        ),
    )
    here = base.transform_filter("datum.here").mark_point(
        shape="circle", size=340, filled=False, strokeWidth=2.5, opacity=1, color=palette.prediction
    )
    return alt.layer(points.add_params(point_selection("image")), here, height=230)
