"""Curves over the epochs: loss and accuracy (Fig. 2), variants, one image's probability (Fig. 3 to 5)."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.axes import epoch_axis, epoch_rule, ruled
from dashboard.charts.figure import Figure, drawing, rows
from dashboard.shared.theme import LIGHT, Palette

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


def training_curve(
    series: pd.DataFrame, quantity: str, *, epoch: int | None = None, palette: Palette = LIGHT, height: int = 330
) -> Figure:
    """Loss or accuracy over the epochs, training against validation (Fig. 2), the chosen epoch ruled.

    Args:
        series: from `training_series`.
        quantity: 'loss' or 'accuracy'.
        epoch: the epoch to mark.
        palette: colours for the background.
        height: in pixels.
    """
    tables = {"series": series[series.quantity == quantity], **ruled(epoch)}
    return Figure(_training(quantity == "accuracy", "chosen" in tables, palette, height), tables)


@drawing
def _training(accuracy: bool, marked: bool, palette: Palette, height: int) -> alt.TopLevelMixin:
    parts = ["training", "validation"] + (["validation top-5"] if accuracy else [])
    colours = alt.Scale(domain=parts, range=[palette.neutral, palette.true_class, palette.series[3]][: len(parts)])
    chosen = alt.selection_point(name="point", fields=["epoch"], nearest=True, on="click", clear=False, empty=False)
    base = rows("series").encode(
        x=epoch_axis(),
        y=alt.Y(
            "value:Q",
            title="accuracy" if accuracy else "cross entropy (Eq. 9)",
            axis=alt.Axis(format=".0%" if accuracy else "~g"),
            scale=alt.Scale(zero=accuracy),
        ),
        color=alt.Color(
            "part:N", title=None, scale=colours, legend=alt.Legend(orient="top", symbolType="stroke", columns=2)
        ),
        tooltip=[
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("part:N"),
            alt.Tooltip("value:Q", format=".2%" if accuracy else ".4f"),
        ],
    )
    points = base.mark_point(filled=True, size=42, opacity=1).add_params(chosen)
    layers = [epoch_rule(palette)] if marked else []
    layers += [base.mark_line(strokeWidth=2), points]
    return alt.layer(*layers, title="Accuracy" if accuracy else "Loss", height=height)
