"""What becomes of the predictions and of their evidence under each perturbation."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.axes import columns
from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette, variant_name

OUTCOME_NAMES = {
    "steady": "right twice, same map",
    "different_reason": "right twice, moved map",
    "held wrong": "same mistake twice",
    "responsive": "another prediction, moved map",
    "unmoved flip": "another prediction, same map",
}


def outcome_bars(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Shares of the images by what became of prediction and map, a bar per variant; a click chooses an 'outcome'.

    Args:
        frame: columns variant, outcome (key of `OUTCOME_NAMES`), images, share; variants in the order of display.
        palette: colours for the background.
    """
    names = tuple(variant_name(variant) for variant in dict.fromkeys(frame["variant"]))
    shown = frame.assign(
        name=frame["variant"].map(variant_name),
        what=frame["outcome"].map(OUTCOME_NAMES),
        rank=frame["outcome"].map(list(OUTCOME_NAMES).index),
    )
    return Figure(_outcomes(names, palette), {"outcomes": shown})


@drawing
def _outcomes(names: tuple[str, ...], palette: Palette) -> alt.Chart:
    colours = [palette.right, palette.prediction, palette.neutral, palette.true_class, palette.wrong]
    chosen = alt.selection_point(name="outcome", fields=["variant", "outcome"], on="click", empty=False)
    return (
        rows("outcomes")
        .mark_bar()
        .encode(
            y=alt.Y("name:N", sort=list(names), title=None),
            x=alt.X("share:Q", title="images", stack="zero", axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "what:N",
                title=None,
                sort=list(OUTCOME_NAMES.values()),
                scale=alt.Scale(domain=list(OUTCOME_NAMES.values()), range=colours),
                legend=alt.Legend(orient="top", columns=columns(3, 1), labelLimit=300),
            ),
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("name:N", title="variant"),
                alt.Tooltip("what:N", title="what"),
                alt.Tooltip("images:Q"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
        .add_params(chosen)
        .properties(height=alt.Step(26))
    )
