"""The charts of the Learning page: accuracy over the epochs, formation, image histories, ensembles."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.figure import (
    Figure,
    chosen_epoch,
    drawing,
    epoch_axis,
    epoch_rule,
    point_selection,
    reference_line,
    reference_rule,
    rows,
    tooltips,
    whole_numbers,
    with_percents,
)
from dashboard.charts.intervals import interval_dots
from dashboard.shared.theme import LIGHT, Palette
from store.rates import percent


def accuracy_curves(
    frame: pd.DataFrame, *, highlight: str, by: str = "group", epoch: int, palette: Palette = LIGHT
) -> Figure:
    """Accuracy of every group or class over the epochs, one of them highlighted.

    Args:
        frame: columns epoch, the column named by `by`, accuracy (fraction).
        highlight: the one drawn in front, in colour.
        by: 'group' or 'name'.
        epoch: the epoch to mark.
    """
    shown = frame.groupby(["epoch", by], as_index=False)["accuracy"].mean()
    shown = with_percents(shown, accuracy=1)
    tables = {"accuracy": shown.assign(highlighted=shown[by] == highlight), **chosen_epoch(epoch)}
    return Figure(_accuracy(by, palette), tables)


@drawing
def _accuracy(by: str, palette: Palette) -> alt.TopLevelMixin:
    base = rows("accuracy").encode(
        x=epoch_axis(),
        y=alt.Y("accuracy:Q", axis=alt.Axis(format="~%"), scale=alt.Scale(domain=[0, 1])),
        detail=alt.Detail(f"{by}:N"),
        tooltip=tooltips("epoch:Q", f"{by}:N", ("accuracy_percent:N", "", "accuracy")),
    )
    behind = base.transform_filter("!datum.highlighted").mark_line(color=palette.neutral, opacity=0.35, strokeWidth=1.2)
    front = base.transform_filter("datum.highlighted").mark_line(
        color=palette.true_class,
        strokeWidth=3.5,
        point=alt.OverlayMarkDef(color=palette.true_class, size=45, filled=True),
    )
    return alt.layer(epoch_rule(palette), behind, front, height=320)


# Multiples of these spread evenly over a square, whatever their number (Roberts 2018, the R2 sequence).
_ACROSS, _UP = 0.7548776662466927, 0.5698402909980532


def _shift(index: pd.Series, turn: float) -> pd.Series:
    """A small fixed shift for each class, -0.2 to 0.2 of an epoch, so that equal points do not hide each other."""
    return 0.4 * ((index * turn) % 1 - 0.5)


def formation_scatter(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """When the maps of a class formed, and when its predictions stabilised; points can be clicked.

    Medians are whole or half epochs, so points are shifted a little to keep them apart.

    Args:
        frame: columns name, group, class_index, image_formation, stabilisation (medians over the images, epochs; rows
            with -1, never, are left out), accuracy.
    """
    known = frame[(frame["image_formation"] >= 0) & (frame["stabilisation"] >= 0)]
    index = known["class_index"]
    known = known.assign(
        x=known["image_formation"] + _shift(index, _ACROSS), y=known["stabilisation"] + _shift(index, _UP)
    )
    both = pd.concat([known["image_formation"], known["stabilisation"]])
    ends = pd.DataFrame({"x": [both.min(), both.max()], "y": [both.min(), both.max()]}).dropna()
    return Figure(_formation(palette), {"classes": with_percents(known, accuracy=0), "diagonal": ends})


@drawing
def _formation(palette: Palette) -> alt.TopLevelMixin:
    chosen = point_selection("class_index")
    scale, ticks = alt.Scale(zero=False, nice=False, padding=12), whole_numbers()
    points = (
        rows("classes")
        .mark_circle(size=80, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title="median epoch at which the map has formed", scale=scale, axis=ticks),
            y=alt.Y("y:Q", title="median epoch at which the prediction stabilises", scale=scale, axis=ticks),
            color=alt.Color(
                "accuracy:Q", title="accuracy", scale=alt.Scale(scheme="cividis"), legend=alt.Legend(format="~%")
            ),
            stroke=alt.condition(chosen, alt.value(palette.prediction), alt.value(None)),
            tooltip=tooltips(
                "name:N",
                "group:N",
                ("image_formation:Q", "", "map formed"),
                ("stabilisation:Q", "", "prediction stabilised"),
                ("accuracy_percent:N", "", "accuracy"),
            ),
        )
        .add_params(chosen)
    )
    return alt.layer(reference_line("x", "y", palette), points, height=320)


def history_bars(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """How many images were always correct, learned, forgotten, ...; bars can be clicked.

    Args:
        frame: columns history and images, in the order of display.
    """
    return Figure(_histories(tuple(frame["history"]), palette), {"histories": frame})


@drawing
def _histories(names: tuple[str, ...], palette: Palette) -> alt.Chart:
    order = list(names)
    good, bad = (palette.correct, palette.true_class, palette.series[4]), (palette.prediction, palette.wrong)
    scale = alt.Scale(domain=order, range=[*good, *bad, palette.neutral])
    return (
        rows("histories")
        .mark_bar()
        .encode(
            y=alt.Y("history:N", sort=order, title=None),
            x=alt.X("images:Q"),
            color=alt.Color("history:N", sort=order, scale=scale, legend=None),
            tooltip=tooltips("history:N", "images:Q"),
        )
        .add_params(point_selection("history"))
        .properties(height=240)
    )


_ZERO = pd.DataFrame({"gain": [0.0]})


def ensemble_gains(frame: pd.DataFrame, *, palette: Palette = LIGHT) -> Figure:
    """The accuracy that each ensemble gains over the last epoch alone, with its 95 % interval and a line at zero.

    Args:
        frame: columns label, gain, gain_low, gain_high (fractions), top1, nll, ece.
    """
    points = {name: 100 * frame[name] for name in ("gain", "gain_low", "gain_high")}
    significant = (frame["gain_low"] > 0) | (frame["gain_high"] < 0)
    shown = with_percents(frame, top1=2, ece=2).assign(**points, significant=significant)
    return Figure(_gains(tuple(frame["label"]), palette), {"ensembles": shown, "zero": _ZERO})


@drawing
def _gains(labels: tuple[str, ...], palette: Palette) -> alt.TopLevelMixin:
    dots = interval_dots(
        "ensembles",
        "gain",
        y=alt.Y("label:N", sort=list(labels), title=None, axis=alt.Axis(labelLimit=240)),
        x=alt.X("gain:Q", title="points of accuracy gained", axis=alt.Axis(format="+f")),
        colour=alt.condition("datum.significant", alt.value(palette.true_class), alt.value(palette.neutral)),
        tooltip=tooltips(
            ("label:N", "", "average of"),
            ("gain:Q", "+.2f", "gain in points"),
            ("gain_low:Q", "+.2f", "95 % from"),
            ("gain_high:Q", "+.2f", "to"),
            ("top1_percent:N", "", "top-1"),
            ("nll:Q", ".3f"),
            ("ece_percent:N", "", "ECE"),
        ),
    )
    return alt.layer(reference_rule("zero", "gain", palette), *dots, height=alt.Step(30))


def epoch_lines(frame: pd.DataFrame, *, title: str, epoch: int, palette: Palette = LIGHT) -> Figure:
    """A few measures over the epochs, a line for each.

    Args:
        frame: columns epoch, line (its name), value.
        title: of the axis; its values are shares where it begins with "share".
        epoch: the epoch to mark.
    """
    names = tuple(dict.fromkeys(frame["line"]))
    texts = [percent(value) if title.startswith("share") else f"{value:.3g}" for value in frame["value"]]
    return Figure(_epoch_lines(names, title, palette), {"lines": frame.assign(text=texts), **chosen_epoch(epoch)})


@drawing
def _epoch_lines(names: tuple[str, ...], title: str, palette: Palette) -> alt.TopLevelMixin:
    colours = alt.Scale(domain=list(names), range=[palette.ink, *palette.series][: len(names)])
    share = title.startswith("share")
    axis = alt.Axis(format="~%" if share else "~f")
    base = rows("lines").encode(
        x=epoch_axis(),
        y=alt.Y("value:Q", title=title, axis=axis, scale=alt.Scale(domainMin=0)),
        color=alt.Color("line:N", title=None, sort=list(names), scale=colours, legend=alt.Legend(orient="top")),
        tooltip=tooltips("epoch:Q", ("line:N", "", "measure"), ("text:N", "", "value")),
    )
    return alt.layer(epoch_rule(palette), base.mark_line(), base.mark_circle(size=40, opacity=1), height=250)
