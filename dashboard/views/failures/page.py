"""Failures: wrong predictions by any measure, class and group; tiles and table show the same rows in the same order."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.charts.histogram import value_bins, value_histogram
from dashboard.components.tiles import TileSet
from dashboard.marks.marked_images import MarkedImages
from dashboard.shared import downloads, image_tiles, marking, quick_look, random_order, run_facts
from dashboard.shared.notices import needs_analysis
from dashboard.shared.tables import row_table
from dashboard.shared.theme import count, escape_markdown, plural
from dashboard.shared.tile_sheets import sheet_button
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.failures import parts
from dashboard.views.failures.parts import MEASURES, SORTS
from store.metrics.learning import HISTORIES
from store.queries import FailureFilter, select_failures
from store.rates import percent, rate

_COLUMNS: dict[str, Any] = {
    "image": "Image",
    "true_class": "True class",
    "predicted_class": "Predicted as",
    "confidence": st.column_config.ProgressColumn("P(prediction)", min_value=0, max_value=1, format="%.2f"),
    "label_probability": st.column_config.NumberColumn("P(true class)", format="%.3f"),
    "label_rank": "Rank of true class",
    "margin": st.column_config.NumberColumn(
        "Margin", format="%.3f", help="P of the prediction minus P of the second class"
    ),
    "correction_cells": "k*",
    "then": st.column_config.TextColumn("Then predicted", help="the class that wins once these cells are removed"),
    "persistence": st.column_config.NumberColumn(
        "Persistence",
        format="%.2f",
        help="epochs with this wrong prediction × its mean confidence × share of variants that agree",
    ),
    "error_run": st.column_config.NumberColumn(
        "Epochs", help="for how many epochs this wrong prediction has lasted, clean"
    ),
    "history": "History",
    "group": "Group",
    "name": "File",
}
_OF_THE_CORRECTION = ("correction_cells", "then")
_PER_PAGE = 24
_PER_PAIR = {"": "all"} | {number: f"at most {number}" for number in ("1", "2", "3", "5")}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    frame = random_order.with_places(selection, parts.predictions(selection))
    # Filters at the side: the images are what the page is about, and stand in sight whatever is chosen.
    side, images = st.columns([1, 3], gap="medium")
    with side:
        ranges = _ranges(selection, frame)
        _choose_classes(selection)
        wanted = _filter(frame, _classes(selection), ranges)
        rows = marking.choose_mark(MarkedImages(selection.run), select_failures(frame, wanted))
    if data.is_degenerate(*selection.key):
        rows = rows.drop(columns=list(_OF_THE_CORRECTION), errors="ignore")
    with images:
        _summary(frame, rows, run_facts.correction_name(selection.run), math.prod(selection.run.map_shape))
        part = _show(selection, rows)
    _table(selection, rows, part)
    if "history" not in frame:
        needs_analysis(selection)


def _choose_classes(selection: Selection) -> None:
    """Controls for the true class, the prediction and the group of the mistakes."""
    labels = {"": "any"} | data.class_labels(selection.run)
    for label, name in (("True class", "class"), ("Predicted as", "prediction")):
        controls.select(label, name, labels, resets=("page",))
    groups = {"": "any"} | {group: group for group in sorted(set(data.class_groups(selection.run))) if group}
    if len(groups) > 1:
        controls.select("Group of the true class", "group", groups, resets=("page",))


def _classes(selection: Selection) -> FailureFilter:
    """The classes that the address names: the histogram stands above their controls."""
    identifiers = data.class_ids(selection.run)
    places = {"": None} | {identifier: number for number, identifier in enumerate(identifiers)}
    true_class, predicted = (url_state.choice(name, ["", *identifiers], "") for name in ("class", "prediction"))
    group = url_state.choice("group", ["", *data.class_groups(selection.run)], "")
    return FailureFilter(true_class=places[true_class], predicted_class=places[predicted], group=group or None)


def _of_classes(frame: pd.DataFrame, where: FailureFilter) -> pd.DataFrame:
    """The predictions of the chosen classes, correct ones too: what the histogram shows."""
    keep = np.ones(len(frame), bool)
    for column, wanted in (("label", where.true_class), ("prediction", where.predicted_class), ("group", where.group)):
        if wanted is not None:
            keep &= (frame[column] == wanted).to_numpy()
    return frame[keep]


def _ranges(selection: Selection, frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """The chosen ranges of all measures, with a histogram and a slider for one of them."""
    known = {name: measure.name for name, measure in MEASURES.items() if measure.column in frame}
    by = controls.select("Histogram of", "by", known, default=next(iter(known)))
    shown = _of_classes(frame, _classes(selection))
    measure, limits = parts.measure(selection, by), parts.limits(selection, frame, by)
    chosen = url_state.value_range(by, limits)
    # k* and persistence are defined for mistakes only.
    rows = shown if measure.of_all else shown[~shown["correct"]]
    values = rows[measure.column].to_numpy(np.float64)
    # k* is rarely near the number of cells, so its axis ends at the largest value that occurs.
    reach = limits if not measure.whole else (0.0, float(values.max(initial=1)))
    bins = value_bins(values, rows["correct"].to_numpy(), limits=reach, whole=measure.whole)
    downloads.chart(
        value_histogram,
        bins,
        title=measure.label,
        chosen=chosen,
        height=195,
        key=f"histogram-{by}",
        alt=f"{'correct and ' if measure.of_all else ''}wrong predictions by {measure.name}",
        on_range=lambda low, high: _keep_range(by, limits, low, high),
    )
    step = 1.0 if measure.whole else 0.01
    controls.range_slider("Range (or drag over the histogram)", by, default=limits, step=step, resets=("page",))
    ranges = {name: url_state.value_range(name, parts.limits(selection, frame, name)) for name in known}
    _other_ranges(selection, frame, {name: ends for name, ends in ranges.items() if name != by})
    return ranges


def _other_ranges(selection: Selection, frame: pd.DataFrame, ranges: dict[str, tuple[float, float]]) -> None:
    """The ranges of measures whose histogram is not shown, each with a button that removes it."""
    narrowed = {name: ends for name, ends in ranges.items() if tuple(ends) != parts.limits(selection, frame, name)}
    if not narrowed:
        return
    with st.container(horizontal=True):
        for name, (low, high) in narrowed.items():
            label, options = f"{MEASURES[name].name} {low:g} to {high:g}", {"help": "Remove this range."}
            controls.write_button(
                label, {name: None, "page": None}, icon=":material/close:", key=f"remove-{name}", **options
            )


def _keep_range(by: str, limits: tuple[float, float], *ends: float) -> None:
    # The slider stands on steps of 0.01, and a drag over the histogram ends between them.
    low, high = (min(max(round(end, 2), limits[0]), limits[1]) for end in ends)
    url_state.write({by: None if (low, high) == limits else f"{low:g}-{high:g}", "page": None})


def _filter(frame: pd.DataFrame, classes: FailureFilter, ranges: dict[str, tuple[float, float]]) -> FailureFilter:
    """The whole filter: classes, ranges, history, suspected labels, and the order."""
    sorts = {name: words for name, (column, _, words) in SORTS.items() if column in frame}
    sort = controls.select("Sort", "sort", sorts, default="confidence")
    random_order.choose_seed(sort)
    # Closed until one is set: on a phone the filters stand before the images.
    used = [name for name in ("history", "label", "per_pair") if url_state.parameter(name)]
    with st.expander("More filters", expanded=bool(used)):
        classes = _more_filters(classes, known="history" in frame)
    column, ascending, _ = SORTS[sort]
    return replace(
        classes,
        confidence=ranges["confidence"],
        cells=ranges.get("cells"),
        margin=ranges["margin"],
        persistence=ranges.get("persistence"),
        sort=column,
        ascending=ascending,
    )


def _more_filters(classes: FailureFilter, *, known: bool) -> FailureFilter:
    """The filter with history and suspected labels, if they are known, and the number of images of a pair."""
    histories, labels = dict(zip(HISTORIES, HISTORIES, strict=True)), {"suspect": "possibly wrong"}
    any_history, any_label = ({"": "any"} | (words if known else {}) for words in (histories, labels))
    history = controls.select("History over the epochs", "history", any_history, resets=("page",))
    suspect = controls.select("Label", "label", any_label, resets=("page",))
    if suspect:
        st.caption(
            "Images whose label may be wrong: the probability of the true class, averaged over the epochs, is among "
            "the lowest 2 %, and the same wrong prediction has persisted. Check them by eye: hard images look the same."
        )
    per_pair = controls.select("Images for each pair of classes", "per_pair", _PER_PAIR, resets=("page",))
    return replace(
        classes,
        history=history or None,
        label_issues=bool(suspect),
        most_per_pair=int(per_pair) if per_pair else None,
    )


def _summary(frame: pd.DataFrame, rows: pd.DataFrame, symbol: str, size: int) -> None:
    """What the chosen mistakes have in common; `size` is the number of cells of a map."""
    wrong = int((~frame["correct"]).sum())
    some = f" of {count(wrong)}" if len(rows) < wrong else ""  # nothing is filtered out: one number says it
    text = f"**{plural(len(rows), 'wrong prediction')}**{some} in {plural(len(frame), 'image')}"
    if len(rows):
        same_group = (rows["group"] == rows["predicted_group"]).mean()
        text += (
            f" · mean confidence {percent(rows['confidence'].mean(), 0)}"
            f" · the true class is second in {rate((rows['label_rank'] == 2).mean(), len(rows))}"
            f" · the prediction is in the true class's group in {rate(same_group, len(rows))}"
        )
    if len(rows) and "correction_cells" in rows:
        cells = f"{int(rows['correction_cells'].median())} of {plural(size, 'cell')}"
        text += (
            f" · median minimal correction {escape_markdown(symbol)} {cells}"
            f", after which a third class wins in {rate(rows['third'].mean(), len(rows))}"
        )
    st.markdown(text)


def _show(selection: Selection, rows: pd.DataFrame) -> pd.DataFrame:
    """The images of one page; returns their rows."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = image_tiles.choose_maps(selection, (image_tiles.BOTH, image_tiles.PREDICTED, image_tiles.OWN))
        marking.menu(MarkedImages(selection.run), rows, key="failures")
        part = rows.iloc[controls.page("page", len(rows), _PER_PAGE)]
    if part.empty:
        image_tiles.no_images()
        return part
    content = _tiles(selection, part, which)
    quick_look.image_set(content, key="failures")
    sheet_button(selection, content, title="Failures", key="failures")
    sort = url_state.choice("sort", list(SORTS), "confidence")
    random_order.figure_button(selection, rows, sort=sort, key="failures")
    return part


def _table(selection: Selection, rows: pd.DataFrame, part: pd.DataFrame) -> None:
    """The same mistakes as a table."""
    if part.empty:
        return
    st.markdown("**The same mistakes as a table.** Click a row for a quick look at its image.")
    look = quick_look.open_on_click(part["image"])
    row_table(
        part[[column for column in _COLUMNS if column in part]],
        column_config=_COLUMNS | {"correction_cells": _correction_column(selection)},
        key="failure-table",
        on_row=lambda row: look(part["image"].iloc[row]),
        alt="the wrong predictions shown above",
    )
    name = f"{selection.name}-epoch{selection.epoch}-{selection.variant}-failures.csv"
    downloads.csv_button(
        "CSV of all rows", run_facts.as_recorded(selection.run, rows.drop(columns=random_order.PLACE)), name
    )


def _correction_column(selection: Selection) -> Any:
    meaning = "minimal correction: the fewest cells to remove so that the true class draws level"
    if not run_facts.is_exact(selection.run):
        meaning += "; an estimate, because the rest of the head is held fixed"
    return st.column_config.NumberColumn(run_facts.correction_name(selection.run), help=meaning)


def _tiles(selection: Selection, part: pd.DataFrame, which: str) -> TileSet:
    """The images; each tile also shows the measure that they are sorted by."""
    content = image_tiles.image_tiles(selection, part, which=which, size=78)
    sort = url_state.choice("sort", list(SORTS), "confidence")
    figures = part[[name for name in parts.EXTRA if name in part]]
    symbol = run_facts.correction_name(selection.run)
    extra = (parts.extra_line(row, sort, symbol=symbol) for row in figures.itertuples(index=False))
    return content.with_lines(
        (*tile.lines, line) if line else tile.lines for tile, line in zip(content.tiles, extra, strict=True)
    )


main()
