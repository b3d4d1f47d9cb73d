"""A chart as two things: how it is drawn, which depends on a few arguments, and the tables that it draws.

Altair takes 10 ms to lay out a chart, and most charts of a page differ from the last ones in their values only. So a
drawing refers to its tables by name, is made once for its arguments, and every state of a run fills in its own values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, ParamSpec, cast

import altair as alt
import numpy as np
import pandas as pd
import pyarrow as pa
from altair.utils.data import to_values
from altair.utils.schemapi import debug_mode

from dashboard.shared.theme import Palette
from store.rates import percent

Drawing = Mapping[str, Any]
P = ParamSpec("P")

_MOST_DRAWINGS = 64  # of one kind
_DEFAULTS = {
    # A label at the end of an axis stands under its tick, not pushed against its neighbour.
    "axis": {"labelFlush": False},
    # Vega's own number of ticks gives a wide chart fifty.
    "axisX": {"tickCount": {"expr": "ceil(width / 70)"}},
    # A screen reader is given the chart in words and its table; thousands of unnamed marks would only be in its way.
    "mark": {"aria": False},
    # Numbers as `store.rates.percent` and `theme.count` write them in the texts beside the chart.
    "locale": {
        "number": {"decimal": ".", "thousands": "\u202f", "grouping": [3], "currency": ["", ""], "percent": "\xa0%"}
    },
}
# Streamlit leaves 20 pixels under a chart where none are asked for.
_ON_PAGE = {"padding": {"left": 0, "top": 4, "right": 12, "bottom": 2}}
# On a page Streamlit styles a chart; a downloaded one brings its own style, on white.
_STANDALONE = {"background": "white", "padding": 12, "font": "sans-serif"}
# Whether Altair validates a chart is a setting of the whole process, so one thread draws at a time.
_ALTAIR_SETTING = Lock()


@dataclass(frozen=True)
class Figure:
    """A chart with its values.

    Attributes:
        drawing: Vega-Lite that refers to its data by name; shared, so never changed.
        tables: the data by these names.
        replacements: texts that stand for others in the drawing, such as 'P(class)' for one class's name.
    """

    drawing: Drawing
    tables: Mapping[str, pd.DataFrame]
    replacements: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Vega-Lite as plain JSON, the rows under `datasets`."""
        datasets = {name: to_values(table)["values"] for name, table in self.tables.items()}
        return {**_replace_texts(self.drawing, self.replacements), "datasets": datasets}

    def specification(self, *, clickable: bool = False) -> dict[str, Any]:
        """Vega-Lite with Arrow bytes under `datasets`: what Streamlit sends without converting it.

        Args:
            clickable: points or a range of the chart can be chosen.
        """
        contents = {name: arrow(table) for name, table in self.tables.items()}
        named = {name: name for name in contents}
        if clickable:
            # Named by their content: other values make another chart, which has forgotten the point of the last click,
            # so that the same point can be clicked again. Under the same names the browser only fills in the values.
            named = {name: hashlib.blake2b(content, digest_size=16).hexdigest() for name, content in contents.items()}
        datasets = {named[name]: content for name, content in contents.items()}
        return {
            **_rename_tables(_replace_texts(self.drawing, self.replacements), named),
            **_ON_PAGE,
            "datasets": datasets,
        }


def _rename_tables(drawing: Drawing, names: Mapping[str, str]) -> dict[str, Any]:
    """A drawing, or a layer of one, with its tables renamed."""
    changed = dict(drawing)
    if "data" in drawing:
        changed["data"] = {**drawing["data"], "name": names[drawing["data"]["name"]]}
    if "layer" in drawing:
        changed["layer"] = [_rename_tables(layer, names) for layer in drawing["layer"]]
    return changed


def _replace_texts(part: Any, replacements: Mapping[str, str]) -> Any:
    """A part of a drawing with some texts replaced."""
    if not replacements:
        return part
    if isinstance(part, dict):
        return {name: _replace_texts(value, replacements) for name, value in part.items()}
    if isinstance(part, list):
        return [_replace_texts(value, replacements) for value in part]
    return replacements.get(part, part) if isinstance(part, str) else part


def drawing(draw: Callable[P, alt.TopLevelMixin]) -> Callable[P, Drawing]:
    """The function with its charts as Vega-Lite, each made once for its arguments; `rows` names what they draw."""

    @wraps(draw)
    def vega_lite(*args: P.args, **kwargs: P.kwargs) -> Drawing:
        # Validation against the schema takes most of the time; the tests do it.
        with _ALTAIR_SETTING, debug_mode(False):
            spec: dict[str, Any] = draw(*args, **kwargs).to_dict(validate=False)
        return spec | {"config": {**spec.get("config", {}), **_DEFAULTS}}

    # Altair takes 8 to 17 ms of a core for a chart; the values of a new state, filled in later, 1 to 2 ms.
    return cast("Callable[P, Drawing]", lru_cache(_MOST_DRAWINGS)(vega_lite))


def rows(name: str) -> alt.Chart:
    """A chart of a figure's table; every field needs its type, since there are no values to infer it from."""
    return alt.Chart(alt.NamedData(name))


def without_attrs(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it may travel to the browser: `attrs` would, too, as JSON, which has no NaN."""
    bare = table.copy(deep=False)
    bare.attrs = {}
    return bare


def arrow(table: pd.DataFrame) -> bytes:
    """A table as an Arrow stream, without its index and its `attrs`."""
    columns = pa.Table.from_pandas(without_attrs(table), preserve_index=False)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, columns.schema) as writer:
        writer.write_table(columns)
    return stream.getvalue().to_pybytes()


def whole_numbers(**options: Any) -> alt.Axis:
    """An axis of counts or epochs; where Vega puts a tick between two of them, it has no label."""
    return alt.Axis(tickMinStep=1, format=",d", labelExpr="datum.value % 1 ? '' : datum.label", **options)


def epoch_axis() -> alt.X:
    """The epochs, from the first recorded one, in whole numbers."""
    return alt.X(
        "epoch:Q",
        title="epoch",
        axis=whole_numbers(grid=False),
        scale=alt.Scale(zero=False, nice=False, padding=14),
    )


def chosen_epoch(epoch: int | None) -> dict[str, pd.DataFrame]:
    """The table behind `epoch_rule`; without an epoch there is no rule."""
    return {"chosen": pd.DataFrame({"epoch": [] if epoch is None else [epoch]})}


def epoch_rule(palette: Palette) -> alt.Chart:
    """A rule at the chosen epoch."""
    rule = rows("chosen").mark_rule(color=palette.prediction, strokeWidth=2, opacity=0.8)
    return rule.encode(x=alt.X("epoch:Q"), tooltip=tooltips(("epoch:Q", "", "chosen epoch")))


def reference_line(x: str, y: str, palette: Palette) -> alt.Chart:
    """A dashed line through the table "diagonal": what no change, or no effect, would look like."""
    line = rows("diagonal").mark_line(color=palette.neutral, strokeDash=[5, 4])
    return line.encode(x=alt.X(f"{x}:Q"), y=alt.Y(f"{y}:Q"))


def reference_rule(table: str, x: str, palette: Palette) -> alt.Chart:
    """A dashed upright line, at chance or at zero."""
    return rows(table).mark_rule(color=palette.neutral, strokeDash=[5, 4]).encode(x=alt.X(f"{x}:Q"))


def point_selection(*fields: str) -> alt.Parameter:
    """Makes the marks of a chart clickable; `on_point` of `downloads.chart` gets these fields."""
    return alt.selection_point(name="point", fields=list(fields), on="click", empty=False)


def tooltips(*fields: str | tuple[str, ...]) -> list[alt.Tooltip]:
    """What a mark says under the pointer: fields with their type, a number format and a title where they need them.

    As in `tooltips("epoch:Q", ("nll:Q", ".3f"), ("share_percent:N", "", "share"))`; shares as `with_percents` has them.
    """
    entries = ((field, "", "") if isinstance(field, str) else (*field, "")[:3] for field in fields)
    none = alt.Undefined
    return [alt.Tooltip(name, format=form or none, title=title or none) for name, form, title in entries]


def with_percents(table: pd.DataFrame, **digits: int) -> pd.DataFrame:
    """The table with a text column such as `top1_percent` for each named column of shares, with so many digits.

    Vega's own formats round 999 of 1,000 to 100 %.
    """
    return table.assign(
        **{f"{name}_percent": [percent(share, least) for share in table[name]] for name, least in digits.items()}
    )


def legend_columns(wide: int, narrow: int) -> alt.ExprRef:
    """Columns of a legend: fewer where the plot is as narrow as on a phone."""
    return alt.ExprRef(f"width > 400 ? {wide} : {narrow}")


def digest(table: pd.DataFrame) -> bytes:
    """A digest of what a table holds: names, types and values, not its index."""
    state = hashlib.blake2b(digest_size=16)
    for name, column in table.items():
        values = column.to_numpy()
        state.update(repr((name, values.dtype)).encode())
        state.update(repr(values.tolist()).encode() if values.dtype == object else np.ascontiguousarray(values).data)
    return state.digest()


def render(figure: Figure, form: str, *, width: int = 560) -> bytes:
    """A chart as PNG or SVG bytes, on white.

    Args:
        figure: the chart.
        form: 'png' (twice the resolution) or 'svg'.
        width: of the plot, in pixels.
    """
    import vl_convert  # loads a JavaScript engine: only when an image is asked for

    spec = figure.to_dict() | {"width": width}
    spec["config"] = {**spec.get("config", {}), **_STANDALONE}
    if form == "svg":
        return vl_convert.vegalite_to_svg(spec).encode()
    return vl_convert.vegalite_to_png(spec, scale=2)
