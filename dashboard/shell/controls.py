"""Widgets that show what the URL says and write it back when they are moved; only this module uses their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from dashboard.shell import navigation, url_state

# The words that a parameter of the URL may have; as a mapping, with how each is shown.
Options = Sequence[str] | Mapping[str, str]


def _key(name: str, place: str = "") -> str:
    return f"control-{name}-{place}" if place else f"control-{name}"


def _write(name: str, default: Any, resets: Sequence[str] = (), place: str = "") -> None:
    """Write the value of a widget that was moved; the default one is left out of the URL."""
    value = st.session_state[_key(name, place)]
    if isinstance(value, tuple):
        value, default = (f"{value[0]:g}-{value[1]:g}", f"{default[0]:g}-{default[1]:g}")
    elif isinstance(value, list):
        value = url_state.SEPARATOR.join(value)
    # Without the default, a link to the latest epoch follows a run that grows.
    url_state.write({**dict.fromkeys(resets), name: None if value in (default, None, "") else value})


def _bind(name: str, value: object, default: Any, resets: Sequence[str] = (), place: str = "") -> dict[str, Any]:
    """Make a widget show a value; returns the options with which it writes another one into the URL."""
    # Set before the widget is drawn, on every run: the URL is the state, the widget only shows it.
    st.session_state[_key(name, place)] = value
    return {"key": _key(name, place), "on_change": _write, "args": (name, default, tuple(resets), place)}


def _shown(options: Options) -> Callable[[str], str]:
    """How a word is shown."""
    return options.__getitem__ if isinstance(options, Mapping) else str


def select(
    label: str,
    name: str,
    options: Options,
    *,
    default: str = "",
    resets: Sequence[str] = (),
    place: str = "",
) -> str:
    """One of some words, from a list that can be searched.

    Args:
        label: above the list.
        name: of the parameter in the URL.
        options: the words that the URL may hold, see `Options`.
        default: the one that is left out of the URL.
        resets: parameters that are invalid once this one changes.
        place: where it stands, for a second control of the same parameter.
    """
    words = list(options)
    value = url_state.choice(name, words, default)
    st.selectbox(label, words, format_func=_shown(options), **_bind(name, value, default, resets, place))
    return value


def segmented(label: str, name: str, options: Options, *, resets: Sequence[str] = ()) -> str:
    """One of a few words, all of them visible; the first is the default."""
    words = list(options)
    value = url_state.choice(name, words, words[0])
    bound = _bind(name, value, words[0], resets)
    st.segmented_control(label, words, format_func=_shown(options), required=True, **bound)
    return value


def multiselect(label: str, name: str, options: Options, *, most: int, placeholder: str) -> list[str]:
    """Some of many words, at most `most`; `placeholder` is shown while nothing is chosen."""
    words = list(options)
    value = url_state.words(name, words, most=most)
    st.multiselect(
        label,
        words,
        format_func=_shown(options),
        max_selections=most,
        placeholder=placeholder,
        **_bind(name, value, "", ["page"]),
    )
    return value


def range_slider(
    label: str,
    name: str,
    *,
    default: tuple[float, float] = (0.0, 1.0),
    step: float = 0.01,
    resets: Sequence[str] = (),
) -> tuple[float, float]:
    """A range on a slider with two ends; the default one is all of it."""
    value = url_state.value_range(name, default)
    st.slider(label, default[0], default[1], step=step, format="%g", **_bind(name, value, default, resets))
    return value


def number_slider(label: str, name: str, low: float, high: float, default: float) -> float:
    """A number on a slider."""
    value = url_state.number(name, low, high, default)
    # About a thousand steps, whatever the unit.
    step = 10.0 ** np.floor(np.log10((high - low) / 1000)) if high > low else 1.0
    st.slider(label, low, high, step=step, format="%.4g", **_bind(name, value, default))
    return value


def step_slider(
    label: str, name: str, numbers: Sequence[int], value: int, *, default: int, names: Mapping[int, str]
) -> None:
    """A slider over whole numbers that need not be consecutive (the recorded epochs); `names` are shown for some."""
    if len(numbers) > 1:
        shown = {number: names.get(number, str(number)) for number in numbers}
        st.select_slider(label, numbers, format_func=shown.__getitem__, **_bind(name, value, default))


def write_button(label: str, changes: Mapping[str, Any] | None, **options: Any) -> None:
    """A button that writes parameters into the URL, disabled where `changes` is None; options as of `st.button`."""
    st.button(label, disabled=changes is None, on_click=url_state.write, args=(changes or {},), **options)


def page_link(page: str, label: str, changes: Mapping[str, Any] | None = None, *, icon: str = "") -> None:
    """A link to another page with the same selection and some changes; with the page's own icon by default."""
    st.page_link(
        f"views/{page}/page.py",
        label=label,
        icon=f":material/{icon or navigation.page_info(page).icon}:",
        query_params=url_state.shared_parameters(changes),
    )


def page(name: str, rows: int, per_page: int) -> slice:
    """Which rows to show, with a row of page numbers where there is more than one page."""
    pages = max(1, -(-rows // per_page))
    number = url_state.integer(name, 1, pages, 1)
    if pages > 1:
        st.pagination(pages, **_bind(name, number, 1))
    return slice((number - 1) * per_page, min(rows, number * per_page))


def number_input(label: str, name: str, low: int, high: int, value: int, *, resets: Sequence[str] = ()) -> None:
    """A whole number that can be typed or stepped; `value` is shown, what is typed goes into the URL."""
    st.number_input(label, low, high, step=1, width=150, **_bind(name, value, -1, resets))
