"""A chart with its downloads: PNG and SVG as drawn, CSV of exactly the values drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts.figure import Figure
from dashboard.charts.rendering import fingerprint, rendered
from dashboard.query_cache import QUERY_CACHE
from dashboard.shared.theme import Palette, palette


def current_palette() -> Palette:
    """The colours for the reader's background."""
    return palette(st.context.theme.type == "dark")


def chart(
    draw: Callable[..., Figure],
    table: pd.DataFrame,
    *positional: Any,
    key: str,
    alt: str,
    on_select: Callable[[], None] | None = None,
    selection_mode: str | None = None,
    **arguments: Any,
) -> None:
    """Draw a chart with a small menu of downloads under it.

    Args:
        draw: a chart function; it is called with the table and the further arguments.
        table: the values drawn; what it holds is part of what the chart is remembered by.
        positional: further arguments of `draw`.
        key: of the element, also the name of the downloaded files.
        alt: what a reader is told who does not see the chart.
        on_select: called when something is chosen in the chart.
        selection_mode: name of the chart's selection.
        arguments: further arguments of `draw`.
    """

    def made() -> Figure:
        return draw(table, *positional, **arguments)

    # The digest stands for the table: making a chart takes far longer than looking at all of its values.
    question = (draw, fingerprint(table), positional, *sorted(arguments.items()))
    st.vega_lite_chart(
        spec=QUERY_CACHE.get(question, lambda: made().specification()),
        key=f"chart-{key}",
        alt=alt,
        width="stretch",
        on_select=on_select or "ignore",
        selection_mode=selection_mode,
    )
    with st.popover("Download", icon=":material/download:", type="tertiary"):
        _button("PNG", lambda: rendered(made(), "png"), f"{key}.png", "image/png")
        _button("SVG", lambda: rendered(made(), "svg"), f"{key}.svg", "image/svg+xml")
        _button("CSV", lambda: csv(table), f"{key}.csv", "text/csv")


def _button(label: str, content: Callable[[], bytes], file_name: str, mime: str) -> None:
    st.download_button(
        label, content, file_name=file_name, mime=mime, key=f"download-{file_name}", on_click="ignore", type="tertiary"
    )


def csv_button(label: str, table: pd.DataFrame, file_name: str) -> None:
    """A download of a table as CSV, made only when it is asked for."""
    st.download_button(
        label,
        lambda: csv(table),
        file_name=file_name,
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def csv(table: pd.DataFrame) -> bytes:
    """A table as CSV bytes, UTF-8, with a header."""
    return table.to_csv(index=False).encode()
