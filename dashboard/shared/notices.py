"""What the pages say in the same words."""

from __future__ import annotations

import streamlit as st

from dashboard import data
from dashboard.shared.theme import epoch_list, escape_markdown
from dashboard.shell.url_state import Selection


def needs_analysis(selection: Selection) -> None:
    """This part spans all epochs and is derived once; how to derive it, and what is wrong with what was derived."""
    damage = data.analysis_damage(selection.run)
    if damage:
        st.warning(damage, icon=":material/broken_image:")
        return
    st.info(
        "This part is derived once from all epochs, and that has not been done for "
        f"“{escape_markdown(selection.name)}”. Run `python -m compute analyse {selection.run.path}`, and it appears "
        "here.",
        icon=":material/function:",
    )


def warn_stale(selection: Selection) -> None:
    """Say so where the run has epochs by now that the analysis does not know."""
    known = data.analysis_epochs(selection.run)
    if known and known != selection.run.epochs:
        st.info(
            f"This was derived from {epoch_list(known)}; the run holds {epoch_list(selection.run.epochs)} by now. "
            f"Run `python -m compute analyse {selection.run.path}` to take them in.",
            icon=":material/update:",
        )
