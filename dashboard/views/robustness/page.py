"""Robustness: how each perturbation changes predictions and maps, for each class and image."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads, quick_look
from dashboard.shared.run_facts import has_top5
from dashboard.shared.states import State, flip_tiles
from dashboard.shared.tables import in_percent, row_table, share_column
from dashboard.shared.theme import escape_markdown, plural
from dashboard.shared.tile_sheets import sheet_button
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.robustness import parts
from dashboard.views.robustness.charts import OUTCOME_NAMES, variant_curves
from store import Run
from store.metrics.robustness import mean_corruption_error
from store.rates import percent

_MEASURES = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "mean_confidence": "mean confidence",
    "flip_rate": "flip rate",
    "unchanged_consistency": "similarity of the maps where the prediction is unchanged",
    "responsiveness": "change of the maps where the prediction changes",
    "different_reason_share": "correct for a different reason",
    "ece": "calibration error (ECE)",
    "nll": "negative log-likelihood",
}
_OF_MAPS = ("unchanged_consistency", "responsiveness", "different_reason_share")
_SHARES = {
    "top1": ("Top-1", "the prediction is correct"),
    "top5": ("Top-5", "the true class is among the five most probable"),
    "mean_confidence": ("Conf.", "mean confidence P of the prediction"),
    "flip_rate": ("Flipped", "the prediction differs from that of the clean image"),
}
_OUTCOMES = {
    "lost": "correct when clean, wrong under the variant",
    "correct": "correct both times",
    "gained": "wrong when clean, correct under the variant",
    **OUTCOME_NAMES,
}
_MAPS = {"true_class": "of the true class", "predictions": "of the predictions"}
_PER_PAGE = 12


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    if len(selection.run.variants) < 2:
        st.info("This run was recorded on clean images only, so there are no variants to compare.")
        return
    unchanged = [
        escape_markdown(selection.run.variant(name).label)
        for name, changed in selection.run.changed_images.items()
        if not changed and name != selection.run.variants[0]
    ]
    if unchanged:
        st.info(
            f"Changed no image of this run, so nothing below is an effect of it: {', '.join(unchanged)}.",
            icon=":material/info:",
        )
    _over_epochs(selection)
    variant = _chosen_variant(selection)
    if not data.is_degenerate(selection.run, selection.epoch, selection.run.variants[0]):
        if selection.run.has_maps:
            parts.outcomes(selection)
        parts.dose_curves(selection)
        parts.cue_profiles(selection)
    _images(selection, variant)


def _over_epochs(selection: Selection) -> None:
    left, right = st.columns([3, 2])
    with left:
        measures = {name: words for name, words in _MEASURES.items() if _has(selection.run, name)}
        measure = controls.select("Measure", "measure", measures, default="top1")
        table = data.accuracy_by_variant(selection.run)
        downloads.chart(
            variant_curves,
            table,
            figure=measure,
            title=_MEASURES[measure],
            epoch=selection.epoch,
            key=f"variants-{measure}",
            alt=f"{_MEASURES[measure]} of every variant over the epochs",
        )
    with right:
        _at_epoch(selection)


def _has(run: Run, measure: str) -> bool:
    """Whether a run has a measure: some are of maps, and with five classes every image is a top-5 success."""
    return (run.has_maps or measure not in _OF_MAPS) and (measure != "top5" or has_top5(run))


def _at_epoch(selection: Selection) -> None:
    """Accuracy, confidence and flip rate of every variant at the chosen epoch; a row chooses its variant."""
    rows = data.variants_at(selection.run, selection.epoch)
    st.markdown(f"**At epoch {escape_markdown(data.epoch_name(selection.run, selection.epoch))}**")
    shares = {name: words for name, words in _SHARES.items() if _has(selection.run, name)}

    def choose(row: int) -> None:
        variant = rows["variant"].iloc[row]
        url_state.write({"variant": None if variant == selection.run.variants[0] else variant, "page": None})

    row_table(
        in_percent(rows, _SHARES),
        column_order=["variant_label", *shares],
        column_config={
            "variant_label": st.column_config.TextColumn("Variant", width=138),
            **{
                name: share_column(rows[name], label, width=55, help=meaning)
                for name, (label, meaning) in shares.items()
            },
        },
        key="variants",
        on_row=choose,
        alt="accuracy, confidence and flip rate of every variant at the chosen epoch",
    )
    errors = data.corruption_errors(selection.run, epoch=selection.epoch)
    clean_error = 1 - float(rows["top1"].iloc[0])
    st.caption(
        f"Mean corruption error (mCE): **{percent(mean_corruption_error(errors))}** wrong, the mean over "
        f"{plural(len(errors), 'kind')} of perturbation; on clean images {percent(clean_error)}. "
        "Compare relates it to another run. Click a row to see the variant's images below."
    )


def _chosen_variant(selection: Selection) -> str:
    """The variant of the sidebar, or the first perturbation if that is the clean one."""
    others = selection.run.variants[1:]
    return selection.variant if selection.variant in others else others[0]


def _images(selection: Selection, variant: str) -> None:
    run, clean = selection.run, selection.run.variants[0]
    before = data.predictions(run, selection.epoch, clean)
    after = data.predictions(run, selection.epoch, variant)
    st.subheader(f"Images under {escape_markdown(selection.run.variant(variant).label)}", anchor=False)
    outcomes = {name: words for name, words in _OUTCOMES.items() if run.has_maps or name not in OUTCOME_NAMES}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        outcome = controls.select("Outcome", "outcome", outcomes, default="lost", resets=("page",))
        maps = run.has_maps and controls.segmented("Maps", "maps", _MAPS)
        if selection.class_index is not None:
            name = escape_markdown(data.class_names(run)[selection.class_index])
            controls.write_button(f"Show all classes, not only {name}", {"class": None, "page": None})
    was, now = before["correct"], after["correct"]
    predictions = {"lost": was & ~now, "correct": was & now, "gained": ~was & now}
    evidence = data.evidence_under(run, selection.epoch, variant)["outcome"]
    mask = predictions.get(outcome, evidence == outcome)
    if selection.class_index is not None:
        mask &= before["label"] == selection.class_index
    # The lower the consistency, the more the perturbation changed the map.
    rows: pd.DataFrame = after[mask].sort_values("consistency", kind="stable")
    if rows.empty:
        st.info("No images match. Try another outcome, variant or class.", icon=":material/filter_alt_off:")
        return
    which = "the map of the true class" if maps == "true_class" else "the map of the prediction"
    explained = (
        f", the most changed maps first. Each tile: the clean and the perturbed image, {which} for both, and what the "
        "map of the true class gained (warm) or lost (cold)"
    )
    st.caption(f"{plural(len(rows), 'image')}{explained if run.has_maps else ''}.")
    part = rows.iloc[controls.page("page", len(rows), _PER_PAGE)]
    first, second = (State(run, selection.epoch, name) for name in (clean, variant))
    content = flip_tiles(selection, first, second, part["image"].tolist(), true_class=maps == "true_class")
    quick_look.image_set(content, key="variant-images", state=(second.epoch, second.variant))
    title = f"{_OUTCOMES[outcome]}, {selection.run.variant(variant).label}"
    sheet_button(selection, content, title=title, key="variant-images")


main()
