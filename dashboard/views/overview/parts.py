"""What the Overview computes: notable mistakes, and the runs of the folder beside the paper's Table 1."""

from __future__ import annotations

import pandas as pd

from dashboard import data
from dashboard.shared.theme import escape_markdown, probability
from dashboard.shell.url_state import Selection
from store import Run
from store.queries.table1 import table1
from store.remote.place import is_remote


def notable_mistakes(selection: Selection) -> list[tuple[str, str, pd.DataFrame]]:
    """Up to three mistakes of different kinds, of the chosen class if there is one: name, reason, row of predictions.

    The most confident mistake; the closest call, where the true class was second by the smallest margin; and under a
    perturbation the most confident mistake among the images that are correct when clean, or on clean images the mistake
    whose true class ranks lowest.
    """
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    wrong = frame[~frame["correct"]]
    if selection.class_index is not None:
        wrong = wrong[wrong["label"] == selection.class_index]
    if wrong.empty:
        return []
    found = [_confident(wrong)]
    # Three different images: a mistake is shown for one reason only.
    rest = wrong.drop(found[0][2].index)
    close = rest[rest["label_rank"] == 2].nsmallest(1, "margin")
    if not close.empty:
        row = close.iloc[0]
        # A difference of two probabilities is never rounded to zero.
        margin = f"{row.margin:.3f}" if row.margin >= 0.0005 else "less than 0.001"
        reason = (
            f"{escape_markdown(row.true_class)} lost to {escape_markdown(row.predicted_class)} by a margin of {margin}."
        )
        found.append(("The closest call", reason, close))
    third = _third(selection, rest.drop(close.index))
    return found + ([third] if third else [])


def _confident(wrong: pd.DataFrame) -> tuple[str, str, pd.DataFrame]:
    first = wrong.nlargest(1, "confidence")
    row = first.iloc[0]
    true_class, predicted = escape_markdown(row.true_class), escape_markdown(row.predicted_class)
    reason = f"{true_class}, predicted as {predicted} with P {probability(row.confidence)}."
    return "The most confident mistake", reason, first


def _third(selection: Selection, rest: pd.DataFrame) -> tuple[str, str, pd.DataFrame] | None:
    clean = selection.run.variants[0]
    if selection.variant != clean:
        before = data.predictions(selection.run, selection.epoch, clean)
        first = rest[before.loc[rest.index, "correct"]].nlargest(1, "confidence")
        name = "The most confident mistake caused by the variant"
        reason = f"Correct when clean, wrong under {escape_markdown(selection.variant_label)}."
    else:
        first = rest.nlargest(1, "label_rank")
        name, reason = "The lowest-ranked true class", ""
        if not first.empty:
            row = first.iloc[0]
            reason = f"The true class, {escape_markdown(row.true_class)}, has rank {row.label_rank}."
    return None if first.empty else (name, reason, first)


def runs_table(shown: Run, *, paper: bool) -> tuple[pd.DataFrame, dict[str, str], int]:
    """Every readable run at hand at its best epoch, then the paper's rows if wanted (`store.queries.table1`).

    Returns:
        The table; why each run that is not in it cannot be read, by its name; and how many runs at URLs are not in
        it, because a row would fetch their files.
    """
    found, results, elsewhere = data.found_runs(), [], 0
    left_out = dict(found.problems)
    for name, place in found.runs.items():
        if is_remote(place.location) and place.location != shown.source.location:
            elsewhere += 1
            continue
        run, problem = data.open_neighbour(name)
        try:
            if run is not None and run.epochs:
                results.append(data.table1_row(run))
        except Exception as error:  # of another run than the one that is shown: it must not take this page with it
            problem = data.reason(error)
        if problem:
            left_out[name] = problem
    return table1(results, paper=paper), left_out, elsewhere


def setting(run: Run, name: str) -> str:
    """The name of the run's model or data in its configuration; '–' if there is none."""
    value = run.configuration.get(name)
    if isinstance(value, dict):
        value = value.get("name") or value.get("source")
    return str(value) if value else "–"
