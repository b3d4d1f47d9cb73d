"""A list of words in the URL, 'a|b|c', and the control that shows and changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.shell import url_state

SEPARATOR = "|"  # a class's identifier may be a folder's name, which may well hold a comma


def asked(name: str, options: Sequence[str], *, most: int) -> list[str]:
    """The words that a parameter lists, in its order; what does not hold is told and left out.

    Args:
        name: of the parameter in the URL.
        options: the words that may be listed; none of them holds the separator.
        most: that many at most are taken.
    """
    value = url_state.raw(name)
    if not value:
        return []
    known = set(options)
    held = list(dict.fromkeys(word for word in value.split(SEPARATOR) if word in known))[:most]
    if SEPARATOR.join(held) != value:
        url_state.choice(name, [SEPARATOR.join(held)] if held else [], SEPARATOR.join(held))
    return held


def choose(label: str, name: str, words: Mapping[str, str], *, most: int, placeholder: str) -> list[str]:
    """A control for such a list.

    Args:
        label: above the control.
        name: of the parameter in the URL.
        words: what may be listed, and how it is shown.
        most: that many at most.
        placeholder: shown while nothing is chosen.
    """
    key = f"several-{name}"
    value = asked(name, list(words), most=most)
    st.session_state[key] = value

    def moved() -> None:
        url_state.write({name: SEPARATOR.join(st.session_state[key]) or None, "page": None})

    st.multiselect(
        label,
        list(words),
        key=key,
        format_func=words.__getitem__,
        max_selections=most,
        placeholder=placeholder,
        on_change=moved,
    )
    return value
