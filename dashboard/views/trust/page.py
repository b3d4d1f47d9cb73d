"""Trust: calibration, failure detection, and whether the maps are places or codes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.shared import downloads, image_tiles
from dashboard.shared.notices import needs_analysis
from dashboard.shared.theme import count, escape_markdown, percent, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.trust.charts import (
    acceptance_chart,
    confidence_bins,
    confidence_histogram,
    failure_ranking_chart,
    marked,
    reliability_diagram,
)
from store import queries
from store.analysis.confidence_scores import COLUMN_SCORES, REFERENCE

_LABELS = {score.name: score.label for score in COLUMN_SCORES}
_QUANTITIES = {
    "within_class": "Similarity of two images' maps, same class",
    "between_classes": "Similarity of two images' maps, different classes",
    "evidence_on_object": "Share of the map inside the object",
    "object_area": "Share of the image that the object covers",
    "evidence_on_others": "Share of the map inside another image's object",
    "peak_on_object": "Peak of the map lies inside the object",
    "object_following": "How far the maps follow their own object (1: as far as its own shape)",
    "shift_following": "How far the maps move with a shifted image (1: with it)",
}
_ANSWERS = {"all": "all", "wrong": "✗ wrong", "correct": "✓ correct"}
_EVERYTHING = (0.0, 1.0)
_PER_PAGE = 20
_LOCALISATION = {
    "encodes": "**The maps of this run are codes of the class, not places in the image.** They stand beside it.",
    "locates": "**The maps of this run follow the object.** They can be laid over the images.",
    "unknown": "Whether the maps of this run are places cannot be told from what was recorded.",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    _calibration(selection)
    _detection(selection)
    _failure_ranking(selection)
    _places(selection)


def _calibration(selection: Selection) -> None:
    st.subheader("Is a confidence of 0.8 right in 80 of 100?", anchor=False)
    edges = controls.segmented(
        "Bins", "bins", ["width", "mass"], names={"width": "equally wide", "mass": "equally full"}.__getitem__
    )
    chosen = selection.class_index
    table = data.calibration(selection.run, selection.epoch, selection.variant, edges, chosen)
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    if chosen is not None:
        frame = frame[frame["label"] == chosen]
    within = url_state.value_range("within", _EVERYTHING)
    left, right = st.columns(2)
    with left:
        downloads.chart(
            reliability_diagram,
            table,
            key="reliability",
            alt="share of correct predictions against confidence",
            on_point=lambda point: _show_range(point["lower"], point["upper"]),
        )
    with right:
        with st.grid(3, min_column_width=110):
            for label, value, meaning in _figures(table):
                st.metric(label, value, border=True, help=meaning, height="stretch")
        bins = confidence_bins(frame["confidence"].to_numpy(), frame["correct"].to_numpy(), bins=20)
        downloads.chart(
            confidence_histogram,
            bins,
            chosen=within,
            height=235,
            key="confidence-histogram",
            alt="correct and wrong predictions by confidence",
            on_range=lambda low, high: _show_range(max(0.0, low), min(1.0, high)),
        )
    st.caption(
        f"{plural(len(frame), 'image')}{_of(selection)}. Bars are 95 % Wilson intervals. A click on a point, or a "
        "range drawn over the histogram, shows its images."
    )
    if within != _EVERYTHING:
        _bin(selection, frame, within)


def _of(selection: Selection) -> str:
    """Whose images the first part is about."""
    if selection.class_index is None:
        return ""
    return f" of {escape_markdown(data.class_names(selection.run)[selection.class_index])}; the parts below are of every class"


def _figures(table: pd.DataFrame) -> tuple[tuple[str, str, str], ...]:
    return (
        ("ECE", percent(table.attrs["ece"]), "mean distance from the diagonal"),
        ("Largest gap", percent(table.attrs["mce"]), "largest distance of a bin from the diagonal (MCE)"),
        ("NLL", f"{table.attrs['nll']:.3f}", "nats per image, unquantised"),
    )


def _show_range(low: float, high: float) -> None:
    url_state.write({"within": f"{low:.4f}-{high:.4f}", "page": None})


def _bin(selection: Selection, frame: pd.DataFrame, within: tuple[float, float]) -> None:
    """The images whose prediction's confidence lies in a range."""
    rows = frame[(frame["confidence"] >= within[0]) & (frame["confidence"] <= within[1])]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            predictions = controls.segmented(
                "Answers", "predictions", list(_ANSWERS), names=_ANSWERS.__getitem__, resets=("page",)
            )
            st.button(
                "Close", icon=":material/close:", on_click=url_state.write, args=({"within": None, "page": None},)
            )
        reported = f"**Confidence {percent(within[0], 0)} to {percent(within[1], 0)}**: {plural(len(rows), 'image')}"
        if len(rows):
            reported += (
                f", {percent(rows['correct'].mean())} right, mean confidence {percent(rows['confidence'].mean())}"
            )
        st.markdown(reported)
        if predictions != "all":
            rows = rows[rows["correct"] == (predictions == "correct")]
        rows = rows.sort_values("confidence", ascending=False, kind="stable")
        part = rows.iloc[controls.page("page", len(rows), _PER_PAGE)]
        title = f"Confidence {percent(within[0], 0)} to {percent(within[1], 0)}"
        image_tiles.image_grid(selection, part, key="bin", which=image_tiles.BOTH, size=72, overlay=None, title=title)


def _detection(selection: Selection) -> None:
    st.subheader("Which score knows a wrong prediction?", anchor=False)
    score = controls.select(
        "Beside the maximum softmax",
        "score",
        [name for name in _LABELS if name != REFERENCE],
        default="sharpness",
        names=_LABELS.__getitem__,
        resets=("accepted",),
    )
    parts, figures = [], []
    for name in (REFERENCE, score):
        curve = data.risk_coverage(selection.run, selection.epoch, selection.variant, name)
        parts.append(curve[["coverage", "risk"]].assign(score=_LABELS[name], key=name))
        figures.append({"Score": _LABELS[name], **curve.attrs})
    table = marked(pd.concat(parts, ignore_index=True))
    chosen = _accepted(table)
    left, right = st.columns([3, 2])
    with left:
        downloads.chart(
            acceptance_chart,
            table,
            chosen=chosen,
            key="risk-coverage",
            alt="wrong predictions among those accepted against the share accepted",
            on_point=lambda point: url_state.write(
                {"accepted": f"{point['key']}.{int(point['percent'])}", "accepted_page": None}
            ),
        )
    with right:
        names = {"auroc": "AUROC", "fpr95": "FPR95", "aurc": "AURC", "e_aurc": "E-AURC", "augrc": "AUGRC"}
        wide = pd.DataFrame(figures).set_index("Score")[list(names)].rename(columns=names).T
        st.dataframe(
            wide,
            column_config={label: st.column_config.NumberColumn(format="%.3f") for label in wide.columns},
            alt="failure detection figures of both scores",
        )
        st.caption(
            "AUROC: the chance that a correct prediction scores higher than a wrong one (0.5 is a coin). The others are "
            "areas under risk curves and the false acceptances at 95 % accepted correct predictions: less is better. All "
            "images, the chosen epoch and variant; nothing is fitted. A point shows its wrong predictions."
        )
    if chosen is not None:
        _accepted_errors(selection, *chosen)


def _accepted(table: pd.DataFrame) -> tuple[str, int] | None:
    """The chosen point of a curve, written 'sharpness.40' in the link: the score and the share accepted."""
    points = [f"{row.key}.{row.percent}" for row in table[table["percent"] > 0].itertuples()]
    name, _, share = url_state.choice("accepted", points, "").rpartition(".")
    return (name, int(share)) if name else None


def _accepted_errors(selection: Selection, score: str, share: int) -> None:
    """The mistakes that a point of the curve lets through."""
    rows = queries.accepted_errors(
        selection.run, epoch=selection.epoch, variant=selection.variant, score=score, coverage=share / 100
    )
    with st.container(border=True):
        st.markdown(
            f"**{_LABELS[score]}, {share} % accepted**: {count(len(rows))} wrong predictions among "
            f"{count(round(share / 100 * len(selection.run.labels)))}; the most trusted first"
        )
        if not rows.empty:
            part = rows.iloc[controls.page("accepted_page", len(rows), _PER_PAGE)]
            title = f"Wrongly accepted by {_LABELS[score].lower()}, {share} % accepted"
            image_tiles.image_grid(
                selection, part, key="accepted", which=image_tiles.BOTH, size=72, overlay=None, title=title
            )
        _close("accepted", "accepted_page")


def _close(*names: str) -> None:
    """A button that forgets what was chosen."""
    st.button(
        "Close",
        icon=":material/close:",
        key=f"close-{names[0]}",
        on_click=url_state.write,
        args=(dict.fromkeys(names),),
    )


def _failure_ranking(selection: Selection) -> None:
    st.subheader("The failure-detection ranking: softmax, maps, and the record", anchor=False)
    table = data.analysis_table(selection.run, "failure_ranking")
    if table is None:
        needs_analysis(selection)
        return
    downloads.chart(
        failure_ranking_chart,
        table,
        key="failure_ranking",
        alt="AUROC of every score with its interval",
    )
    st.caption(
        f"Last epoch, clean, {int(table['images'].iloc[0])} images with {int(table['errors'].iloc[0])} wrong "
        "predictions: the "
        "half of each class on which nothing was fitted. Intervals: 95 %, paired bootstrap."
    )


def _places(selection: Selection) -> None:
    st.subheader("Pattern or place?", anchor=False)
    table = data.analysis_table(selection.run, "localisation")
    if table is None or table.empty:
        needs_analysis(selection)
        return
    st.markdown(_LOCALISATION[data.localisation(selection.run)])
    shown = table.assign(quantity=[_QUANTITIES.get(name, name) for name in table["quantity"]])
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "quantity": st.column_config.TextColumn("Last epoch, clean, map of the true class", width="large"),
            "value": st.column_config.NumberColumn("Mean", format="%.3f"),
            "low": st.column_config.NumberColumn("95 % from", format="%.3f"),
            "high": st.column_config.NumberColumn("to", format="%.3f"),
        },
        alt="how much the maps are places in the image",
    )


main()
