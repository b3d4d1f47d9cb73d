"""Widgets that show what the URL says and write it back when moved. Nobody else touches their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from dashboard.shell import url_state


def _key(name: str, place: str = "") -> str:
    return f"control-{name}-{place}" if place else f"control-{name}"


def _moved(name: str, default: Any, resets: Sequence[str] = (), place: str = "") -> None:
    value = st.session_state[_key(name, place)]
    if isinstance(value, tuple):
        value, default = (f"{value[0]:g}-{value[1]:g}", f"{default[0]:g}-{default[1]:g}")
    dropped = dict.fromkeys(resets)
    url_state.write({**dropped, name: None if value in (default, None, "") else value})


def select(
    label: str,
    name: str,
    options: Sequence[str],
    *,
    default: str = "",
    names: Callable[[str], str] = str,
    resets: Sequence[str] = (),
    place: str = "",
) -> str:
    """One of some words, from a list that can be searched.

    Args:
        label: above the list.
        name: of the parameter in the URL.
        options: the words that the URL may hold.
        default: the one that is left out of the URL.
        names: a word as it is shown.
        resets: parameters that lose their meaning when this one changes.
        place: where it stands, for a second control of the same parameter.
    """
    value = url_state.choice(name, options, default)
    key = _key(name, place)
    st.session_state[key] = value
    moved = (name, default, tuple(resets), place)
    st.selectbox(label, options, key=key, format_func=names, on_change=_moved, args=moved)
    return value


def segmented(
    label: str, name: str, options: Sequence[str], *, names: Callable[[str], str] = str, resets: Sequence[str] = ()
) -> str:
    """One of few words, all of them visible; the first is the default."""
    value = url_state.choice(name, options, options[0])
    st.session_state[_key(name)] = value
    st.segmented_control(
        label,
        options,
        key=_key(name),
        format_func=names,
        required=True,
        on_change=_moved,
        args=(name, options[0], tuple(resets)),
    )
    return value


def span(
    label: str,
    name: str,
    *,
    default: tuple[float, float] = (0.0, 1.0),
    step: float = 0.01,
    resets: Sequence[str] = (),
) -> tuple[float, float]:
    """A range on a slider with two ends; the default one is all of it, fractions unless it says otherwise."""
    value = url_state.span(name, default)
    st.session_state[_key(name)] = value
    moved = (name, default, tuple(resets))
    st.slider(label, default[0], default[1], step=step, format="%g", key=_key(name), on_change=_moved, args=moved)
    return value


def level(label: str, name: str, low: float, high: float, default: float) -> float:
    """A number on a slider."""
    value = url_state.level(name, low, high, default)
    st.session_state[_key(name)] = value
    step = 10.0 ** np.floor(np.log10((high - low) / 1000)) if high > low else 1.0
    st.slider(label, low, high, step=step, format="%.4g", key=_key(name), on_change=_moved, args=(name, default))
    return value


def position(label: str, name: str, numbers: Sequence[int], value: int, *, default: int) -> None:
    """A slider over whole numbers that need not follow each other (the epochs that were recorded)."""
    st.session_state[_key(name)] = value
    if len(numbers) > 1:
        st.select_slider(label, numbers, key=_key(name), on_change=_moved, args=(name, default))


def page(name: str, rows: int, per_page: int) -> slice:
    """Which rows to show, with a row of page numbers where there is more than one page."""
    pages = max(1, -(-rows // per_page))
    number = url_state.integer(name, 1, pages, 1)
    if pages > 1:
        st.session_state[_key(name)] = number
        st.pagination(pages, key=_key(name), on_change=_moved, args=(name, 1))
    return slice((number - 1) * per_page, min(rows, number * per_page))


def number(label: str, name: str, low: int, high: int, value: int, *, resets: Sequence[str] = ()) -> None:
    """A whole number that can be typed or stepped; what is shown is given, what is typed goes into the URL."""
    st.session_state[_key(name)] = value
    moved = (name, -1, tuple(resets))
    st.number_input(label, low, high, step=1, width=150, key=_key(name), on_change=_moved, args=moved)
