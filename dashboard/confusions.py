"""Small computations behind the Confusion page: order, scaling, groups, and pairs with their history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from dashboard import data
from dashboard.state import Selection
from store import Run

ORDERS = {"group": "by group", "likeness": "by confusion", "accuracy": "by accuracy", "recorded": "as recorded"}
SCALINGS = {
    "count": "pictures (log)",
    "row": "share of the truth",
    "column": "share of the answer",
    "difference": "change from the pinned state",
}


@dataclass(frozen=True)
class ScaledConfusion:
    """Values (R, C) with what they mean."""

    values: np.ndarray
    unit: str
    format: str
    signed: bool = False


def scaled(counts: np.ndarray, scaling: str, pinned: np.ndarray | None) -> ScaledConfusion:
    """A confusion matrix as counts, as shares of its rows or columns, or as a change from another one."""
    counts = counts.astype(np.float64)
    if scaling == "row":
        return ScaledConfusion(_share(counts, 1), "of the truth's pictures", "percent")
    if scaling == "column":
        return ScaledConfusion(_share(counts, 0), "of the pictures called so", "percent")
    if scaling == "difference" and pinned is not None:
        return ScaledConfusion(counts - pinned, "pictures more than in the pinned state", "signed", signed=True)
    return ScaledConfusion(counts, "pictures", "count")


def _share(counts: np.ndarray, axis: int) -> np.ndarray:
    total = counts.sum(axis, keepdims=True)
    return np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)


def class_order(selection: Selection, order: str) -> np.ndarray:
    """Class numbers in the order of rows and columns, (C,)."""
    run = selection.run
    if order == "recorded":
        return np.arange(len(run.classes))
    if order == "accuracy":
        accuracy = data.class_table(run, selection.epoch, selection.variant)["accuracy"].to_numpy()
        return np.argsort(-np.nan_to_num(accuracy), kind="stable")
    if order == "likeness":
        return _by_likeness(run, selection.epoch, selection.variant)
    return np.lexsort((np.array(data.class_names(run)), np.array(data.class_groups(run))))


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs={Run: lambda run: (str(run.path), run.id)})
def _by_likeness(run: Run, epoch: int, variant: str) -> np.ndarray:
    """Classes so that those confused with each other stand together (average linkage on mutual confusion)."""
    share = _share(data.confusion(run, epoch, variant).astype(np.float64), 1)
    mutual = (share + share.T) / 2
    np.fill_diagonal(mutual, 0)
    if len(mutual) < 3:
        return np.arange(len(mutual))
    distance = 1 - mutual / max(mutual.max(), 1e-12)
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))


def grouped(run: Run, counts: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The matrix with the classes of a group put together: the groups' names and (G, G) counts."""
    groups = np.array(data.class_groups(run))
    names, place = np.unique(groups, return_inverse=True)
    member = np.eye(len(names))[place]
    return names.tolist(), member.T @ counts @ member


def pairs_table(selection: Selection, *, most: int = 100) -> pd.DataFrame:
    """The most confused pairs, truth and answer, with their counts over the epochs.

    Returns:
        Columns truth, predicted (names), truth_index, predicted_index, count, share (of the truth's pictures),
        history (list of counts, one per epoch).
    """
    run = selection.run
    counts = data.confusion(run, selection.epoch, selection.variant)
    off = counts - np.diag(np.diag(counts))
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    truth, answer = np.unravel_index(order[off.ravel()[order] > 0], off.shape)
    names = np.array(data.class_names(run))
    stack = data.confusion_history(run, selection.variant)
    return pd.DataFrame(
        {
            "truth": names[truth],
            "predicted": names[answer],
            "truth_index": truth,
            "predicted_index": answer,
            "count": off[truth, answer],
            "share": off[truth, answer] / np.maximum(1, counts.sum(1))[truth],
            "history": [stack[:, row, column].tolist() for row, column in zip(truth, answer, strict=True)],
        }
    )
