"""Robustness: what each perturbation does to the answers and to the evidence, per class and per picture."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import controls, data, exports, perturbed, state
from dashboard.charts.evidence import OUTCOME_NAMES
from dashboard.charts.robustness import variant_curves
from dashboard.comparing import State
from dashboard.sheets import grid_with_sheet
from dashboard.side_by_side import flip_tiles
from dashboard.state import Selection
from dashboard.theme import plain, plural, variant_name

_FIGURES = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "mean_confidence": "mean confidence",
    "flip_rate": "answers flipped",
    "kept_consistency": "likeness of the evidence where the answer holds",
    "responsiveness": "change of the evidence where the answer flips",
    "lucky_share": "right answers on moved evidence (lucky)",
    "ece": "calibration error (ECE)",
    "nll": "negative log-likelihood",
}
_SHARES = {
    "top1": ("Top-1", "the answer is right"),
    "top5": ("Top-5", "the truth is among the five strongest classes"),
    "mean_confidence": ("Conf.", "mean confidence P of the answer"),
    "flip_rate": ("Flipped", "another answer than to the clean picture"),
}
_OUTCOMES = {
    "broken": "right when clean, wrong now",
    "kept": "right both times",
    "gained": "wrong when clean, right now",
    **OUTCOME_NAMES,
}
_MAPS = {"truth": "of the truth, both times", "answers": "of both answers"}
_PER_PAGE = 16


def main() -> None:
    """Draw the page from top to bottom."""
    selection = state.current()
    if len(selection.run.variants) < 2:
        st.info("This run was recorded with the clean pictures only; there is nothing to compare.")
        return
    _over_epochs(selection)
    variant = _chosen_variant(selection)
    perturbed.outcomes(selection)
    perturbed.fingerprints(selection)
    _pictures(selection, variant)


def _over_epochs(selection: Selection) -> None:
    left, right = st.columns([3, 2])
    with left:
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
    with right:
        _at_epoch(selection)


def _at_epoch(selection: Selection) -> None:
    """Every variant's figures at the chosen epoch; a row chooses its variant."""
    rows = data.by_variant(selection.run, selection.epoch)
    shown = rows.assign(name=rows["variant"].map(variant_name), **{name: 100 * rows[name] for name in _SHARES})
    st.markdown(f"**At epoch {selection.epoch}**")

    def chosen() -> None:
        places = st.session_state["variants"]["selection"]["rows"]
        if places:
            variant = rows["variant"].iloc[places[0]]
            state.write({"variant": None if variant == selection.run.variants[0] else variant, "p": None})

    st.dataframe(
        shown,
        hide_index=True,
        column_order=["name", *_SHARES],
        column_config={
            "name": st.column_config.TextColumn("Variant", width=138),
            **{
                name: st.column_config.NumberColumn(label, format="%.1f %%", width=55, help=meaning)
                for name, (label, meaning) in _SHARES.items()
            },
        },
        key="variants",
        on_select=chosen,
        selection_mode="single-row",
        alt="figures of every variant at the chosen epoch",
    )
    st.caption("A row chooses its variant for the pictures below.")


def _chosen_variant(selection: Selection) -> str:
    """The perturbation looked at: the frame's variant, or where that is the clean one, the first of the others."""
    others = selection.run.variants[1:]
    return selection.variant if selection.variant in others else others[0]


def _pictures(selection: Selection, variant: str) -> None:
    run, clean = selection.run, selection.run.variants[0]
    before = data.predictions(run, selection.epoch, clean)
    after = data.predictions(run, selection.epoch, variant)
    st.subheader(f"Pictures under {variant_name(variant)}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        outcome = controls.select(
            "Outcome", "outcome", list(_OUTCOMES), default="broken", names=_OUTCOMES.__getitem__, resets=("p",)
        )
        maps = controls.segmented("Maps", "maps", list(_MAPS), names=_MAPS.__getitem__)
        if selection.class_index is not None:
            name = data.class_names(run)[selection.class_index]
            st.button(f"Only {plain(name)}: show all classes", on_click=state.write, args=({"class": None, "p": None},))
    was, now = before["correct"], after["correct"]
    answers = {"broken": was & ~now, "kept": was & now, "gained": ~was & now}
    evidence = data.evidence_under(run, selection.epoch, variant)["outcome"]
    mask = answers.get(outcome, evidence == outcome)
    if selection.class_index is not None:
        mask &= before["label"] == selection.class_index
    rows: pd.DataFrame = after[mask].sort_values("consistency", kind="stable")
    if rows.empty:
        st.info("No picture did so. Another outcome, variant or class may.", icon=":material/filter_alt_off:")
        return
    which = "its map of the truth" if maps == "truth" else "the map of its answer"
    st.caption(
        f"{plural(len(rows), 'picture')}, the most changed evidence first. Each: clean and perturbed picture, {which} "
        "clean and perturbed, and what the truth's map gained (warm) or lost (cold)."
    )
    part = rows.iloc[controls.page("p", len(rows), _PER_PAGE)]
    first, second = (State(run, selection.epoch, name) for name in (clean, variant))
    content = flip_tiles(selection, first, second, part["image"].tolist(), truth=maps == "truth")
    there = second.parameters
    grid_with_sheet(
        selection,
        content,
        title=f"{_OUTCOMES[outcome]}, {variant_name(variant)}",
        key="triples",
        on_open=lambda image: state.go("picture", {**there, "image": image}),
    )


main()
