"""What the pages say in the same words."""

from __future__ import annotations

import streamlit as st

from dashboard.state import Selection


def needs_analysis(selection: Selection) -> None:
    """This part spans all epochs and is derived once; how to derive it."""
    st.info(
        f"This part is derived once from all epochs, and that has not been done for “{selection.name}”. Run "
        f"`python -m compute analyse {selection.run.path}`, and it appears here.",
        icon=":material/function:",
    )
