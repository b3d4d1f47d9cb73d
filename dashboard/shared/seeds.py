"""What trainings with other seeds say: how far a figure of a run is one of its images, and how far of its training."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared.tables import plain_table
from store import Run, StoreError, queries
from store.analysis import Finding
from store.rates import percent
from store.remote.place import is_remote

_MEASURES = {"validation_top1": "Top-1", "validation_top5": "Top-5", "train_top1": "Top-1 while training"}


def replicates(run: Run) -> list[Run]:
    """The runs of the folder that differ from this one in their training's seed alone, and the run itself, by seed."""
    if queries.training_seed(run) is None:
        return [run]
    # A run at a URL would be fetched for it.
    places = {name: place.location for name, place in data.found_runs().runs.items() if not is_remote(place.location)}
    others = (data.open_neighbour(name)[0] for name, location in places.items() if location != run.source.location)
    return queries.replicates(run, [other for other in others if other is not None and other.epochs])


def _spread(run: Run) -> pd.DataFrame | None:
    """Mean and spread of the accuracies over a run's replicates; None where it has none that can be read."""
    runs = replicates(run)
    try:
        return data.spread_over_seeds(*runs) if len(runs) > 1 else None
    except StoreError:  # a neighbour's fault, which must not stop this page
        return None


def caption(run: Run, epoch: int) -> str:
    """Mean and spread of the top-1 over trainings that differ in their seed alone; empty for a training alone."""
    table = _spread(run)
    if table is None:
        return ""
    rows = table[(table["epoch"] == epoch) & (table["measure"] == "validation_top1")]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return (
        f"One of {int(row['trainings'])} trainings that differ in their seed alone. Top-1 at this epoch, clean: "
        f"{percent(row['mean'])} ± {100 * row['sd']:.1f} (mean and standard deviation over trainings, from "
        f"{percent(row['lowest'])} to {percent(row['highest'])})."
    )


def scope(run: Run) -> str:
    """What a statement about a run may be carried over to, in one sentence."""
    count = len(replicates(run))
    here = "The statements are about this training, and hold for other images of the same classes."
    if count == 1:
        return f"{here} Whether another seed would give the same is not known: train replicates with --seeds 3."
    return (
        f"{here} Below each stands how many of the {count} trainings in this folder that differ in their seed alone "
        "report it: what all of them report is of the training's recipe, too."
    )


def findings_elsewhere(run: Run) -> list[list[Finding]]:
    """The findings of each other training that differs in its seed alone and has an analysis."""
    elsewhere = []
    for other in replicates(run):
        if other.id != run.id:
            try:
                elsewhere.append(data.findings(other))
            except StoreError:  # a neighbour's fault, which must not stop this page
                continue
    return [found for found in elsewhere if found]


def spread_table(runs: list[Run]) -> None:
    """Mean and standard deviation over trainings of the accuracies of some runs' replicates, at their last epochs."""
    rows: list[dict[str, object]] = []
    shown = set()
    for run in runs:
        table = _spread(run)
        if table is None or queries.replicate_key(run) in shown:
            continue
        shown.add(queries.replicate_key(run))
        last = table[table["epoch"] == table["epoch"].max()].set_index("measure")
        for measure, label in _MEASURES.items():
            if measure in last.index:
                found = last.loc[measure]
                rows.append(
                    {
                        "run": queries.group_name(run),
                        "measure": label,
                        "trainings": int(found["trainings"]),
                        "epoch": int(found["epoch"]),
                        **{name: 100 * found[name] for name in ("mean", "sd", "lowest", "highest")},
                    }
                )
    if not rows:
        return
    st.subheader("How much of a difference may be chance?", anchor=False)
    plain_table(
        pd.DataFrame(rows),
        column_config={
            "run": "Replicates of",
            "measure": "Accuracy",
            "trainings": "Trainings",
            "epoch": "Epoch",
            "mean": st.column_config.NumberColumn("Mean", format="%.1f %%"),
            "sd": st.column_config.NumberColumn("± over trainings", format="%.2f", help="standard deviation (n - 1)"),
            "lowest": st.column_config.NumberColumn("Lowest", format="%.1f %%"),
            "highest": st.column_config.NumberColumn("Highest", format="%.1f %%"),
        },
        alt="mean and spread of the accuracies over trainings",
    )
    st.caption("Replicates differ in their seed alone. A difference between two runs below their spread may be chance.")
