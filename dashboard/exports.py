"""A chart with its downloads: PNG and SVG as drawn, CSV of exactly the values drawn."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.charts.rendering import rendered
from dashboard.theme import Palette, palette


def current_palette() -> Palette:
    """The colours for the reader's background."""
    return palette(st.context.theme.type == "dark")


def chart(made: alt.TopLevelMixin, *, name: str, table: pd.DataFrame, alt_text: str, **options: Any) -> Any:
    """Draw a chart with a small menu of downloads under it.

    Args:
        made: the chart.
        name: of the downloaded files, without ending; also the element's key.
        table: the values drawn.
        alt_text: what a reader is told who does not see it.
        options: for `st.altair_chart`, such as on_select.

    Returns:
        What `st.altair_chart` returns: the selection, where one was asked for.
    """
    result = st.altair_chart(made, key=f"chart-{name}", alt=alt_text, width="stretch", **options)
    with st.popover("Download", icon=":material/download:", type="tertiary"):
        _button("PNG", lambda: rendered(made, "png"), f"{name}.png", "image/png")
        _button("SVG", lambda: rendered(made, "svg"), f"{name}.svg", "image/svg+xml")
        _button("CSV", lambda: csv(table), f"{name}.csv", "text/csv")
    return result


def _button(label: str, content: Any, file_name: str, mime: str) -> None:
    st.download_button(
        label, content, file_name=file_name, mime=mime, key=f"download-{file_name}", on_click="ignore", type="tertiary"
    )


def csv(table: pd.DataFrame) -> bytes:
    """A table as CSV bytes, UTF-8, with a header."""
    return table.to_csv(index=False).encode()
