"""Sections of the Trust page that are computed once they are opened: recalibration, prediction sets, removed cells."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads
from dashboard.shared.run_facts import is_exact
from dashboard.shared.tables import in_percent, plain_table
from dashboard.shared.theme import count
from dashboard.shell.url_state import Selection
from dashboard.views.trust.charts import removal_chart
from store.rates import percent


def recalibration(selection: Selection) -> None:
    """Calibration with a fitted temperature, and sets of classes that contain the true one as often as promised."""
    opened = st.expander(
        "After temperature scaling, and as sets of classes",
        key="recalibration",
        on_change="rerun",
    )
    if not opened.open:
        return
    with opened:
        table = data.recalibration(*selection.key)
        sets = data.prediction_sets(selection.run, epoch=selection.epoch)
        if table.empty or sets.empty:
            st.info("This needs two images of a class: one to fit on and one to report on.")
            return
        _temperature(table)
        _prediction_sets(selection, sets)


def _temperature(table: pd.DataFrame) -> None:
    before, after = table.iloc[0], table.iloc[1]
    direction = "less" if after["temperature"] > 1 else "more"
    st.markdown(
        f"**Temperature {after['temperature']:.2f}**: dividing every logit by it makes the network {direction} "
        f"confident and changes no prediction. ECE {percent(before['ece'])} → {percent(after['ece'])}, NLL "
        f"{before['nll']:.3f} → {after['nll']:.3f}, mean confidence {percent(before['mean_confidence'])} → "
        f"{percent(after['mean_confidence'])}."
    )
    st.caption(
        "Fitted for the lowest NLL on a random half of each class, reported on the other half "
        f"({count(int(before['images']))} images), at the chosen epoch and variant."
    )


def _prediction_sets(selection: Selection, sets: pd.DataFrame) -> None:
    names = [selection.run.variant(name).label for name in sets["variant"]]
    shares = ("promised", "coverage", "low", "high", "single_share", "empty_share")
    shown = sets.assign(variant=names, promised=1 - sets["miss"])
    st.markdown("**Prediction sets**: all classes above a probability, chosen so that the true class is rarely missed.")
    plain_table(
        in_percent(shown, shares),
        column_order=["promised", "variant", "coverage", "low", "high", "mean_size", "single_share", "empty_share"],
        column_config={
            "promised": st.column_config.NumberColumn("Promised", format="%.0f %%", width=70),
            "variant": st.column_config.TextColumn("Variant", width=150),
            "coverage": st.column_config.NumberColumn("Contain it", format="%.1f %%", help="sets with the true class"),
            "low": st.column_config.NumberColumn("95 % from", format="%.1f %%"),
            "high": st.column_config.NumberColumn("to", format="%.1f %%"),
            "mean_size": st.column_config.NumberColumn("Classes", format="%.2f", help="mean size of a set"),
            "single_share": st.column_config.NumberColumn("Of one class", format="%.1f %%"),
            "empty_share": st.column_config.NumberColumn("Empty", format="%.1f %%"),
        },
        alt="coverage and size of prediction sets under every variant",
    )
    st.caption(
        "Split conformal prediction. The threshold comes from the clean half, so the promise holds for clean images "
        "alone; the other rows show what a perturbation takes from it. Wilson intervals."
    )


def removal(selection: Selection) -> None:
    """Deletion and insertion curves over the map, against a random order."""
    opened = st.expander(
        "Do the strongest cells carry the prediction? Deletion and insertion", key="removal", on_change="rerun"
    )
    if not opened.open:
        return
    with opened:
        curves = data.removal_curves(*selection.key)
        areas = curves.attrs["areas"]
        left, right = st.columns([3, 2])
        with left:
            downloads.chart(removal_chart, curves, key="removal", alt="probability while cells are removed or returned")
        with right:
            words = {"map": "strongest first", "random": "random", "gain": "difference"}
            rows = [(measure.capitalize(), words[order], *figures) for (measure, order), figures in areas.items()]
            table = pd.DataFrame(rows, columns=["Area under", "Cells", "Mean", "95 % from", "to"])
            numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in ("Mean", "95 % from", "to")}
            plain_table(
                table.sort_values("Area under", kind="stable"), column_config=numbers, alt="areas under the curves"
            )
            estimate = "" if is_exact(selection.run) else " An estimate: the rest of the head is held fixed."
            st.caption(
                "Cells are removed from the maps of all classes, in the order of the predicted class's map, and the "
                f"logits follow without another pass (Eq. 8).{estimate} {count(curves.attrs['images'])} images drawn "
                "at random. A low deletion and a high insertion area: few cells carry the prediction."
            )
