"""The chart of the Compare page: the accuracy of every class in two states."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

_DIAGONAL = pd.DataFrame({"before": [0, 1], "after": [0, 1]})


def accuracy_change(frame: pd.DataFrame, *, before: str, after: str, palette: Palette = LIGHT) -> Figure:
    """Each class's accuracy in one state against another, gains above the diagonal; points can be clicked.

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
    chosen = alt.selection_point(name="point", fields=["class_index"], on="click", empty=False)
    colours = alt.Scale(domain=["gained", "lost", "same"], range=[palette.correct, palette.wrong, palette.neutral])
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
