"""A figure with its interval as a small image: a dot on a bar on a scale, beside a line of text."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from dashboard.charts.figure import rows
from dashboard.shared.theme import LIGHT, Palette

_WIDTH, _HEIGHT, _MARGIN = 240, 34, 8


def scale_limits(value: float, low: float, high: float, unit: str, no_effect: float = 0.0) -> tuple[float, float]:
    """The ends of the scale that a figure is drawn on: 0 to 1 for shares and cosines, else from zero to the interval.

    Zero is always on the scale, because a figure without it cannot be judged, and so is the value without an effect.
    """
    ends = [end for end in (0.0, no_effect, value, low, high) if math.isfinite(end)]
    if unit in ("share", "cosine"):
        return min(-1.0 if min(ends) < 0 else 0.0, *ends), max(1.0, *ends)
    reach = (max(ends) - min(ends)) or 1.0
    return min(ends) - (0.12 * reach if min(ends) < 0 else 0), max(ends) + 0.12 * reach


def interval_svg(
    value: float, low: float, high: float, *, unit: str, no_effect: float = 0.0, palette: Palette = LIGHT
) -> str:
    """The figure as a dot and its interval as a bar, as an SVG document.

    Args:
        value: the figure.
        low, high: the ends of its interval; equal ends, or ends that are not finite, draw the dot alone.
        unit: of the figure, for the scale.
        no_effect: where the tick stands, the value if there were no effect; NaN for none.
    """
    # SVG by hand: Altair takes 8 to 17 ms for a chart, and a page shows ten of these.
    start, end = scale_limits(value, low, high, unit, no_effect)

    def place(number: float) -> float:
        return round(_MARGIN + (number - start) / (end - start) * (_WIDTH - 2 * _MARGIN), 1)

    middle = _HEIGHT / 2
    parts = [
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{middle}" y2="{middle}" stroke="{palette.faint}" '
        'stroke-width="4" stroke-linecap="round"/>',
    ]
    if math.isfinite(no_effect):
        parts.append(
            f'<line x1="{place(no_effect)}" x2="{place(no_effect)}" y1="{middle - 9}" y2="{middle + 9}" '
            f'stroke="{palette.neutral}" stroke-width="1.5"/>'
        )
    if math.isfinite(low) and math.isfinite(high) and high > low:
        parts.append(
            f'<line x1="{place(low)}" x2="{place(high)}" y1="{middle}" y2="{middle}" stroke="{palette.true_class}" '
            'stroke-width="8" stroke-linecap="round" stroke-opacity="0.45"/>'
        )
    if math.isfinite(value):
        parts.append(f'<circle cx="{place(value)}" cy="{middle}" r="6" fill="{palette.true_class}"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg>'
    )


def interval_dots(
    table: str, measure: str, *, y: alt.Y, x: alt.X, colour: Any, tooltip: list[alt.Tooltip]
) -> tuple[alt.Chart, alt.Chart]:
    """Rows of a figure's table as dots on their intervals: the layers of the bars and of the dots.

    Args:
        table: its name in the figure; it has the columns measure, measure_low and measure_high.
        measure: the column of the dots.
        y, x, colour, tooltip: encodings of the dots; `y` and `colour` are those of the bars, too.
    """
    bars = rows(table).mark_rule(strokeWidth=3, opacity=0.5)
    dots = rows(table).mark_circle(size=110, opacity=1)
    return (
        bars.encode(y=y, x=alt.X(f"{measure}_low:Q"), x2=alt.X2(f"{measure}_high:Q"), color=colour),
        dots.encode(y=y, x=x, color=colour, tooltip=tooltip),
    )
