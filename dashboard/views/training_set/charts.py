"""The charts of the page Training set: the map of the training images, forgetting, one image's history."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, drawing, epoch_axis, legend_columns, point_selection, rows, tooltips
from dashboard.shared.theme import LIGHT, Palette

KINDS = ("learned and kept", "forgotten", "never learned")


def cartography(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """Mean against standard deviation of the label's probability over the epochs; points can be clicked.

    Args:
        frame: columns training_image, name, true_class, variability, confidence, forgetting, kind (one of KINDS),
            mark ("label exchanged" or "").
    """
    return Figure(_cartography(bool((frame["mark"] != "").any()), palette), {"training_images": frame})


@drawing
def _cartography(marked: bool, palette: Palette) -> alt.TopLevelMixin:
    colours = alt.Scale(domain=list(KINDS), range=[palette.true_class, palette.prediction, palette.series[3]])
    base = rows("training_images").encode(
        x=alt.X("variability:Q", title="standard deviation of P(label) over the epochs", scale=alt.Scale(zero=True)),
        y=alt.Y("confidence:Q", title="mean of P(label) over the epochs", scale=alt.Scale(domain=[0, 1])),
        tooltip=tooltips(
            "name:N",
            ("true_class:N", "", "label"),
            ("confidence:Q", ".3f", "mean"),
            ("variability:Q", ".3f", "standard deviation"),
            ("forgetting:Q", "", "times forgotten"),
        ),
    )
    points = base.mark_circle(size=26, opacity=0.55).encode(
        color=alt.Color(
            "kind:N", title=None, scale=colours, legend=alt.Legend(orient="top", columns=legend_columns(3, 2))
        )
    )
    layers = [points.add_params(point_selection("training_image"))]
    if marked:
        ring = base.transform_filter("datum.mark != ''").mark_point(size=70, strokeWidth=1.5, color=palette.wrong)
        layers.append(ring)
    return alt.layer(*layers, height=360)


def forgetting_bars(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """How many images were forgotten how often.

    Args:
        frame: columns times (text, in the order of display), images.
    """
    return Figure(_forgetting(tuple(frame["times"]), palette), {"forgetting": frame})


@drawing
def _forgetting(order: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    return (
        rows("forgetting")
        .mark_bar(color=palette.true_class)
        .encode(
            x=alt.X("images:Q", title="training images"),
            y=alt.Y("times:N", sort=list(order), title=None, axis=alt.Axis(labelLimit=180)),
            tooltip=tooltips("times:N", "images:Q"),
        )
        .properties(height=180)
    )


def history(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """One image's probability of its label over the epochs.

    Args:
        frame: columns epoch, label_probability, predicted_class.
    """
    return Figure(_history(palette), {"history": frame})


@drawing
def _history(palette: Palette) -> alt.TopLevelMixin:
    return (
        rows("history")
        .mark_line(color=palette.true_class, strokeWidth=2, point=alt.OverlayMarkDef(filled=True, size=45))
        .encode(
            x=epoch_axis(),
            y=alt.Y("label_probability:Q", title="P(label) while training", scale=alt.Scale(domain=[0, 1])),
            tooltip=tooltips("epoch:Q", ("label_probability:Q", ".3f", "P(label)"), "predicted_class:N"),
        )
        .properties(height=220)
    )
