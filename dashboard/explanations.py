"""What the pages say in the same words."""

from __future__ import annotations

import re

import streamlit as st

from dashboard.state import Selection

_MARKDOWN = re.compile(r"([\\`*_\[\]$~<>:#|&])")


def literal(text: str) -> str:
    """A name from the data as Markdown that shows it letter by letter, whatever signs it holds."""
    return _MARKDOWN.sub(r"\\\1", text)


def needs_analysis(selection: Selection) -> None:
    """This part spans all epochs and is derived once; how to derive it."""
    st.info(
        f"This part is derived once from all epochs, and that has not been done for “{literal(selection.name)}”. Run "
        f"`python -m compute analyse {selection.run.path}`, and it appears here.",
        icon=":material/function:",
    )
