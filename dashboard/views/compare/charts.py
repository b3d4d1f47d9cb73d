"""The chart of the Compare page: the accuracy of every class in two states."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, point_selection, reference_line, rows, tooltips, with_percents
from dashboard.shared.theme import LIGHT, Palette

_DIAGONAL = pd.DataFrame({"before": [0, 1], "after": [0, 1]})


def accuracy_change(frame: pd.DataFrame, *, before: str, after: str, palette: Palette = LIGHT) -> Figure:
    """Each class's accuracy in one state against another, gains above the diagonal; points can be clicked.

    Args:
        frame: columns name, group, class_index, before, after (fractions).
        before, after: the states' names, for the axes.
    """
    shown = frame.assign(change=["gained" if gain > 0 else "lost" for gain in frame["after"] - frame["before"]])
    shown.loc[shown["after"] == shown["before"], "change"] = "same"
    words = {"accuracy: before": f"accuracy: {before}", "accuracy: after": f"accuracy: {after}"}
    shown = with_percents(shown, before=0, after=0)
    return Figure(_change(palette), {"classes": shown, "diagonal": _DIAGONAL}, words)


@drawing
def _change(palette: Palette) -> alt.TopLevelMixin:
    changes = ["gained", "lost", "same"]
    colours = alt.Scale(domain=changes, range=[palette.correct, palette.wrong, palette.neutral])
    shapes = alt.Scale(domain=changes, range=["triangle-up", "triangle-down", "circle"])
    points = (
        rows("classes")
        .mark_point(filled=True, size=70, opacity=0.75)
        .encode(
            x=alt.X("before:Q", title="accuracy: before", axis=alt.Axis(format="~%")),
            y=alt.Y("after:Q", title="accuracy: after", axis=alt.Axis(format="~%")),
            color=alt.Color("change:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            shape=alt.Shape("change:N", title=None, scale=shapes),
            tooltip=tooltips("name:N", "group:N", ("before_percent:N", "", "before"), ("after_percent:N", "", "after")),
        )
        .add_params(point_selection("class_index"))
    )
    return alt.layer(reference_line("before", "after", palette), points, height=360)
