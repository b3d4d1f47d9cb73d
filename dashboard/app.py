"""The dashboard's entry: the frame that every page shares. Run it with `streamlit run dashboard/app.py`."""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run` puts this folder on the path, not the repository's root, where the packages are.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

import streamlit as st  # noqa: E402

from dashboard import process_memory  # noqa: E402
from dashboard.shared import marking, quick_look  # noqa: E402
from dashboard.shell import navigation, protection, sidebar, url_state  # noqa: E402
from store import StoreError  # noqa: E402


def main() -> None:
    """Draw the frame, then the page, inside the one place that turns the store's errors into messages."""
    process_memory.limit_malloc_arenas()
    st.set_page_config(page_title="Classprint", page_icon=str(sidebar.LOGO), layout="wide")
    protection.refuse_without_settings()
    protection.require_login()
    url_state.start_link_check()
    registered = navigation.streamlit_pages()
    hidden = navigation.hidden_pages(registered)
    page = st.navigation([*registered.values(), *hidden.values()], position="hidden")
    st.html(sidebar.STYLE)
    messages = st.container()
    try:
        if sidebar.draw(page, registered):
            quick_look.draw()  # before the page, so that it is there first
            page.run()
    except StoreError as error:
        sidebar.explain(error)
    with messages:
        sidebar.report_problems()
    marking.show_messages()
    process_memory.script_run_ended()


main()
