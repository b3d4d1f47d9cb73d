"""Overview: what this run is and how accurate it is at the chosen epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads, finding_cards, quick_look, seeds
from dashboard.shared.class_tiles import class_grid
from dashboard.shared.image_tiles import image_tiles
from dashboard.shared.run_facts import accuracy_figures, epochs_recorded, evidence_text, has_top5, is_tiny_imagenet
from dashboard.shared.tables import in_percent, plain_table, share_column
from dashboard.shared.theme import count, duration, escape_markdown, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.overview.charts import accuracy_by_variant, training_curve, training_series
from dashboard.views.overview.parts import notable_mistakes, runs_table, setting
from store.queries import majority_share
from store.rates import percent

_SHARES = {
    "top1": ("Top-1", "the prediction is correct"),
    "balanced": ("Balanced", "the mean accuracy of the classes"),
    "majority": ("Largest class", "the top-1 of always predicting the largest class"),
    "top5": ("Top-5", "the true class is among the five most probable"),
}
_MANY = 100  # images of a class: an accuracy is then known to about ten points


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    described = not data.is_degenerate(*selection.key)
    _card(selection)
    if described:
        _failures(selection)
    _curves(selection)
    _findings(selection)
    if described:
        _classes(selection)
    _table_one(selection)


def _card(selection: Selection) -> None:
    run = selection.run
    here = data.variant_row(*selection.key)
    earlier = [epoch for epoch in data.epochs_without_fetching(run) if epoch < selection.epoch]
    before = data.variant_row(run, earlier[-1], selection.variant) if earlier else None
    wrong = round((1 - here["top1"]) * len(run.labels))
    figures = accuracy_figures(run)
    with st.grid(len(figures) + (2 if selection.variant == run.variants[0] else 3), min_column_width=150):
        for label, key in figures:
            change = None if before is None else f"{100 * (here[key] - before[key]):+.1f}"
            # Longer texts are cut off on a phone.
            since = None if change is None else f"since epoch {data.epoch_name(run, earlier[-1])}"
            st.metric(label, percent(here[key]), change, border=True, delta_description=since)
            if key == "top1":
                _balanced_accuracy(selection)
        st.metric(
            "Wrong predictions",
            count(wrong),
            f"of {count(len(run.labels))}",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        if selection.variant != run.variants[0]:
            st.metric("Predictions changed by the variant", percent(here["flip_rate"]), border=True)
    lines = [" · ".join(_facts(selection)), evidence_text(run), seeds.caption(run, selection.epoch)]
    st.caption("  \n".join(line for line in lines if line))


def _balanced_accuracy(selection: Selection) -> None:
    run = selection.run
    st.metric(
        "Balanced accuracy",
        percent(data.balanced_accuracy(*selection.key)),
        f"largest class {percent(majority_share(run))}",
        help="the mean accuracy of the classes; below it, the top-1 of always predicting the largest class",
        delta_color="off",
        delta_arrow="off",
        border=True,
    )


def _facts(selection: Selection) -> list[str]:
    run = selection.run
    height, width = run.map_shape
    rows = data.metrics(run, epochs=data.epochs_without_fetching(run))
    # The sum over some of the epochs would be wrong.
    timed = [name for name in ("train_seconds", "record_seconds") if name in rows and len(rows) == len(run.epochs)]
    seconds = float(rows[timed].sum().sum())
    reported = [
        f"model **{escape_markdown(setting(run, 'model'))}**",
        f"data **{escape_markdown(setting(run, 'data'))}**",
        plural(len(run.classes), "class", "classes"),
        plural(len(run.labels), "validation image"),
        plural(len(run.variants), "variant"),
        *([f"maps of {height}×{width} cells"] if run.has_maps else []),
        epochs_recorded(run),
    ]
    return reported + ([f"{duration(seconds)} of computing time"] if seconds else [])


def _findings(selection: Selection) -> None:
    found = data.findings(selection.run)
    if not found:
        return
    st.subheader("Main findings", anchor=False)
    for place, (number, finding) in zip(st.columns(3), enumerate(found[:3], start=1), strict=False):
        with place:
            finding_cards.brief_card(selection, finding, number)
    more = f"All {len(found)} findings" if len(found) > 3 else "Findings"
    controls.page_link("findings", f"{more}, what was tested and how")


def _curves(selection: Selection) -> None:
    run = selection.run
    known = data.epochs_without_fetching(run)
    series = training_series(data.metrics(run, epochs=known))
    if not has_top5(run):
        series = series[series["part"] != "validation top-5"]
    trained = (series["part"] == "training").any()
    left, middle, right = st.columns([1, 1, 1])
    for place, quantity in ((left, "loss"), (middle, "accuracy")):
        with place:
            downloads.chart(
                training_curve,
                series,
                quantity=quantity,
                epoch=selection.epoch,
                key=f"{quantity}-by-epoch",
                alt=f"{quantity} of {'training and ' if trained else ''}validation over the epochs",
                on_point=lambda point: url_state.write({"epoch": int(point["epoch"])}),
            )
    with right:
        table = data.variants_at(run, selection.epoch)
        downloads.chart(
            accuracy_by_variant,
            table,
            top5=has_top5(run),
            key="accuracy-by-variant",
            alt="accuracy of every variant",
        )
    without = "" if trained else "The run has no figures of training, so the curves are those of the recorded images. "
    st.caption(f"{without}Click a point of a curve to choose its epoch. The orange line marks the chosen epoch.")
    if len(known) < len(run.epochs):
        st.info(
            f"{len(known)} of {plural(len(run.epochs), 'epoch')} shown: the run is at a URL and not fully analysed, "
            "and no epoch is fetched for curves or the table of runs. Copy the run to this machine "
            "(`python -m store copy URL FOLDER`), analyse it (`python -m compute analyse FOLDER`) and copy it back.",
            icon=":material/cloud:",
        )


def _failures(selection: Selection) -> None:
    chosen = selection.class_index
    of = "" if chosen is None else f" of {escape_markdown(data.class_names(selection.run)[chosen])}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Notable mistakes{of}", anchor=False, width="content")
        controls.page_link("failures", "All mistakes")
    rows, reasons = notable_mistakes(selection)
    if rows.empty:
        epoch = escape_markdown(data.epoch_name(selection.run, selection.epoch))
        st.caption(f"No mistakes{of} at epoch {epoch} under {escape_markdown(selection.variant_label)}.")
        return
    content = image_tiles(selection, rows, which="both", size=62, overlay=False)
    lines = [(reason, *tile.lines[:1]) for reason, tile in zip(reasons, content.tiles, strict=True)]
    quick_look.image_set(content.with_lines(lines), key="notable")


def _classes(selection: Selection) -> None:
    table = data.class_table(*selection.key)
    ranked = table[table["count"] > 0].sort_values(["accuracy", "mean_label_probability"], ascending=False)
    each = min(7, len(ranked) // 2)  # one row beside each other in a window of 1,440 pixels
    if not each:
        return
    best, worst = st.columns(2)
    ends = ((best, "Best classes", ranked.head(each)), (worst, "Worst classes", ranked.tail(each)[::-1]))
    for place, title, rows in ends:
        with place:
            st.subheader(title, anchor=False)
            class_grid(selection, rows.index.to_list(), key=title, size=64)
    images = int(ranked["count"].median())
    if images < _MANY:
        st.caption(
            f"The ends of {plural(len(ranked), 'class', 'classes')} with {plural(images, 'image')} each (median): with "
            "so few, other images of the same classes would put other classes here."
        )


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    """How the columns of the table of runs are shown."""
    return {
        **{
            name: share_column(table[name], label, digits=2, width=85, help=meaning)
            for name, (label, meaning) in _SHARES.items()
        },
        "name": st.column_config.TextColumn("Model or run", width=150),
        "spread": st.column_config.TextColumn(
            "± of top-1", width=75, help="standard deviation over trainings with other seeds, in points"
        ),
        "network": st.column_config.TextColumn("Network", width=140),
        "data": st.column_config.TextColumn("Data", width=110),
        "epoch": st.column_config.NumberColumn("Epoch", width=55),
        "source": st.column_config.TextColumn("Source", width=110),
    }


def _table_one(selection: Selection) -> None:
    paper = is_tiny_imagenet(selection.run)
    st.subheader("Runs in this folder" + (" and the paper's Table 1" if paper else ""), anchor=False)
    table, left_out, elsewhere = runs_table(selection.run, paper=paper)
    has_means = table["trainings"].notna().any()
    plain_table(
        in_percent(table, _SHARES).assign(
            spread=["" if pd.isna(sd) else f"{100 * sd:.2f}" for sd in table["top1_sd"]],
            source=table["source"].map({"recorded": "this folder", "paper": "paper, Table 1"}),
        ),
        # The accuracies come first: a phone may cut off the rest.
        column_order=[
            *("name", "top1"),
            *(["spread"] if has_means else []),
            *("balanced", "majority"),
            *(["top5"] if has_top5(selection.run) else []),
            *("epoch", "network", "data"),
            *(["source"] if paper else []),
        ],
        column_config=_columns(table),
        alt="accuracy of the runs in this folder" + (" and of the paper" if paper else ""),
    )
    spread = "A mean of trainings has the standard deviation over them beside it. " if has_means else ""
    quoted = ""
    if paper:
        quoted = "The paper's rows are quoted: Tiny ImageNet, except the middle row, which is ImageNet at 224×224. "
    st.caption(
        "Runs: best recorded epoch, chosen on the same images; all validation images, clean. "
        f"{spread}{quoted}Accuracies on different images "
        "cannot be compared."
        + (f" Runs at URLs that are not shown now have no row ({elsewhere}): it would fetch them." if elsewhere else "")
    )
    for name, reason in left_out.items():
        st.warning(
            f"**{escape_markdown(name)}** is left out: {escape_markdown(reason)}", icon=":material/broken_image:"
        )


main()
