"""The charts of the Overview: loss and accuracy over the epochs (Fig. 2), accuracy under every variant at one epoch."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.figure import Figure, chosen_epoch, drawing, epoch_axis, epoch_rule, rows, tooltips, with_percents
from dashboard.shared.theme import LIGHT, Palette

_LABEL_ROOM = 0.25  # a smaller accuracy leaves no room for its label between the dot and the variants' names
_SERIES = {
    "train_loss": ("loss", "training"),
    "validation_loss": ("loss", "validation"),
    "train_top1": ("accuracy", "training"),
    "validation_top1": ("accuracy", "validation"),
    "validation_top5": ("accuracy", "validation top-5"),
}


def training_series(metrics: pd.DataFrame) -> pd.DataFrame:
    """The run's metrics in long form.

    Args:
        metrics: a row per epoch with the column `epoch` and any of train_loss, validation_loss, train_top1,
            validation_top1, validation_top5 (fractions); absent ones are left out.

    Returns:
        Columns epoch, quantity (loss, accuracy), part (training, validation, validation top-5), value.
    """
    parts = [
        pd.DataFrame({"epoch": metrics["epoch"], "quantity": quantity, "part": part, "value": metrics[column]})
        for column, (quantity, part) in _SERIES.items()
        if column in metrics
    ]
    long = (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["epoch", "quantity", "part", "value"])
    )
    return long.dropna(subset=["value"])


def training_curve(series: pd.DataFrame, *, quantity: str, epoch: int | None, palette: Palette = LIGHT) -> Figure:
    """Loss or accuracy over the epochs, training against validation (Fig. 2), the chosen epoch ruled.

    Args:
        series: from `training_series`.
        quantity: 'loss' or 'accuracy'.
        epoch: the epoch to mark, if any.
    """
    shown = series[series.quantity == quantity]
    parts = tuple(shown["part"].unique())
    if quantity == "accuracy":
        shown = with_percents(shown, value=2)
    return Figure(_training(quantity == "accuracy", parts, palette), {"series": shown, **chosen_epoch(epoch)})


@drawing
def _training(accuracy: bool, parts: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    colours = {"training": palette.neutral, "validation": palette.true_class, "validation top-5": palette.series[3]}
    scale = alt.Scale(domain=list(parts), range=[colours[part] for part in parts])
    # A click anywhere in the chart chooses the nearest epoch.
    chosen = alt.selection_point(name="point", fields=["epoch"], nearest=True, on="click", clear=False, empty=False)
    legend = alt.Legend(orient="top", symbolType="stroke", columns=2)
    base = rows("series").encode(
        x=epoch_axis(),
        y=alt.Y(
            "value:Q",
            title="accuracy" if accuracy else "cross entropy (Eq. 9)",
            axis=alt.Axis(format="~%" if accuracy else "~f"),
            scale=alt.Scale(zero=accuracy),
        ),
        color=alt.Color("part:N", title=None, scale=scale, legend=legend),
        tooltip=tooltips("epoch:Q", "part:N", ("value_percent:N", "", "value") if accuracy else ("value:Q", ".4f")),
    )
    points = base.mark_point(filled=True, size=42, opacity=1).add_params(chosen)
    layers = epoch_rule(palette), base.mark_line(strokeWidth=2), points
    return alt.layer(*layers, title="Accuracy" if accuracy else "Loss", height=330)


def accuracy_by_variant(frame: pd.DataFrame, *, top5: bool = True, palette: Palette = LIGHT) -> Figure:
    """Top-1 and top-5 accuracy of every variant as dots on one line, in the run's order of variants.

    Args:
        frame: a row per variant: variant_label, top1, top5 (fractions), mean_confidence.
        top5: whether it says anything: the run has more than five classes.
    """
    frame = frame if top5 else frame.assign(top5=frame["top1"])
    measures = ["top1", "top5"] if top5 else ["top1"]
    long = frame.melt(["variant_label", "mean_confidence"], measures, "measure", "value")
    long["measure"] = long["measure"].map({"top1": "top-1", "top5": "top-5"})
    tables = {"variants": with_percents(frame, top1=1), "shares": with_percents(long, value=2)}
    return Figure(_dots(tuple(frame["variant_label"]), tuple(long["measure"].unique()), palette), tables)


@drawing
def _dots(names: tuple[str, ...], measures: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    y = alt.Y("variant_label:N", sort=list(names), title=None, axis=alt.Axis(labelLimit=150, ticks=False, domain=False))
    x = alt.X("value:Q", title="accuracy", axis=alt.Axis(format="~%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    span = (
        rows("variants")
        .mark_rule(color=palette.faint, strokeWidth=4)
        .encode(y=y, x=alt.X("top1:Q"), x2=alt.X2("top5:Q"))
    )
    colours = alt.Scale(domain=list(measures), range=[palette.true_class, palette.neutral][: len(measures)])
    dots = (
        rows("shares")
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            y=y,
            x=x,
            color=alt.Color("measure:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
            tooltip=tooltips(
                ("variant_label:N", "", "variant"),
                "measure:N",
                ("value_percent:N", "", "value"),
                ("mean_confidence:Q", ".2f", "mean confidence"),
            ),
        )
    )
    text = alt.Text("top1_percent:N")
    wide, narrow = alt.datum.top1 >= _LABEL_ROOM, alt.datum.top1 < _LABEL_ROOM
    style: dict[str, Any] = {"fontSize": 11, "color": palette.true_class}
    before = rows("variants").transform_filter(wide).mark_text(align="right", dx=-9, **style)
    behind = rows("variants").transform_filter(narrow).mark_text(align="left", dx=9, **style)
    labels = (before.encode(y=y, x=alt.X("top1:Q"), text=text), behind.encode(y=y, x=alt.X("top5:Q"), text=text))
    return alt.layer(span, dots, *labels, title="Accuracy by variant", height=330)
