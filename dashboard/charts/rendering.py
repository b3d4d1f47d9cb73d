"""A chart as a picture file that stands alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Lock
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pyarrow as pa
from altair.utils.schemapi import debug_mode

# On the page Streamlit styles a chart; a downloaded one brings its own, on white.
_STANDALONE = {"background": "white", "padding": 12, "font": "sans-serif"}
# A label at the end of an axis stands under its tick, not pushed against its neighbour.
_AXES = {"axis": {"labelFlush": False}}
# Streamlit leaves 20 pixels under a chart where none are asked for.
_ON_PAGE = {"padding": {"left": 0, "top": 4, "right": 12, "bottom": 2}}


_one_at_a_time = Lock()  # the way in which Altair writes data is a setting of the whole process


def specification(draw: Callable[[], alt.TopLevelMixin]) -> dict[str, Any]:
    """A chart as Vega-Lite, its tables as Arrow bytes under `datasets`: what Streamlit sends on without another look.

    Not checked against the schema, neither when it is drawn nor when it is written: that takes most of the time, and
    the tests do it.

    Args:
        draw: makes the chart.
    """
    tables: dict[str, bytes] = {}

    def by_name(table: pd.DataFrame) -> dict[str, str]:
        content = arrow(table)
        name = hashlib.blake2b(content, digest_size=16).hexdigest()
        tables[name] = content
        return {"name": name}

    with _one_at_a_time:
        alt.data_transformers.register("classprint", by_name)
        with alt.data_transformers.enable("classprint"), debug_mode(False):
            spec: dict[str, Any] = draw().to_dict(validate=False)
    return spec | _ON_PAGE | {"datasets": tables, "config": {**spec.get("config", {}), **_AXES}}


def arrow(table: pd.DataFrame) -> bytes:
    """A table as an Arrow stream, without its index."""
    columns = pa.Table.from_pandas(table, preserve_index=False)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, columns.schema) as writer:
        writer.write_table(columns)
    return stream.getvalue().to_pybytes()


def fingerprint(table: pd.DataFrame) -> bytes:
    """A digest of what a table holds: names, types and values, not its index."""
    digest = hashlib.blake2b(digest_size=16)
    for name, column in table.items():
        values = column.to_numpy()
        digest.update(repr((name, values.dtype)).encode())
        digest.update(repr(values.tolist()).encode() if values.dtype == object else np.ascontiguousarray(values).data)
    return digest.digest()


def rendered(made: alt.TopLevelMixin, form: str, *, width: int = 560) -> bytes:
    """A chart as PNG or SVG bytes, on white.

    Args:
        made: the chart.
        form: 'png' (twice the resolution) or 'svg'.
        width: of the plot, in pixels.
    """
    import vl_convert  # loads a JavaScript engine: only when a picture is asked for

    with _one_at_a_time:
        spec = made.to_dict() | {"width": width}
    spec["config"] = {**spec.get("config", {}), **_STANDALONE, **_AXES}
    if form == "svg":
        return vl_convert.vegalite_to_svg(spec).encode()
    return vl_convert.vegalite_to_png(spec, scale=2)
