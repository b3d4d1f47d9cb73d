"""A chart as an image file that stands alone, and what a table is remembered by."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from dashboard.charts.figure import Figure

# On the page Streamlit styles a chart; a downloaded one brings its own, on white.
_STANDALONE = {"background": "white", "padding": 12, "font": "sans-serif"}


def digest(table: pd.DataFrame) -> bytes:
    """A digest of what a table holds: names, types and values, not its index."""
    state = hashlib.blake2b(digest_size=16)
    for name, column in table.items():
        values = column.to_numpy()
        state.update(repr((name, values.dtype)).encode())
        state.update(repr(values.tolist()).encode() if values.dtype == object else np.ascontiguousarray(values).data)
    return state.digest()


def rendered(made: Figure, form: str, *, width: int = 560) -> bytes:
    """A chart as PNG or SVG bytes, on white.

    Args:
        made: the chart.
        form: 'png' (twice the resolution) or 'svg'.
        width: of the plot, in pixels.
    """
    import vl_convert  # loads a JavaScript engine: only when an image is asked for

    spec = made.to_dict() | {"width": width}
    spec["config"] = {**spec.get("config", {}), **_STANDALONE}
    if form == "svg":
        return vl_convert.vegalite_to_svg(spec).encode()
    return vl_convert.vegalite_to_png(spec, scale=2)
