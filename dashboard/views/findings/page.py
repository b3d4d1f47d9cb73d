"""Findings: the most striking true statements about the run, each with its figure, its test and a link to it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads, finding_cards, seeds
from dashboard.shared.notices import needs_analysis, warn_stale
from dashboard.shared.theme import count, epoch_list, plural
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from store.analysis import Finding
from store.analysis.findings import TESTED_KINDS
from store.queries import same_statement


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    found = data.findings(selection.run)
    if data.analysis_table(selection.run, "findings") is None:
        needs_analysis(selection)
        _questions(selection, None)
        return
    warn_stale(selection)
    if not found:
        st.info(
            "Nothing was significant, which is common with few images or few epochs. What was tested stands below.",
            icon=":material/search_off:",
        )
    elif found[0].kind == "degenerate":
        st.warning(
            f"Epoch {data.analysis_epochs(selection.run)[-1]}, the last one, is not fit to be described. Why stands "
            "below; nothing else is concluded from it.",
            icon=":material/heart_broken:",
        )
    else:
        st.markdown(
            f"**{plural(len(found), 'finding')}**, the most striking first, computed from "
            f"{epoch_list(data.analysis_epochs(selection.run))} of the run. The dot is the measured "
            "value, the bar its interval, and the tick the value if there were no effect, or the limit that it is "
            "tested against."
        )
    if repeated := data.repeated_images(selection.run):
        st.warning(
            f"{count(repeated)} of the {count(len(selection.run.labels))} images have the same pixels as another one. "
            "Each counts as an image of its own here, so claims are made too often and intervals are too narrow.",
            icon=":material/content_copy:",
        )
    elsewhere = seeds.findings_elsewhere(selection.run) if found else []
    for number, finding in enumerate(found, start=1):
        finding_cards.card(selection, finding, number, [same_statement(finding, others) for others in elsewhere])
    if found:
        st.caption(seeds.scope(selection.run))
    _false_findings()
    _questions(selection, found)
    if found:
        _download(selection, found)


def _false_findings() -> None:
    st.subheader("How false findings are controlled", anchor=False)
    st.markdown(
        "Every finding says below it what it is. A **measurement** (a share, a mean, a count) says what is so in this "
        "run's images, with its own 95 % interval. A **claim** says that something goes beyond chance. Among thousands "
        "of pairs of classes some look striking by chance, so a claim's p-value is corrected for everything that it "
        f"was picked from, and has to stay below 5 % divided by the {len(TESTED_KINDS)} kinds of claims: the chance of "
        "any false claim on this page is 5 % at most. Claims hold for other images of the same classes, not for "
        "another training of the network. And they take the images for independent: where many are nearly the same, "
        "such as frames of one film or crops of one photo, there are more false claims than that."
    )


def _questions(selection: Selection, found: list[Finding] | None) -> None:
    """The questions of the analysis, with what it reported if it was made."""
    st.subheader("Questions that the analysis asks of every run" if found is None else "What was tested", anchor=False)
    questions = finding_cards.questions_table(found or [], has_maps=selection.run.has_maps)
    if found is None:
        questions = questions.drop(columns="reported")
    headings = {"question": "Question", "candidates": "Candidates", "reported": "Reported above (two at most)"}
    # Not a data frame: its cells would cut the longer questions off.
    st.table(
        questions.rename(columns=headings), hide_index=True, alt="the questions that the analysis asks of every run"
    )


def _download(selection: Selection, found: list[Finding]) -> None:
    rows = [
        {
            "finding": finding.text,
            "figure": finding.value,
            "low": finding.low,
            "high": finding.high,
            "unit": finding.unit,
            "no_effect": finding.no_effect,
            "p": finding.p,
            "compared": finding.comparisons,
            "link": url_state.link(finding.page, {"run": selection.name, **finding.query}),
        }
        for finding in found
    ]
    downloads.csv_button("CSV of the findings", pd.DataFrame(rows), f"{selection.name}-findings.csv")


main()
