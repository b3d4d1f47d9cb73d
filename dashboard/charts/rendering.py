"""A chart as a picture file that stands alone."""

from __future__ import annotations

from typing import Any

import altair as alt

# On the page Streamlit styles a chart; a downloaded one brings its own, on white.
_STANDALONE = {"background": "white", "padding": 12, "font": "sans-serif"}


def specification(made: alt.TopLevelMixin) -> dict[str, Any]:
    """A chart as Vega-Lite, with its data; not checked against the schema, which the tests do."""
    return made.to_dict(validate=False)


def rendered(made: alt.TopLevelMixin, form: str, *, width: int = 560) -> bytes:
    """A chart as PNG or SVG bytes, on white.

    Args:
        made: the chart.
        form: 'png' (twice the resolution) or 'svg'.
        width: of the plot, in pixels.
    """
    import vl_convert  # loads a JavaScript engine: only when a picture is asked for

    spec = made.to_dict() | {"width": width}
    spec["config"] = {**spec.get("config", {}), **_STANDALONE}
    if form == "svg":
        return vl_convert.vegalite_to_svg(spec).encode()
    return vl_convert.vegalite_to_png(spec, scale=2)
