"""Small computations behind the Overview: which failures are worth a look, how the runs compare."""

from __future__ import annotations

import pandas as pd

from dashboard import data
from dashboard.shared.theme import escape_markdown, probability
from dashboard.shell.url_state import Selection
from store import Run, StoreError
from store.queries.table1 import table1


def notable(selection: Selection) -> list[tuple[str, str, pd.DataFrame]]:
    """Up to three failures of different kinds, each with a name, a reason and its row of the predictions.

    Of the chosen class, where one is chosen.

    The most confident mistake; the closest call (the true class was second by the smallest margin); and the loudest
    surprise of a variant: right when clean, wrong with most confidence under the perturbation, or when the page
    shows the clean images, the wrong prediction whose true class got least.
    """
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    wrong = frame[~frame["correct"]]
    if selection.class_index is not None:
        wrong = wrong[wrong["label"] == selection.class_index]
    if wrong.empty:
        return []
    found = []
    confident = wrong.nlargest(1, "confidence")
    found.append(("The most confident mistake", _sure(confident.iloc[0]), confident))
    near = wrong[(wrong["label_rank"] == 2) & ~wrong["image"].isin(confident["image"])].nsmallest(1, "margin")
    if not near.empty:
        row = near.iloc[0]
        reported = f"{escape_markdown(row.true_class)} lost to {escape_markdown(row.predicted_class)} by {_little(float(row.margin))} of P."
        found.append(("The closest call", reported, near))
    third = _third(selection, wrong, [part["image"].iloc[0] for _, _, part in found])
    return found + ([third] if third else [])


def _little(margin: float) -> str:
    """A difference of two probabilities, never rounded to none."""
    return f"{margin:.3f}" if margin >= 0.0005 else "less than 0.001"


def _sure(row: pd.Series) -> str:
    return f"P {probability(row.confidence)} for {escape_markdown(row.predicted_class)}; it is {escape_markdown(row.true_class)}."


def _third(selection: Selection, wrong: pd.DataFrame, taken: list[int]) -> tuple[str, str, pd.DataFrame] | None:
    rest = wrong[~wrong["image"].isin(taken)]
    clean = selection.run.variants[0]
    if selection.variant != clean:
        before = data.predictions(selection.run, selection.epoch, clean)
        rest = rest[before.loc[rest.index, "correct"]]
        found = rest.nlargest(1, "confidence")
        name, reason = (
            "The loudest surprise",
            f"Right when clean; {selection.variant_label} turns the prediction.",
        )
    else:
        found = rest.nlargest(1, "label_rank")
        name = "The furthest miss"
        reason = "" if found.empty else _far(found.iloc[0])
    return None if found.empty else (name, reason, found)


def _far(row: pd.Series) -> str:
    return f"The true class, {escape_markdown(row.true_class)}, comes {_ordinal(int(row.label_rank))}."


def _ordinal(number: int) -> str:
    """'2nd', '11th', '103rd'."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def runs_table() -> pd.DataFrame:
    """Every readable run of the folder at its best epoch, then the paper's rows: see `store.queries.table1.table1`."""
    results = []
    for name in data.run_names():
        try:
            run = data.open_named_run(name)
            if run.epochs:
                results.append(data.table1_row(run))
        except StoreError:
            continue  # the sidebar reports it when the run is chosen
    return table1(results)


def setting(run: Run, name: str) -> str:
    """What the run's configuration calls its model or its data; '–' where it does not say."""
    value = run.configuration.get(name)
    if isinstance(value, dict):
        value = value.get("name") or value.get("source")
    return str(value) if value else "–"
