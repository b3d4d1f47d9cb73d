"""Sections of the Robustness page: what becomes of predictions and maps, and which cues a class relies on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.matrix import Matrix, matrix_canvas
from dashboard.shared import downloads
from dashboard.shared.class_tiles import with_images
from dashboard.shared.run_facts import colour_variants
from dashboard.shared.theme import escape_markdown, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.robustness.charts import dose_curve, outcome_bars, variant_curves
from store.rates import percent

CELLS = {"accuracy": "accuracy", "logit": "logit of the true class"}
_UNITS = {
    "accuracy": "percentage points of accuracy compared with clean",
    "logit": "standard deviations of the true class's logit compared with clean",
}
_ORDERS = {
    "group": "by group",
    "loss": "largest loss first",
    "accuracy": "by accuracy",
    "similarity": "by similarity of cue profiles",
}


def outcomes(selection: Selection) -> None:
    """How often predictions and maps change under every variant."""
    st.subheader("Do the maps change with the predictions?", anchor=False)
    downloads.chart(
        outcome_bars,
        data.evidence_outcomes(selection.run, selection.epoch),
        key="evidence-outcomes",
        alt="how predictions and maps changed under every variant",
        caption="A map has changed if the cosine similarity of the clean prediction's map with and without the variant "
        "is below 0.5. Correct for a different reason: correct both times although the map changed. Click a bar to see "
        "its images below.",
        on_point=lambda bar: url_state.write({"variant": bar["variant"], "outcome": bar["outcome"], "page": None}),
    )


def dose_curves(selection: Selection) -> None:
    """How accuracy and confidence follow the strength of a perturbation, of those recorded at three or more."""
    curves = data.dose_curves(selection.run, epoch=selection.epoch)
    for kind, rows in curves.groupby("kind", sort=False):
        first = rows.iloc[0]
        st.subheader(f"From weak to strong: {escape_markdown(kind.replace('_', ' '))}", anchor=False)
        downloads.chart(
            dose_curve,
            rows,
            parameter=first["parameter"],
            key=f"dose-{kind}",
            alt=f"accuracy and mean confidence over the strength of {kind}",
            caption=f"A straight line explains {percent(first['explained'])} of how the mean confidence changes. "
            + _bend_text(first["bend"], first["low"], first["high"])
            + f" {plural(first['images'], 'image')}, the same at every strength; the clean ones are the strength 0.",
        )


def _bend_text(bend: float, low: float, high: float) -> str:
    where, least, most = "halfway between clean and the largest strength", *sorted((abs(low), abs(high)))
    if not low * high > 0:
        return f"It may well be one: {where} no bend stands out from chance (95 % interval over images)."
    return (
        f"But it bends: {where} a parabola lies {100 * abs(bend):.1f} points {'above' if bend > 0 else 'below'} the "
        f"straight line between its ends (95 % interval over images: {100 * least:.1f} to {100 * most:.1f})."
    )


def cue_profiles(selection: Selection) -> None:
    """A matrix of what each class loses under each variant: how far it relies on colour, shape or texture."""
    colour = colour_variants(selection.run)
    st.subheader(
        "Which classes rely on colour, which on shape?" if colour else "Which classes rely on what a variant changes?",
        anchor=False,
    )
    run, others = selection.run, selection.run.variants[1:]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cell = controls.segmented("Change of", "values", CELLS)
        by = controls.segmented("Order", "order", _ORDERS)
    cues = data.cue_profiles(run, epoch=selection.epoch)
    # A drop counts what is lost; in the matrix, losses are negative in both measures.
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
            tallest=620,  # pixels: all classes at once on a screen
        ),
        title=f"Change of {CELLS[cell]} by class and variant",
        key="class-by-variant",
        on_cell=lambda row, column: url_state.write(
            {"variant": others[column], "class": identifiers[int(sequence[row])], "page": None}
        ),
    )
    cue = ": a class that loses under gray or swapped channels relies on colour" if colour else ""
    st.caption(
        f"A row is the cue profile of a class{cue}. Click a cell to see its images below. A cell without colour: no "
        "change" + (", or unknown because there are no images." if np.isnan(changes).any() else ".")
    )
    _over_epochs(selection)


def _accuracy_changes(selection: Selection) -> np.ndarray:
    run = selection.run
    clean, *rest = (data.class_table(run, selection.epoch, variant)["accuracy"].to_numpy() for variant in run.variants)
    return 100 * (np.stack(rest, axis=1) - clean[:, None])


def _wide(cues: pd.DataFrame, column: str, variants: tuple[str, ...]) -> np.ndarray:
    """A measure of the cue profiles, (C, variants)."""
    return cues.pivot(index="class_index", columns="variant", values=column)[list(variants)].to_numpy()


def _sequence(selection: Selection, by: str, cues: pd.DataFrame) -> np.ndarray:
    """Class numbers in the order of display."""
    run, clean = selection.run, selection.run.variants[0]
    if by == "loss":
        sequence = np.argsort(np.nan_to_num(_accuracy_changes(selection)).mean(1), kind="stable")
    elif by == "similarity":
        sequence = cues[cues["variant"] == run.variants[1]].sort_values("order")["class_index"].to_numpy()
    else:
        sequence = data.class_order(run, by, selection.epoch, clean)
    return with_images(run, sequence)


def _over_epochs(selection: Selection) -> None:
    """One class's cue profile over the epochs: since when does it rely on a cue?"""
    run, drops = selection.run, data.analysis_array(selection.run, "cue_drop")
    epochs = data.analysis_epochs(run)
    if selection.class_index is None or drops is None or len(epochs) < 2:
        return
    name = data.class_names(run)[selection.class_index]
    rows = drops[:, :, selection.class_index]
    table = pd.DataFrame(
        {
            "epoch": np.repeat(epochs, rows.shape[1]),
            "variant_label": list(data.variant_labels(run).values()) * len(epochs),
            "drop": rows.ravel().astype(float),
        }
    )
    st.markdown(f"**Which cues does {escape_markdown(name)} rely on, over the epochs?**")
    downloads.chart(
        variant_curves,
        table,
        figure="drop",
        title="logit lost (sd)",
        epoch=selection.epoch,
        key=f"cues-{selection.class_index}",
        alt=f"logit that {name} loses under every variant over the epochs",
    )
