"""What perturbations do to the evidence: outcomes of prediction and map, and the cues that a class lives on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components import Matrix, matrix_canvas
from dashboard.shared import downloads
from dashboard.shared.theme import escape_markdown
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.robustness.charts import outcome_bars, variant_curves

CELLS = {"accuracy": "accuracy", "score": "score of the true class"}
_UNITS = {
    "accuracy": "points of accuracy against clean",
    "score": "standard deviations of the true class's score against clean",
}
_ORDERS = {
    "group": "by group",
    "loss": "most harmed first",
    "accuracy": "by accuracy",
    "alike": "alike cue profiles together",
}


def outcomes(selection: Selection) -> None:
    """How often the prediction holds or flips while its evidence stays or moves, under every variant."""
    st.subheader("Does the evidence move with the prediction?", anchor=False)
    downloads.chart(
        outcome_bars,
        data.evidence_outcomes(selection.run, selection.epoch),
        key="evidence-outcomes",
        alt="what became of predictions and maps under every variant",
        on_point=lambda bar: url_state.write({"variant": bar["variant"], "outcome": bar["outcome"], "page": None}),
    )
    st.caption(
        "A map has moved where the clean prediction's map under the variant is less than 0.5 like the clean one (cosine). "
        "Orange is the lucky quadrant: still right, on other evidence. A click on a bar shows its images below."
    )


def cue_profiles_(selection: Selection) -> None:
    """What each class loses under each variant, as a matrix: its reliance on colour, shape and texture."""
    st.subheader("Which classes live on colour, which on shape?", anchor=False)
    run, others = selection.run, selection.run.variants[1:]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cell = controls.segmented("A cell is the change of", "cell", list(CELLS), names=CELLS.__getitem__)
        by = controls.segmented("Order of the classes", "order", list(_ORDERS), names=_ORDERS.__getitem__)
    cues = data.cue_profiles(run, selection.epoch)
    changes = _accuracy_changes(selection) if cell == "accuracy" else -_wide(cues, "drop", others)
    sequence = _sequence(selection, by, cues)
    names, groups = np.array(data.class_names(run))[sequence], np.array(data.class_groups(run))[sequence]
    identifiers = data.class_ids(run)
    matrix_canvas(
        Matrix(
            values=changes[sequence],
            rows=names.tolist(),
            columns=[run.variant(variant).label for variant in others],
            row_title="class",
            column_title="under",
            unit=_UNITS[cell],
            format="signed",
            signed=True,
            row_groups=groups.tolist() if by == "group" else (),
        ),
        title=f"Change of {CELLS[cell]} by class and variant",
        key="class-by-variant",
        on_cell=lambda row, column: url_state.write(
            {"variant": others[column], "class": identifiers[int(sequence[row])], "page": None}
        ),
    )
    st.caption(
        "A row is the fingerprint of a class: one that loses under gray and [B,G,R] lives on colour, one that loses "
        "under blur on fine texture. A cell chooses its class and variant for the images below. No colour: no change"
        + (", or unknown for want of images." if np.isnan(changes).any() else ".")
    )
    _over_epochs(selection)


def _accuracy_changes(selection: Selection) -> np.ndarray:
    run = selection.run
    clean, *rest = (data.class_table(run, selection.epoch, variant)["accuracy"].to_numpy() for variant in run.variants)
    return 100 * (np.stack(rest, axis=1) - clean[:, None])


def _wide(cues: pd.DataFrame, column: str, variants: tuple[str, ...]) -> np.ndarray:
    """A figure of the cue profiles, (C, variants)."""
    return cues.pivot(index="class_index", columns="variant", values=column)[list(variants)].to_numpy()


def _sequence(selection: Selection, by: str, cues: pd.DataFrame) -> np.ndarray:
    """Class numbers in the order of display."""
    run, clean = selection.run, selection.run.variants[0]
    if by == "loss":
        return np.argsort(np.nan_to_num(_accuracy_changes(selection)).mean(1), kind="stable")
    if by == "alike":
        first = cues[cues["variant"] == run.variants[1]]
        return first.sort_values("order")["class_index"].to_numpy()
    return data.class_order(run, by, selection.epoch, clean)


def _over_epochs(selection: Selection) -> None:
    """One class's fingerprint over the epochs: when did it come to live on a cue?"""
    run, drops = selection.run, data.analysis_array(selection.run, "cue_drop")
    epochs = data.analysis_epochs(run)
    if selection.class_index is None or drops is None or len(epochs) < 2:
        return
    name = data.class_names(run)[selection.class_index]
    rows = drops[:, :, selection.class_index]
    table = pd.DataFrame(
        {
            "epoch": np.repeat(epochs, rows.shape[1]),
            "variant_label": [run.variant(variant).label for variant in run.variants] * len(epochs),
            "drop": rows.ravel().astype(float),
        }
    )
    st.markdown(f"**What {escape_markdown(name)} lives on, over the epochs**")
    downloads.chart(
        variant_curves,
        table,
        figure="drop",
        title="score lost (sd)",
        epoch=selection.epoch,
        key=f"cues-{selection.class_index}",
        alt=f"score that {name} loses under every variant over the epochs",
    )
