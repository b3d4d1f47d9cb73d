"""Tables, tables whose rows lead somewhere, and columns of shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts.figure import without_attrs
from store.rates import digits_of


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


def in_percent(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The table with some columns of shares multiplied by 100: `st.dataframe` shows numbers as they are."""
    return table.assign(**{name: 100 * table[name] for name in names})


def share_column(shares: pd.Series, label: str, *, digits: int = 1, **options: Any) -> Any:
    """How a column of `in_percent` is shown: with so many digits that no share becomes a 0 or 100 % that it is not.

    Args:
        shares: the column before it was multiplied.
        label: its heading.
        digits: at least so many after the point.
        options: further arguments of `st.column_config.NumberColumn`.
    """
    return st.column_config.NumberColumn(label, format=f"%.{digits_of(shares, digits)}f %%", **options)
