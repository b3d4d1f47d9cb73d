"""What the page Map computes: where the points are, their colours, and which of them an area has."""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.components.points import Area
from dashboard.images.maps import visible_colours
from dashboard.shared.theme import DARK, Palette, count

LAYOUTS = {"neighbours": "neighbours (t-SNE)", "components": "principal components"}
_COLUMNS = {"neighbours": ["x", "y"], "components": ["component_1", "component_2"]}
_LEGEND = 12  # kinds that are listed
_MOST_KINDS = 255  # a colour is a byte, and 0 is for the others


@dataclass(frozen=True)
class Colouring:
    """The colour of each point: codes (n,) uint8 into colours, and (colour, text) of a legend."""

    codes: np.ndarray
    colours: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]


def places(points: pd.DataFrame, layout: str) -> np.ndarray:
    """Where the points of the analysis's table are on the plane, (n, 2), 0..1, on one scale for both directions."""
    found = points[_COLUMNS[layout]].to_numpy(np.float64)
    low, high = found.min(0), found.max(0)
    middle, width = (low + high) / 2, float((high - low).max()) or 1.0
    return (found - middle) / width + 0.5


def inside(where: np.ndarray, area: Area) -> np.ndarray:
    """Which points (n, 2) lie inside an area, (n,) bool; all where there is none.

    A point is inside where a ray from it crosses the outline an odd number of times.
    """
    if not area:
        return np.ones(len(where), bool)
    corners = np.array(area) / 1000
    x, y = where[:, :1], where[:, 1:]
    (ax, ay), (bx, by) = corners.T, np.roll(corners, 1, axis=0).T
    spans = (ay > y) != (by > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossed = spans & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return crossed.sum(1) % 2 == 1


def by_kind(kinds: Sequence[str], order: Sequence[str], palette: Palette, *, colours: Sequence[str] = ()) -> Colouring:
    """A colour for each kind of point.

    Args:
        kinds: (n,) each point's; '' is none in question.
        order: of the kinds, by which they get their colours.
        palette: of the reader's background.
        colours: of the kinds in their order, if they have a meaning.
    """
    chosen = list(colours) or _hues(len(order), palette)
    code = {kind: 1 + place % _MOST_KINDS for place, kind in enumerate(order)}
    counts = Counter(kinds)
    listed = [kind for kind in order if counts[kind]]
    legend = [(chosen[code[kind] - 1], f"{kind} ({count(counts[kind])})") for kind in listed[:_LEGEND]]
    if len(listed) > _LEGEND:
        legend.append((palette.neutral, f"and {count(len(listed) - _LEGEND)} more: point at one for its name"))
    if counts[""]:
        legend.append((palette.neutral, f"others ({count(counts[''])})"))
    codes = np.array([code.get(kind, 0) for kind in kinds], np.uint8)
    return Colouring(codes, (palette.neutral, *chosen[:_MOST_KINDS]), tuple(legend))


def by_value(values: np.ndarray, chosen: np.ndarray, palette: Palette) -> Colouring:
    """A colour for each value 0..1, the higher the further from the background; those not chosen are grey."""
    table = visible_colours(255, dark=palette is DARK)
    colours = ["#{:02x}{:02x}{:02x}".format(*entry) for entry in table.tolist()]
    codes = np.where(chosen, 1 + np.round(np.nan_to_num(values).clip(0, 1) * 254), 0).astype(np.uint8)
    legend = tuple((colours[round(254 * share)], f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1))
    return Colouring(codes, (palette.neutral, *colours), legend)


def _hues(number: int, palette: Palette) -> list[str]:
    """So many colours: those of the palette's series if they are enough, else hues, neighbours far from each other."""
    if number <= len(palette.series):
        return list(palette.series[:number])
    lightness = 0.62 if palette is DARK else 0.45
    hues = (colorsys.hls_to_rgb(0.618 * place % 1, lightness, 0.7) for place in range(min(number, _MOST_KINDS)))
    return ["#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in hue)) for hue in hues]
