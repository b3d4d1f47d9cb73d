"""A matrix on a canvas: 200 x 200 cells readable at once, zoomable, with a keyboard, and every cell can be chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from dashboard.components.assets import identity, on_trigger, register, to_base64, to_json
from dashboard.images.maps import DIVERGING, DIVERGING_LIGHT, colour_map, visible_colours
from store.rates import percent

_MATRIX = register("matrix")


@dataclass(frozen=True)
class Matrix:
    """What a matrix shows.

    Attributes:
        values: (R, C) float; NaN or, unless `signed`, zero is an empty cell.
        rows, columns: their names.
        row_title, column_title: what a row and a column is ('true class', 'predicted as').
        unit: of a value ('images', 'of the row').
        format: count, percent or signed.
        logarithmic: colours follow log(1 + |value|), so that single mistakes are seen beside hundreds.
        signed: colours diverge from zero.
        row_groups, column_groups: a group's name per row and column; neighbours of one group are framed together.
        selected: (row, column) that is framed.
        tallest: pixels; a matrix that is not square becomes no higher than this.
    """

    values: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    row_title: str = "true class"
    column_title: str = "predicted as"
    unit: str = "images"
    format: str = "count"
    logarithmic: bool = False
    signed: bool = False
    row_groups: Sequence[str] = ()
    column_groups: Sequence[str] = ()
    selected: tuple[int, int] | None = None
    tallest: int = 900


def cell_codes(matrix: Matrix) -> tuple[np.ndarray, float]:
    """Colour codes of the cells and the value of the strongest one.

    Returns:
        codes (R, C) uint8, 0 for an empty cell, 1..255 from lowest to highest (128 is zero where signed); and the
        largest magnitude.
    """
    values = np.nan_to_num(np.asarray(matrix.values, np.float64))
    empty = np.isnan(matrix.values) | (values == 0)
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    share = values / largest
    if matrix.logarithmic:
        # log(1 + n): a single mistake stays visible beside a diagonal of hundreds.
        share = np.sign(values) * np.log1p(np.abs(values)) / np.log1p(largest)
    codes = 128 + np.round(share * 127) if matrix.signed else 1 + np.round(np.clip(share, 0, 1) * 254)
    return np.where(empty, 0, np.clip(codes, 1, 255)).astype(np.uint8), largest


def _table(signed: bool, *, dark: bool) -> np.ndarray:
    """The colours of the codes on a dark or a light page; a single image is seen."""
    return colour_map(DIVERGING if dark else DIVERGING_LIGHT) if signed else visible_colours(256, dark=dark)


def group_starts(groups: Sequence[str]) -> list[list[Any]]:
    """[first row, name] of every run of neighbours with one group name."""
    starts, position = [], 0
    for name, members in groupby(groups):
        starts.append([position, name])
        position += len(list(members))
    return starts


def payload(matrix: Matrix, *, title: str) -> dict[str, Any]:
    """What travels to the browser for a matrix; JSON-able."""
    codes, largest = cell_codes(matrix)
    high = percent(largest, 0) if matrix.format == "percent" else f"{largest:.3g}"
    scale = ", logarithmic" if matrix.logarithmic else ""
    data: dict[str, Any] = {
        "title": title,
        "codes": to_base64(codes),
        # Only the filled cells: of 200 x 200 classes most pairs never occur.
        "values": to_base64(np.nan_to_num(np.asarray(matrix.values, np.float32))[codes > 0].astype("<f4")),
        "table": to_base64(_table(matrix.signed, dark=True)),
        "table_light": to_base64(_table(matrix.signed, dark=False)),
        "rows": list(matrix.rows),
        "columns": list(matrix.columns),
        "row_title": matrix.row_title,
        "column_title": matrix.column_title,
        "row_groups": group_starts(matrix.row_groups),
        "column_groups": group_starts(matrix.column_groups),
        "unit": matrix.unit,
        "format": matrix.format,
        "tallest": matrix.tallest,
        "legend": {"low": f"−{high}" if matrix.signed else "0", "high": high, "label": f"{matrix.unit}{scale}"},
    }
    # The selection is not part of the identity: the content stays the same.
    return data | {"identity": identity(data), "selected": list(matrix.selected) if matrix.selected else None}


def matrix_canvas(matrix: Matrix, *, title: str, key: str, on_cell: Callable[[int, int], None] | None = None) -> None:
    """Draw a matrix.

    Args:
        matrix: values and names.
        title: what a screen reader says.
        key: of the element.
        on_cell: called with row and column when a cell is chosen, before the page runs again.
    """

    def chosen(cell: dict[str, int]) -> None:
        if on_cell is not None:
            on_cell(int(cell["row"]), int(cell["column"]))

    _MATRIX(key=key, data=to_json(payload(matrix, title=title)), on_cell_change=on_trigger(key, "cell", chosen))
