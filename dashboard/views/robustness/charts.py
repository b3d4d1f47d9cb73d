"""The charts of the Robustness page: every variant over the epochs, and what becomes of predictions and maps."""

from __future__ import annotations

import json

import altair as alt
import pandas as pd

from dashboard.charts.figure import (
    Figure,
    chosen_epoch,
    drawing,
    epoch_axis,
    epoch_rule,
    legend_columns,
    point_selection,
    rows,
    tooltips,
    with_percents,
)
from dashboard.shared.theme import LIGHT, Palette


def variant_curves(frame: pd.DataFrame, *, figure: str, title: str, epoch: int, palette: Palette = LIGHT) -> Figure:
    """One measure of every variant over the epochs; the line of the clean images is thicker.

    Args:
        frame: columns epoch, variant_label and the measure; the first variant is the clean one.
        figure: the column to draw; fractions except for `nll`, in nats, and `drop`, in standard deviations.
        title: of the axis.
        epoch: the epoch to mark.
    """
    shown = frame[["epoch", "variant_label", figure]].dropna()
    names = tuple(dict.fromkeys(frame["variant_label"]))
    return Figure(_curves(names, figure, title, palette), {"figures": shown, **chosen_epoch(epoch)})


@drawing
def _curves(names: tuple[str, ...], figure: str, title: str, palette: Palette) -> alt.TopLevelMixin:
    colours = alt.Scale(domain=list(names), range=[palette.ink, *palette.series][: len(names)])
    percent = figure not in ("nll", "drop")
    # Small symbols close together: on a phone, two long labels just fit side by side.
    legend = alt.Legend(orient="top", symbolType="stroke", symbolSize=50, columnPadding=4, columns=legend_columns(3, 2))
    # Dashes too: not everybody can distinguish eight colours. The same field and legend: one legend shows both.
    dashes = alt.Scale(domain=list(names), range=[[1, 0], *([[1, 0], [5, 3], [2, 2]] * 4)][: len(names)])
    base = rows("figures").encode(
        x=epoch_axis(),
        y=alt.Y(f"{figure}:Q", title=title, axis=alt.Axis(format="~%" if percent else "~f")),
        color=alt.Color("variant_label:N", title=None, sort=list(names), scale=colours, legend=legend),
        strokeDash=alt.StrokeDash("variant_label:N", title=None, sort=list(names), scale=dashes, legend=legend),
        tooltip=tooltips("epoch:Q", ("variant_label:N", "", "variant"), (f"{figure}:Q", ".3f")),
    )
    # Quoted as JSON: a variant's label may contain quotation marks.
    is_clean = f"datum.variant_label === {json.dumps(names[0])}"
    clean = alt.condition(is_clean, alt.value(3.2), alt.value(1.8))
    lines, points = base.mark_line().encode(strokeWidth=clean), base.mark_point(filled=True, size=28, opacity=1)
    return alt.layer(epoch_rule(palette), lines, points, height=340)


def dose_curve(frame: pd.DataFrame, *, parameter: str, palette: Palette = LIGHT) -> Figure:
    """Accuracy and mean confidence over the strength of one kind of perturbation, from the clean images on.

    Args:
        frame: columns strength, variant_label, top1 and mean_confidence.
        parameter: what the strength is: the title of its axis.
    """
    names = {"top1": "top-1 accuracy", "mean_confidence": "mean confidence"}
    shown = frame.rename(columns=names).melt(["strength", "variant_label"], list(names.values()), "measure", "share")
    shown = with_percents(shown, share=1)
    return Figure(_doses(tuple(names.values()), palette), {"doses": shown}, {"STRENGTH": parameter})


@drawing
def _doses(names: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    colours = alt.Scale(domain=list(names), range=[palette.ink, palette.prediction])
    base = rows("doses").encode(
        x=alt.X("strength:Q", title="STRENGTH"),
        y=alt.Y("share:Q", title=None, axis=alt.Axis(format="~%"), scale=alt.Scale(zero=True)),
        color=alt.Color("measure:N", title=None, sort=list(names), scale=colours, legend=alt.Legend(orient="top")),
        tooltip=tooltips(("variant_label:N", "", "variant"), "measure:N", ("share_percent:N", "", "share")),
    )
    return alt.layer(base.mark_line(), base.mark_point(filled=True, size=40, opacity=1), height=240)


OUTCOME_NAMES = {
    "stable": "correct both times, same map",
    "different reason": "correct for a different reason",
    "same mistake": "same mistake both times",
    "responsive": "changed prediction, changed map",
    "unresponsive": "changed prediction, same map",
}


def outcome_bars(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """The images by what became of their prediction and map, a bar for each variant.

    Args:
        frame: columns variant, variant_label, outcome (key of `OUTCOME_NAMES`), images, share; variants in the order of
            display.
    """
    shown = frame.assign(
        outcome_name=frame["outcome"].map(OUTCOME_NAMES), rank=frame["outcome"].map(list(OUTCOME_NAMES).index)
    )
    shown = with_percents(shown, share=1)
    return Figure(_outcomes(tuple(dict.fromkeys(frame["variant_label"])), palette), {"outcomes": shown})


@drawing
def _outcomes(names: tuple[str, ...], palette: Palette) -> alt.Chart:
    colours = [palette.correct, palette.prediction, palette.neutral, palette.true_class, palette.wrong]
    return (
        rows("outcomes")
        .mark_bar()
        .encode(
            y=alt.Y("variant_label:N", sort=list(names), title=None, axis=alt.Axis(labelLimit=150)),
            x=alt.X("share:Q", title="share of the images", stack="zero", axis=alt.Axis(format="~%")),
            color=alt.Color(
                "outcome_name:N",
                title=None,
                sort=list(OUTCOME_NAMES.values()),
                scale=alt.Scale(domain=list(OUTCOME_NAMES.values()), range=colours),
                legend=alt.Legend(orient="top", columns=legend_columns(3, 1), labelLimit=300),
            ),
            order=alt.Order("rank:Q"),
            tooltip=tooltips(
                ("variant_label:N", "", "variant"),
                ("outcome_name:N", "", "outcome"),
                "images:Q",
                ("share_percent:N", "", "share"),
            ),
        )
        .add_params(point_selection("variant", "outcome"))
        .properties(height=alt.Step(26))
    )
