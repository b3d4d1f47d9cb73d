"""Classes: similarity of patterns against confusion, accuracy in two states, the images within one."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette


def similarity_scatter(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """How alike the patterns of two classes are against how often these are confused; a click chooses a 'pair'.

    Args:
        frame: columns first, second, first_index, second_index, similarity (cosine), rate (fraction), count.
        palette: colours for the background.
    """
    return Figure(_similarity(palette), {"pairs": frame})


def similarity_points(palette: Palette) -> alt.Chart:
    """The points of `similarity_scatter`, of the table `pairs`."""
    chosen = alt.selection_point(name="point", fields=["first_index", "second_index"], on="click", empty=False)
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
