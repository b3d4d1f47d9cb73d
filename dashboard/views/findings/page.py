"""Findings: the most striking true statements about the run, each with its figure, its test and a way to see it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads, finding_cards
from dashboard.shared.notices import needs_analysis, warn_stale
from dashboard.shared.theme import plural, spans
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from store.analysis import Finding

_MOST = 10


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current()
    found = data.findings(selection.run)[:_MOST]
    if data.analysis_table(selection.run, "findings") is None:
        needs_analysis(selection)
        st.markdown("It asks each of these questions of every run:")
        _asked([])
        return
    warn_stale(selection)
    if not found:
        st.info(
            "Nothing about this run is striking enough to survive its test. That happens with few images or few "
            "epochs; the questions below were asked.",
            icon=":material/search_off:",
        )
    else:
        st.markdown(
            f"**{plural(len(found), 'statement')}**, the most striking first. Each is computed from the record of "
            f"{spans(data.analysis_epochs(selection.run))}, and none was written by hand. At the right the figure, as "
            "a dot, with its interval; the tick is where it would be if there were nothing to tell."
        )
    for number, finding in enumerate(found, start=1):
        finding_cards.card(selection, finding, number)
    _handled()
    _asked(found)
    if found:
        _download(selection, found)


def _handled() -> None:
    st.subheader("How it is kept from finding what is not there", anchor=False)
    st.markdown(
        "Who looks at thousands of pairs of classes finds a striking one by chance. So a statement that was picked as "
        "the largest of many has to survive the picking: its p-value is multiplied by the number of things that it "
        "was picked from (Bonferroni), its interval is widened so that all of them hold together at 95 %, and it is "
        "only told if it also survives the other questions asked of the run. The statements are about other images "
        "of the same classes, not about another training of the network. Counts are told as counts."
    )


def _asked(found: list[Finding]) -> None:
    st.subheader("What was tested", anchor=False)
    st.dataframe(
        finding_cards.asked(found),
        hide_index=True,
        column_config={
            "question": st.column_config.TextColumn("Question", width="large"),
            "picked_from": st.column_config.TextColumn("Its prediction is picked from", width="medium"),
            "reported": st.column_config.NumberColumn(
                "Told above", help="at most two predictions to a question are told"
            ),
        },
        alt="the questions that the analysis asks of every run",
    )


def _download(selection: Selection, found: list[Finding]) -> None:
    rows = [
        {
            "statement": finding.text,
            "figure": finding.figure,
            "low": finding.low,
            "high": finding.high,
            "unit": finding.unit,
            "p": finding.p,
            "compared": finding.compared,
            "link": url_state.link(finding.page, {"run": selection.name, **finding.query}),
        }
        for finding in found
    ]
    downloads.csv_button("CSV of the statements", pd.DataFrame(rows), f"{selection.name}-findings.csv")


main()
