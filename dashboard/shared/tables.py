"""Tables, and tables whose rows lead somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts.figure import without_attrs


def plain_table(table: pd.DataFrame, *, alt: str, **options: Any) -> None:
    """Draw a table without its index, with a dash where a value is missing.

    Args:
        table: the rows.
        alt: what a screen reader says.
        options: further arguments of `st.dataframe`.
    """
    st.dataframe(without_attrs(table), alt=alt, placeholder="–", **{"hide_index": True} | options)


def row_table(table: pd.DataFrame, *, key: str, alt: str, on_row: Callable[[int], None], **options: Any) -> None:
    """Draw a table; `on_row` gets the position of a row that is clicked.

    Args:
        table: the rows.
        key: of the element.
        alt: what a screen reader says.
        on_row: called before the page runs again.
        options: further arguments of `plain_table`.
    """

    def clicked() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            on_row(int(rows[0]))

    plain_table(table, key=key, alt=alt, on_select=clicked, selection_mode="single-row", **options)
