"""A chart as two things: how it is drawn, which few arguments decide, and the tables that it draws.

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
import pandas as pd
import pyarrow as pa
from altair.utils.data import to_values
from altair.utils.schemapi import debug_mode

Drawing = Mapping[str, Any]
P = ParamSpec("P")

_MOST_DRAWINGS = 64  # of one kind
# A label at the end of an axis stands under its tick, not pushed against its neighbour.
_AXES = {"axis": {"labelFlush": False}}
# Streamlit leaves 20 pixels under a chart where none are asked for.
_ON_PAGE = {"padding": {"left": 0, "top": 4, "right": 12, "bottom": 2}}
_one_at_a_time = Lock()  # whether Altair checks what it is told is a setting of the whole process


@dataclass(frozen=True)
class Figure:
    """A chart with its values.

    Attributes:
        drawing: Vega-Lite that refers to its data by name; shared, so never changed.
        tables: the data by these names.
        words: texts of the drawing that stand for others, such as 'P(class)' for the name of one of many classes.
    """

    drawing: Drawing
    tables: Mapping[str, pd.DataFrame]
    words: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Vega-Lite as plain JSON, the rows under `datasets`."""
        datasets = {name: to_values(table)["values"] for name, table in self.tables.items()}
        return {**_worded(self.drawing, self.words), "datasets": datasets}

    def specification(self) -> dict[str, Any]:
        """Vega-Lite with Arrow bytes under `datasets`: what Streamlit sends on without another look.

        The tables are named by their content, so that the browser draws anew what has changed.
        """
        contents = {name: arrow(table) for name, table in self.tables.items()}
        named = {name: hashlib.blake2b(content, digest_size=16).hexdigest() for name, content in contents.items()}
        datasets = {named[name]: content for name, content in contents.items()}
        return {**_renamed(_worded(self.drawing, self.words), named), **_ON_PAGE, "datasets": datasets}


def _renamed(drawing: Drawing, names: Mapping[str, str]) -> dict[str, Any]:
    """A drawing, or a layer of one, whose tables have other names."""
    changed = dict(drawing)
    if "data" in drawing:
        changed["data"] = {**drawing["data"], "name": names[drawing["data"]["name"]]}
    if "layer" in drawing:
        changed["layer"] = [_renamed(layer, names) for layer in drawing["layer"]]
    return changed


def _worded(part: Any, words: Mapping[str, str]) -> Any:
    """A part of a drawing in other words."""
    if not words:
        return part
    if isinstance(part, dict):
        return {name: _worded(value, words) for name, value in part.items()}
    if isinstance(part, list):
        return [_worded(value, words) for value in part]
    return words.get(part, part) if isinstance(part, str) else part


def drawing(draw: Callable[P, alt.TopLevelMixin]) -> Callable[P, Drawing]:
    """The function with its charts as Vega-Lite, each made once; what they draw is named by `rows`.

    Not checked against the schema: that takes most of the time, and the tests do it.
    """

    @wraps(draw)
    def made(*args: P.args, **kwargs: P.kwargs) -> Drawing:
        with _one_at_a_time, debug_mode(False):
            spec: dict[str, Any] = draw(*args, **kwargs).to_dict(validate=False)
        return spec | {"config": {**spec.get("config", {}), **_AXES}}

    return cast("Callable[P, Drawing]", lru_cache(_MOST_DRAWINGS)(made))


def rows(name: str) -> alt.Chart:
    """A chart of a figure's table; every field needs its type, since there are no values to tell it from."""
    return alt.Chart(alt.NamedData(name))


def arrow(table: pd.DataFrame) -> bytes:
    """A table as an Arrow stream, without its index."""
    columns = pa.Table.from_pandas(table, preserve_index=False)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, columns.schema) as writer:
        writer.write_table(columns)
    return stream.getvalue().to_pybytes()
