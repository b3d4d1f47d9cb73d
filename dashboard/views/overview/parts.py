"""What the Overview computes: notable mistakes, and the runs of the folder beside the paper's Table 1."""

from __future__ import annotations

import pandas as pd

from dashboard import data
from dashboard.shell.url_state import Selection
from store import Run
from store.queries.table1 import setting_name, table1
from store.remote.place import is_remote

_MOST = 10  # mistakes


def notable_mistakes(selection: Selection) -> tuple[pd.DataFrame, list[str]]:
    """Mistakes of different kinds, of the chosen class if there is one: rows of the predictions, and why each is here.

    The most confident mistake; the closest call, where the true class was second by the smallest margin; under a
    perturbation the most confident mistake among the images that are correct when clean, or on clean images the mistake
    whose true class ranks lowest; then the most confident mistake of each further pair of classes.
    """
    frame = data.predictions(*selection.key)
    wrong = frame[~frame["correct"]]
    if selection.class_index is not None:
        wrong = wrong[wrong["label"] == selection.class_index]
    confident = wrong.sort_values("confidence", ascending=False, kind="stable")
    close = wrong[wrong["label_rank"] == 2].nsmallest(1, "margin")
    clean = selection.run.variants[0]
    if selection.variant != clean:
        before = data.predictions(selection.run, selection.epoch, clean)
        third, reason = confident[before.loc[confident.index, "correct"]].head(1), "correct when clean"
    else:
        third, reason = wrong.nlargest(1, "label_rank"), "lowest-ranked true class"
    chosen: dict[int, str] = {}
    # An image is shown for one reason only: the first.
    for rows, why in ((confident.head(1), "most confident mistake"), (close, "closest call"), (third, reason)):
        chosen |= {image: why for image in rows.index if image not in chosen}
    others = confident.drop(list(chosen)).drop_duplicates(["label", "prediction"])
    chosen |= dict.fromkeys(others.index[: _MOST - len(chosen)], "confident mistake")
    return frame.loc[list(chosen)], list(chosen.values())


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
                results.append(data.table1_row(run, best=True, epochs=data.epochs_without_fetching(run)))
        except Exception as error:  # of another run than the one that is shown: it must not take this page with it
            problem = data.reason(error)
        if problem:
            left_out[name] = problem
    return table1(results, paper=paper), left_out, elsewhere


def setting(run: Run, name: str) -> str:
    """The name of the run's model or data in its configuration; '–' if there is none."""
    return setting_name(run.configuration.get(name)) or "–"
