"""The dashboard's entry: the frame that every page shares. Run it with `streamlit run dashboard/app.py`."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts this folder on the path, not the repository's root, where the packages are.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

import streamlit as st  # noqa: E402

from dashboard import data, frame, pages, state  # noqa: E402
from store import StoreError  # noqa: E402


def main() -> None:
    """Draw the frame, then the page, inside the one place that turns the store's errors into messages."""
    st.set_page_config(page_title="Classprint", page_icon=str(frame.LOGO), layout="wide")
    state.begin()
    registered = pages.streamlit_pages()
    hidden = pages.hidden_pages(registered)
    page = st.navigation([*registered.values(), *hidden.values()], position="hidden")
    st.html(frame.STYLE)
    messages = st.container()
    try:
        if frame.draw(page, registered):
            page.run()
    except StoreError as error:
        frame.explain(error)
    with messages:
        frame.tell_problems()
    data.run_ended()


main()
