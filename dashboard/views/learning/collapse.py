"""Sections of the Learning page: which predictions still change from epoch to epoch, and neural collapse."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads
from dashboard.shell import controls
from dashboard.shell.url_state import Selection
from dashboard.views.learning.charts import epoch_lines

_CHURN = {"churn": "prediction changed", "newly_correct": "newly correct", "newly_wrong": "newly wrong"}
_MEASURES = {
    "nc1": ("NC1", "spread within classes over that between their means"),
    "nc2_norm": ("NC2 length", "how unequal the distances of the class means from their centre are"),
    "nc2_angle": ("NC2 angle", "how far the directions of the class means are from being equally far apart"),
    "nc3": ("NC3", "distance between the classifier (the pooling) and the class means; class maps only"),
    "nc4": ("NC4", "share of the images whose prediction is not the class of the nearest mean"),
}


def churn(selection: Selection) -> None:
    """Draw the share of images that each epoch predicts otherwise than the one before."""
    st.subheader("How many predictions still change?", anchor=False)
    table = data.epoch_churn(selection.run, variant=selection.variant)
    lines = table.rename(columns=_CHURN).melt("epoch", list(_CHURN.values()), var_name="line")
    title = "share of the images"
    alt = "share of the predictions that changed at every epoch"
    caption = "Churn: predictions that differ from those of the recorded epoch before, under the chosen variant."
    downloads.chart(epoch_lines, lines, title=title, epoch=selection.epoch, key="churn", alt=alt, caption=caption)


def collapse(selection: Selection) -> None:
    """Draw neural collapse of the recorded layers and the class maps, where the analysis measured it."""
    table = data.analysis_table(selection.run, "collapse")
    if table is None or table.empty:
        return
    st.subheader("Do the classes collapse to points?", anchor=False)
    names = {name: short for name, (short, _) in _MEASURES.items()}
    measure = controls.segmented("Measure", "collapse", names)
    name, meaning = _MEASURES[measure]
    lines = pd.DataFrame({"epoch": table["epoch"], "line": table["layer"], "value": table[measure]}).dropna()
    alt = f"{name} of every layer over the epochs"
    key = f"collapse-{measure}"
    caption = (
        f"{name}: {meaning}; 0 in full neural collapse (Papyan et al. 2020). Clean validation images, where collapse "
        "stays incomplete even if the training images collapse; with few images of a class, its own noise adds to NC1."
    )
    downloads.chart(epoch_lines, lines, title=name, epoch=selection.epoch, key=key, alt=alt, caption=caption)
