"""A chart with its downloads: PNG and SVG as drawn, CSV of exactly the values drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts.figure import Figure, digest, render
from dashboard.query_cache import QUERY_CACHE
from dashboard.shared.theme import DARK, LIGHT, Palette
from store.tools.csv_table import to_csv


def current_palette() -> Palette:
    """The colours for the reader's background."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def chart(
    draw: Callable[..., Figure],
    table: pd.DataFrame,
    *,
    key: str,
    alt: str,
    caption: str = "",
    on_point: Callable[[dict[str, Any]], None] | None = None,
    on_range: Callable[[float, float], None] | None = None,
    **arguments: Any,
) -> None:
    """Draw a chart in the reader's palette, and under it, in one line, a small menu of downloads and its caption.

    Args:
        draw: a chart function; it is called with the table, the further arguments and the palette.
        table: the values drawn; the drawn chart is cached by its content.
        key: of the element, also the name of the downloaded files.
        alt: what a screen reader says.
        caption: Markdown.
        on_point, on_range: get the fields of a point that is clicked, or the ends of a range that is brushed, in a
            chart with the selection 'point' or 'range'.
        arguments: further arguments of `draw`.
    """
    arguments["palette"] = current_palette()

    def drawn() -> Figure:
        return draw(table, **arguments)

    def selected() -> None:
        selection = st.session_state[f"chart-{key}"]["selection"]
        points, ends = selection.get("point"), (selection.get("range") or {}).get("low")
        if on_point is not None and points:
            on_point(points[0])
        if on_range is not None and ends:
            on_range(float(min(ends)), float(max(ends)))

    # The digest stands for the table: drawing a chart takes far longer than reading all of its values.
    mode = "point" if on_point else "range" if on_range else None
    question = (draw, digest(table), mode, *sorted(arguments.items()))
    st.vega_lite_chart(
        spec=QUERY_CACHE.get(question, lambda: drawn().specification(clickable=mode is not None)),
        key=f"chart-{key}",
        alt=alt,
        width="stretch",
        on_select=selected if mode else "ignore",
        selection_mode=mode,
    )
    # Files are made when they are clicked: a PNG starts a JavaScript engine.
    with captioned(caption), st.popover("Download", icon=":material/download:", type="tertiary"):
        _files(drawn, table, key)


@contextmanager
def captioned(caption: str) -> Iterator[None]:
    """Draw what the block draws, and the caption beside it: two lines under each chart made pages a screen longer."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        yield
        if caption:
            st.caption(caption)


def _files(drawn: Callable[[], Figure], table: pd.DataFrame, key: str) -> None:
    file_button("PNG", lambda: render(drawn(), "png"), f"{key}.png", "image/png", icon=None)
    file_button("SVG", lambda: render(drawn(), "svg"), f"{key}.svg", "image/svg+xml", icon=None)
    file_button("CSV", lambda: csv(table), f"{key}.csv", "text/csv", icon=None)


def file_button(
    label: str,
    content: Callable[[], bytes | str],
    file_name: str,
    mime: str,
    *,
    icon: str | None = ":material/download:",
    **options: Any,
) -> None:
    """A download whose content is made when it is clicked; further options as of `st.download_button`."""
    look: dict[str, Any] = {"icon": icon, "on_click": "ignore", "type": "tertiary"}
    st.download_button(
        label, content, file_name=file_name, mime=mime, **{"key": f"download-{file_name}", **look, **options}
    )


def csv_button(label: str, table: pd.DataFrame, file_name: str) -> None:
    """A download of a table as CSV."""
    file_button(label, lambda: csv(table), file_name, "text/csv")


def csv(table: pd.DataFrame) -> bytes:
    """A table as CSV bytes for spreadsheets: with a byte order mark, no text a formula (`store.tools.csv_table`)."""
    return to_csv(table).encode("utf-8-sig")
