"""Sections of the Learning page: the matrix of classes and epochs, confused pairs, the best epochs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.components.matrix import Matrix, matrix_canvas
from dashboard.shared import downloads
from dashboard.shared.class_tiles import choose_order, with_images
from dashboard.shared.tables import in_percent, plain_table, row_table, share_column
from dashboard.shared.theme import epoch_list, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.learning.charts import ensemble_gains
from store.queries import clean_and_robust

_OUTCOMES = {"all": "all", "growing": "growing at the end", "lasting": "present at the end", "overcome": "overcome"}
_MOST = 200
_PAIR_COLUMNS = [
    "true_class",
    "predicted_class",
    "counts",
    "onset",
    "peak",
    "resolved",
    "peak_count",
    "last_count",
    "slope",
    "overlap",
]


_OVERLAP = (
    "Overlap: the share of the evidence that both classes' maps of these images put into the same cells at the last "
    "epoch, high for similar patterns; empty where the confusion is overcome. "
)


def has_outcome(table: pd.DataFrame, chosen: str) -> np.ndarray:
    """Which pairs have the outcome, bool per row: growing (present at the end, positive slope), lasting, overcome."""
    present = (table["resolved"] < 0).to_numpy()
    if chosen == "growing":
        return present & (table["slope"] > 0).to_numpy()
    if chosen == "lasting":
        return present
    return ~present if chosen == "overcome" else np.ones(len(table), bool)


def confused_pairs(selection: Selection) -> None:
    """Confused pairs of classes with their first, peak and last epochs; a row opens the images at the peak."""
    table, counts = data.analysis_table(selection.run, "pairs"), data.analysis_array(selection.run, "pair_counts")
    if table is None or counts is None:
        return
    st.subheader("When do confusions appear, peak and disappear?", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        of = controls.segmented("Pairs of", "pairs", ["classes", "groups"])
        chosen = controls.segmented("Outcome", "outcome", _OUTCOMES) if of == "classes" else ""
    if of == "groups":
        _groups(selection)
        return
    rows = table.iloc[np.flatnonzero(has_outcome(table, chosen))]
    if rows.empty:
        st.info("No pairs match. Choose another outcome.", icon=":material/filter_alt_off:")
        return
    rows = rows.sort_values("slope", ascending=False, kind="stable") if chosen == "growing" else rows
    shown = rows.head(_MOST)
    _pair_table(selection, shown.assign(counts=counts[shown.index].tolist()))
    st.caption(
        f"{plural(len(rows), 'pair')} with three or more mistakes at some epoch, clean"
        + (f"; the first {_MOST} are shown" if len(rows) > _MOST else "")
        + ". First: the first epoch with three mistakes. "
        + (_OVERLAP if selection.run.has_maps else "")
        + "Click a row to see the images at the peak."
    )


def _known_epochs(epochs: pd.Series) -> pd.Series:
    """Epoch numbers, empty where the event never happened."""
    return epochs.astype("Int64").where(epochs >= 0)


def _pair_table(selection: Selection, rows: pd.DataFrame) -> None:
    shown = rows.assign(onset=_known_epochs(rows["onset"]), resolved=_known_epochs(rows["resolved"]))
    row_table(
        shown[_PAIR_COLUMNS] if selection.run.has_maps else shown[_PAIR_COLUMNS].drop(columns="overlap"),
        height=290,
        key="pair-table",
        on_row=lambda row: _open_pair(selection, rows.iloc[row]),
        column_config={
            "true_class": "True class",
            "predicted_class": "Predicted as",
            "counts": st.column_config.LineChartColumn("Over the epochs", y_min=0, width="medium"),
            "onset": st.column_config.NumberColumn("First", width="small"),
            "peak": st.column_config.NumberColumn("Peak", width="small"),
            "resolved": st.column_config.NumberColumn(
                "Overcome", help="epoch from which it no longer occurs; –: still present", width="small"
            ),
            "peak_count": st.column_config.NumberColumn("At peak", width="small"),
            "last_count": st.column_config.NumberColumn("At the end", width="small"),
            "slope": st.column_config.NumberColumn(
                "Slope", format="%+.2f", help="images per epoch over the last epochs"
            ),
            "overlap": st.column_config.ProgressColumn("Overlap", min_value=0, max_value=1, format="%.2f"),
        },
        alt="pairs of classes that were confused, over the epochs",
    )


def _open_pair(selection: Selection, row: pd.Series) -> None:
    identifiers = data.class_ids(selection.run)
    pair = {"class": identifiers[int(row.true_class_index)], "prediction": identifiers[int(row.predicted_class_index)]}
    url_state.open_page("confusion", {**pair, "epoch": int(row.peak), "variant": None})


def _groups(selection: Selection) -> None:
    """Groups predicted as each other, a row per pair with its share of the true class's images over the epochs."""
    history = data.group_history(selection.run, variant=selection.variant)
    apart = history[history["true_group"] != history["predicted_group"]]
    wide = apart.pivot_table(index=["true_group", "predicted_group"], columns="epoch", values="share", sort=False)
    # Most pairs of groups are never confused.
    wide = wide[wide.max(axis=1) > 0]
    if wide.empty:
        st.info("No group was confused with another.", icon=":material/filter_alt_off:")
        return
    rows = pd.DataFrame(
        {
            "true_class": [pair[0] for pair in wide.index],
            "predicted as": [pair[1] for pair in wide.index],
            "share": wide.to_numpy().tolist(),
            "peak": wide.columns.to_numpy()[wide.to_numpy().argmax(1)],
            "highest": wide.max(axis=1).to_numpy(),
            "now": wide.iloc[:, -1].to_numpy(),
        }
    ).sort_values("highest", ascending=False, ignore_index=True)
    plain_table(
        in_percent(rows.head(_MOST), ("highest", "now")),
        height=380,
        column_config={
            "true_class": "True group",
            "predicted as": "Predicted as",
            "share": st.column_config.LineChartColumn("Over the epochs", y_min=0),
            "peak": st.column_config.NumberColumn("Peak epoch"),
            "highest": share_column(rows["highest"], "At peak"),
            "now": share_column(rows["now"], "At the end"),
        },
        alt="confused pairs of groups over the epochs",
    )
    st.caption("Share of the true group's images that are predicted as the other group, under the chosen variant.")


def best_epochs(selection: Selection) -> None:
    """The best epoch by each criterion, and the gain of averaging over epochs or variants."""
    table = data.analysis_table(selection.run, "best_epochs")
    ensembles = data.analysis_table(selection.run, "ensembles")
    if table is None or ensembles is None:
        return
    st.subheader("Which epoch is best?", anchor=False)
    if not selection.run.has_maps:
        table = table[table["metric"] != "robust_consistency"]
    left, right = st.columns([3, 2])
    with left:
        row_table(
            criterion_rows(table, data.accuracy_by_variant(selection.run)),
            key="criterion-table",
            on_row=lambda row: url_state.write({"epoch": int(table["epoch"].iloc[row])}),
            column_config={
                "criterion": st.column_config.TextColumn("Criterion", width=140),
                "curve": st.column_config.LineChartColumn("Over the epochs", width=105),
                "epoch": st.column_config.NumberColumn("Best epoch", width=72),
                "value": st.column_config.NumberColumn("Best value", format="%.3f", width=72),
                "last_value": st.column_config.NumberColumn("Last epoch", format="%.3f", width=72),
                "better": st.column_config.TextColumn("Better", width=52),
                "again": st.column_config.NumberColumn(
                    "Best again",
                    format="%.0f %%",
                    width=72,
                    help="in how many of 200 resampled sets of the images this epoch is the best, too",
                ),
            },
            alt="the best epoch by each criterion",
        )
        reported = sorted(set(table["epoch"]))
        agree = "All criteria agree" if len(reported) == 1 else f"The criteria disagree: {epoch_list(reported)}"
        st.caption(
            f"{agree}. Clean images; robust criteria average the other variants. The best epoch is chosen and measured "
            "on the same images, so its value flatters it. Click a row to choose its epoch."
        )
    with right:
        gains = ensembles.iloc[1:]
        if len(gains):
            downloads.chart(
                ensemble_gains,
                gains,
                key="ensembles",
                alt="accuracy gained by averaging recorded epochs or variants",
                caption="Probabilities averaged over recorded epochs or variants, compared with the last epoch; 95 % "
                "intervals.",
            )


def criterion_rows(best: pd.DataFrame, figures: pd.DataFrame) -> pd.DataFrame:
    """A row per criterion with its measure over the epochs.

    Args:
        best: the table best_epochs of an analysis.
        figures: of `store.queries.accuracy_by_variant`.
    """
    series = clean_and_robust(figures)
    rows = best.assign(
        curve=[series[figure].astype(float).tolist() for figure in best["metric"]],
        better=best["direction"].map({"max": "high", "min": "low"}),
        again=100 * best["selection_share"],
    )
    return rows[["criterion", "curve", "epoch", "value", "last_value", "better", "again"]]


CELLS = {"accuracy": "accuracy", "similarity": "similarity of the class pattern to its final form"}
_UNITS = {"accuracy": "of the class's images correct", "similarity": "cosine similarity to the final class pattern"}
_TALLEST = 620  # pixels: all classes at once on a screen


def class_matrix(selection: Selection) -> None:
    """Draw the matrix, a row per class and a column per epoch; a cell chooses both."""
    run = selection.run
    st.subheader("All classes over the epochs", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cells = {name: words for name, words in CELLS.items() if run.has_maps or name != "similarity"}
        cell = controls.segmented("Values", "values", cells)
        by = choose_order(selection, ["group", "formation", "accuracy", "name"])
    read = data.accuracy_grid if cell == "accuracy" else data.similarity_to_final
    # An opposite pattern is no more similar than an unrelated one, so negative cosines are drawn as none.
    values = np.clip(read(run, selection.variant), 0, 1).T
    sequence = with_images(run, data.class_order(run, by, selection.epoch, selection.variant))
    names, groups = np.array(data.class_names(run))[sequence], np.array(data.class_groups(run))[sequence]
    identifiers, row = data.class_ids(run), np.flatnonzero(sequence == selection.class_index)
    column = run.epochs.index(selection.epoch)
    matrix_canvas(
        Matrix(
            values=values[sequence],
            rows=names.tolist(),
            columns=[data.epoch_name(run, epoch) for epoch in run.epochs],
            row_title="class",
            column_title="epoch",
            unit=_UNITS[cell],
            format="percent",
            row_groups=groups.tolist() if by == "group" else (),
            selected=(int(row[0]), column) if len(row) else None,
            tallest=_TALLEST,
        ),
        title=f"{CELLS[cell].capitalize()} of every class at every epoch",
        key="class-matrix",
        on_cell=lambda place, at: url_state.write(
            {"class": identifiers[int(sequence[place])], "epoch": run.epochs[at]}
        ),
    )
    st.caption("Click a cell to choose its class and epoch. No colour: no image correct, or no similarity.")
