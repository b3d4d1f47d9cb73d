"""What the pages say in the same words."""

from __future__ import annotations

import streamlit as st

from dashboard import data
from dashboard.shared.run_facts import evidence_text
from dashboard.shared.theme import code_span, epoch_list, escape_markdown
from dashboard.shell.url_state import Selection


def needs_analysis(selection: Selection) -> None:
    """Say that a part of the page needs the cross-epoch analysis and how to compute it, or why it cannot be read."""
    damage = data.analysis_damage(selection.run)
    if damage:
        st.warning(escape_markdown(damage), icon=":material/broken_image:")
        return
    st.info(
        f"This part needs the cross-epoch analysis, which “{escape_markdown(selection.name)}” does not have yet, or "
        f"only as another version of Classprint computed it. To compute it, run {_analyse(selection)}.",
        icon=":material/function:",
    )


def _analyse(selection: Selection) -> str:
    """The command that computes the analysis; it writes into a folder, so a run at a URL is analysed before copying."""
    run = selection.run
    where = run.source.location if run.source.is_local else run.path.name
    command = code_span(f"python -m compute analyse {where}")
    return command if run.source.is_local else f"{command} where it was recorded, and copy it to its URL again"


def no_maps(selection: Selection) -> None:
    """Say in the place of a page that its run has no maps."""
    st.info(evidence_text(selection.run), icon=":material/grid_off:")


def warn_degenerate(selection: Selection) -> None:
    """Say on every page what makes the chosen state of the network unfit to be described."""
    problems = [problem.text for problem in data.degeneracies(*selection.key)]
    if problems:
        problems.append("Nothing about its patterns or predictions can be concluded from that: pages show them only.")
        st.warning("\n\n".join(map(escape_markdown, problems)), icon=":material/heart_broken:")


def warn_stale(selection: Selection) -> None:
    """Say so where the analysis does not cover the epochs that the run has now."""
    known = data.analysis_epochs(selection.run)
    if known and known != selection.run.epochs:
        st.info(
            f"The cross-epoch analysis covers {epoch_list(known)}, but the run now has "
            f"{epoch_list(selection.run.epochs)}. To update it, run "
            f"{_analyse(selection)}.",
            icon=":material/update:",
        )
