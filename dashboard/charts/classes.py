"""Classes: similarity of patterns against confusion, accuracy in two states, the images within one."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

_DIAGONAL = pd.DataFrame({"before": [0, 1], "after": [0, 1]})


def similarity_scatter(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """How alike the patterns of two classes are against how often these are confused; a click chooses a 'pair'.

    Args:
        frame: columns first, second, first_index, second_index, similarity (cosine), rate (fraction), count.
        palette: colours for the background.
    """
    return Figure(_similarity(palette), {"pairs": frame})


def similarity_points(palette: Palette) -> alt.Chart:
    """The points of `similarity_scatter`, of the table `pairs`."""
    chosen = alt.selection_point(name="pair", fields=["first_index", "second_index"], on="click", empty=False)
    return (
        rows("pairs")
        .mark_circle(size=55, opacity=0.6, color=palette.true_class)
        .encode(
            x=alt.X("similarity:Q", title="similarity of the two patterns (cosine)", scale=alt.Scale(zero=False)),
            y=alt.Y("rate:Q", title="predicted as each other", axis=alt.Axis(format=".0%")),
            tooltip=[
                alt.Tooltip("first:N"),
                alt.Tooltip("second:N"),
                alt.Tooltip("similarity:Q", format=".2f"),
                alt.Tooltip("rate:Q", format=".1%"),
                alt.Tooltip("count:Q"),
            ],
        )
        .add_params(chosen)
        .properties(height=320)
    )


_similarity = drawing(similarity_points)


def accuracy_change(frame: pd.DataFrame, *, before: str, after: str, palette: Palette = LIGHT) -> Figure:
    """Each class's accuracy in one state against another, gains above the diagonal; a click chooses a 'class'.

    Args:
        frame: columns name, group, class_index, before, after (fractions).
        before, after: the states' names, for the axes.
        palette: colours for the background.
    """
    shown = frame.assign(change=["gained" if gain > 0 else "lost" for gain in frame["after"] - frame["before"]])
    shown.loc[shown["after"] == shown["before"], "change"] = "same"
    words = {"accuracy: before": f"accuracy: {before}", "accuracy: after": f"accuracy: {after}"}
    return Figure(_change(palette), {"classes": shown, "diagonal": _DIAGONAL}, words)


@drawing
def _change(palette: Palette) -> alt.TopLevelMixin:
    chosen = alt.selection_point(name="class", fields=["class_index"], on="click", empty=False)
    colours = alt.Scale(domain=["gained", "lost", "same"], range=[palette.right, palette.wrong, palette.neutral])
    diagonal = rows("diagonal").mark_line(color=palette.neutral, strokeDash=[5, 4])
    points = (
        rows("classes")
        .mark_point(filled=True, size=70, opacity=0.75)
        .encode(
            x=alt.X("before:Q", title="accuracy: before", axis=alt.Axis(format=".0%")),
            y=alt.Y("after:Q", title="accuracy: after", axis=alt.Axis(format=".0%")),
            color=alt.Color("change:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            shape=alt.Shape(
                "change:N",
                title=None,
                scale=alt.Scale(domain=["gained", "lost", "same"], range=["triangle-up", "triangle-down", "circle"]),
            ),
            tooltip=[
                alt.Tooltip("name:N"),
                alt.Tooltip("group:N"),
                alt.Tooltip("before:Q", format=".0%"),
                alt.Tooltip("after:Q", format=".0%"),
            ],
        )
        .add_params(chosen)
    )
    return alt.layer(diagonal.encode(x=alt.X("before:Q"), y=alt.Y("after:Q")), points, height=360)


def class_place(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """The images of one class by similarity to its pattern and probability of the true class; a click takes a 'image'.

    Args:
        frame: columns image, similarity (cosine), label_probability, predicted (name), correct, here (bool: the one
            that is looked at).
        palette: colours for the background.
    """
    shown = frame.assign(prediction=["right" if right else "wrong" for right in frame["correct"]])
    return Figure(_place(palette), {"images": shown})


@drawing
def _place(palette: Palette) -> alt.TopLevelMixin:
    chosen = alt.selection_point(name="image", fields=["image"], on="click", empty=False)
    base = rows("images").encode(
        x=alt.X("similarity:Q", title="similarity of its map to the class pattern", scale=alt.Scale(zero=False)),
        y=alt.Y(
            "label_probability:Q", title="P(true_class)", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5)
        ),
    )
    points = base.mark_point(filled=True, size=55, opacity=0.75).encode(
        color=alt.Color(
            "prediction:N",
            title=None,
            scale=alt.Scale(domain=["right", "wrong"], range=[palette.right, palette.wrong]),
            legend=alt.Legend(orient="top"),
        ),
        shape=alt.Shape(
            "prediction:N", title=None, scale=alt.Scale(domain=["right", "wrong"], range=["circle", "cross"])
        ),
        tooltip=[
            alt.Tooltip("image:Q"),
            alt.Tooltip("predicted_class:N", title="prediction"),
            alt.Tooltip("similarity:Q", format=".3f"),
            alt.Tooltip("label_probability:Q", title="P(true_class)", format=".3f"),
        ],
    )
    here = base.transform_filter("datum.here").mark_point(
        shape="circle", size=340, filled=False, strokeWidth=2.5, opacity=1, color=palette.prediction
    )
    return alt.layer(points.add_params(chosen), here, height=230)
