"""Robustness: what each perturbation does to the answers and to the evidence, per class and per picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, galleries, state
from dashboard.charts.robustness import variant_curves
from dashboard.components import Matrix, matrix_canvas
from dashboard.state import Selection
from dashboard.theme import percent, plural, variant_name

_FIGURES = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "mean_confidence": "mean confidence",
    "flip_rate": "answers flipped",
    "kept_consistency": "likeness of the evidence where the answer holds",
    "ece": "calibration error (ECE)",
    "nll": "negative log-likelihood",
}
_OUTCOMES = {
    "broken": "right when clean, wrong now",
    "kept": "right both times",
    "gained": "wrong when clean, right now",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    if len(selection.run.variants) < 2:
        st.info("This run was recorded with the clean pictures only; there is nothing to compare.")
        return
    _over_epochs(selection)
    variant = _chosen_variant(selection)
    _by_class(selection)
    _pictures(selection, variant)


def _over_epochs(selection: Selection) -> None:
    figure = controls.select("Figure", "figure", list(_FIGURES), default="top1", names=_FIGURES.__getitem__)
    table = data.by_epoch_and_variant(selection.run)
    exports.chart(
        variant_curves,
        table,
        figure,
        title=_FIGURES[figure],
        epoch=selection.epoch,
        palette=exports.current_palette(),
        key=f"variants-{figure}",
        alt=f"{_FIGURES[figure]} of every variant over the epochs",
    )
    row = data.by_variant(selection.run, selection.epoch).set_index("variant")
    told = [
        f"{variant_name(variant)} {percent(top1)} ({percent(flips, 0)} flipped)"
        for variant, top1, flips in zip(row.index[1:], row["top1"][1:], row["flip_rate"][1:], strict=True)
    ]
    clean = percent(row.iloc[0]["top1"])
    st.caption(f"Top-1 at epoch {selection.epoch}: clean {clean}; " + ", ".join(told))


def _chosen_variant(selection: Selection) -> str:
    """The perturbation looked at: the frame's variant, or where that is the clean one, the first of the others."""
    others = selection.run.variants[1:]
    return selection.variant if selection.variant in others else others[0]


def _by_class(selection: Selection) -> None:
    st.subheader("Which classes live on colour, which on shape?", anchor=False)
    run, others = selection.run, selection.run.variants[1:]
    clean = data.class_table(run, selection.epoch, run.variants[0])["accuracy"].to_numpy()
    changes = np.stack(
        [data.class_table(run, selection.epoch, variant)["accuracy"].to_numpy() - clean for variant in others], axis=1
    )
    orders = {"group": "by group", "loss": "most harmed first", "accuracy": "by accuracy"}
    by = controls.segmented("Order of the classes", "order", list(orders), names=orders.__getitem__)
    harm = np.nan_to_num(changes).mean(1)
    sequence = (
        np.argsort(harm, kind="stable") if by == "loss" else data.class_order(run, by, selection.epoch, run.variants[0])
    )
    names, groups = np.array(data.class_names(run))[sequence], np.array(data.class_groups(run))[sequence]
    matrix_canvas(
        Matrix(
            values=100 * changes[sequence],
            rows=names.tolist(),
            columns=[variant_name(variant) for variant in others],
            row_title="class",
            column_title="under",
            unit="points of accuracy against clean",
            format="signed",
            signed=True,
            row_groups=groups.tolist() if by == "group" else (),
        ),
        title="Change of accuracy by class and variant",
        key="class-by-variant",
        on_cell=lambda row, column: state.write(
            {"variant": others[column], "class": data.class_ids(run)[int(sequence[row])], "p": None}
        ),
    )
    st.caption("A cell chooses its class and variant for the pictures below. No colour: no change.")


def _pictures(selection: Selection, variant: str) -> None:
    run, clean = selection.run, selection.run.variants[0]
    before = data.predictions(run, selection.epoch, clean)
    after = data.predictions(run, selection.epoch, variant)
    st.subheader(f"Pictures under {variant_name(variant)}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        outcome = controls.segmented("Outcome", "outcome", list(_OUTCOMES), names=_OUTCOMES.__getitem__, resets=("p",))
        if selection.class_index is not None:
            name = data.class_names(run)[selection.class_index]
            st.button(f"Only {name}: show all classes", on_click=state.write, args=({"class": None, "p": None},))
    was, now = before["correct"], after["correct"]
    mask = {"broken": was & ~now, "kept": was & now, "gained": ~was & now}[outcome]
    if selection.class_index is not None:
        mask &= before["label"] == selection.class_index
    rows: pd.DataFrame = after[mask].sort_values("consistency", kind="stable")
    st.caption(
        f"{plural(len(rows), 'picture')}, the most changed evidence first. Each: the clean picture and the perturbed "
        "one, "
        "the map of the clean answer, the map of the answer now."
    )
    shown = rows.iloc[controls.page("p", len(rows), 16)]
    galleries.comparison_grid(
        selection, shown["image"].to_numpy(), (selection.epoch, clean), (selection.epoch, variant), key="triples"
    )


main()
