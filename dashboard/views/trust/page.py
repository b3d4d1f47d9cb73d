"""Trust: calibration, failure detection, and whether the maps locate the object."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.charts.histogram import value_bins, value_histogram
from dashboard.shared import downloads, image_tiles
from dashboard.shared.image_grid import image_grid
from dashboard.shared.notices import needs_analysis
from dashboard.shared.tables import plain_table
from dashboard.shared.theme import count, decimal, escape_markdown, plural
from dashboard.shell import controls, url_state
from dashboard.shell.url_state import Selection
from dashboard.views.trust import parts
from dashboard.views.trust.charts import (
    acceptance_chart,
    failure_ranking_chart,
    reliability_diagram,
    with_percent_marks,
)
from store import queries
from store.analysis.confidence_scores import COLUMN_SCORES, FAMILIES, LABELS, REFERENCE
from store.rates import percent, rate

_QUANTITIES = {
    "within_class": "Cosine similarity of the maps of two images of one class",
    "between_classes": "Cosine similarity of the maps of two images of different classes",
    "class_gap": "The first minus the second: how clearly the maps show the class",
    "evidence_on_object": "Share of the map inside the object",
    "object_area": "Share of the image that the object covers",
    "evidence_on_others": "Share of the map inside the object of another image",
    "peak_on_object": "Share of the strongest cell inside the object",
    "object_following": "How far the maps follow the object (1: as far as a map of its shape)",
    "shift_following": "How far the maps move with a shifted image (1: as far as the image)",
}
_ECE = "expected calibration error: mean gap between confidence and accuracy; with few images above 0 by chance alone"
_EVERYTHING = (0.0, 1.0)
_LOCALISATION = {
    "neither": "**The maps of this run do not follow the object, and are hardly more similar within a class than "
    "across classes.** Pages show them beside images.",
    "encodes": "**The maps of this run encode the class and do not locate the object.** Pages show them beside images.",
    "locates": "**The maps of this run follow the object.** Pages show them over the image.",
    "unknown": "What was recorded does not show whether the maps of this run locate the object.",
}


def main() -> None:
    """Draw the page from top to bottom."""
    selection = url_state.current_selection()
    if not data.is_degenerate(*selection.key):
        _calibration(selection)
        parts.recalibration(selection)
        _detection(selection)
        if selection.run.has_maps and not selection.run.kept_maps:
            parts.removal(selection)
    if data.ends_degenerate(selection.run):
        return
    _failure_ranking(selection)
    if selection.run.has_maps:
        _localisation(selection)


def _calibration(selection: Selection) -> None:
    st.subheader("Calibration: is a confidence of 0.8 correct 80 % of the time?", anchor=False)
    edges = controls.segmented("Bins", "bins", {"width": "equal width", "mass": "equal count"})
    chosen = selection.class_index
    table = data.calibration(*selection.key, edges=edges, label=chosen)
    frame = data.predictions(*selection.key)
    if chosen is not None:
        frame = frame[frame["label"] == chosen]
    chosen_range = url_state.value_range("confidence", _EVERYTHING)
    left, right = st.columns(2)
    with left:
        downloads.chart(
            reliability_diagram,
            table,
            key="reliability",
            alt="accuracy against confidence",
            on_point=lambda point: _show_range(point["lower"], point["upper"]),
        )
    with right:
        with st.grid(3, min_column_width=110):
            for label, value, meaning in _figures(table):
                st.metric(label, value, border=True, help=meaning, height="stretch")
        bins = value_bins(frame["confidence"].to_numpy(), frame["correct"].to_numpy(), limits=_EVERYTHING, bins=20)
        downloads.chart(
            value_histogram,
            bins,
            title="confidence: P of the prediction",
            chosen=chosen_range,
            height=235,
            key="confidence-histogram",
            alt="correct and wrong predictions by confidence",
            on_range=lambda low, high: _show_range(max(0.0, low), min(1.0, high)),
        )
    st.caption(
        f"{plural(len(frame), 'image')}{_of(selection)}. Bars are 95 % Wilson intervals. Click a point, or drag "
        "over the histogram, to see the images."
    )
    if chosen_range != _EVERYTHING:
        _images_in_range(selection, frame, chosen_range)


def _of(selection: Selection) -> str:
    """Whose images the calibration counts."""
    if selection.class_index is None:
        return ""
    name = escape_markdown(data.class_names(selection.run)[selection.class_index])
    return f" of {name}; the sections below count every class"


def _figures(table: pd.DataFrame) -> tuple[tuple[str, str, str], ...]:
    return (
        ("ECE", percent(table.attrs["ece"]), _ECE),
        ("Largest gap", percent(table.attrs["mce"]), "maximum calibration error: the largest gap of a bin"),
        (
            "NLL",
            f"{table.attrs['nll']:.3f}",
            "negative log-likelihood of the true class, nats per image, before quantisation",
        ),
    )


def _show_range(low: float, high: float) -> None:
    url_state.write({"confidence": f"{low:.4f}-{high:.4f}", "page": None})


def _images_in_range(selection: Selection, frame: pd.DataFrame, ends: tuple[float, float]) -> None:
    """The images whose confidence lies in a range."""
    rows = frame[frame["confidence"].between(*ends)]
    title = f"Confidence {percent(ends[0], 0)} to {percent(ends[1], 0)}"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            correctness = image_tiles.choose_correctness(resets=("page",))
            _close_button("confidence", "page")
        text = f"**{title}**: {plural(len(rows), 'image')}"
        if len(rows):
            text += f", {rate(rows['correct'].mean(), len(rows))} correct"
            text += f", mean confidence {percent(rows['confidence'].mean())}"
        st.markdown(text)
        rows = image_tiles.with_correctness(rows, correctness).sort_values("confidence", ascending=False, kind="stable")
        _mistake_grid(selection, rows, key="range", title=title, page="page")


def _mistake_grid(selection: Selection, rows: pd.DataFrame, *, key: str, title: str, page: str) -> None:
    image_grid(selection, rows, key=key, which=image_tiles.BOTH, size=72, overlay=False, title=title, page=page)


def _detection(selection: Selection) -> None:
    st.subheader("Which confidence score detects errors?", anchor=False)
    known = [score for score in COLUMN_SCORES if selection.run.has_maps or score.kind not in FAMILIES]
    scores = {score.name: score.label for score in known if score.name != REFERENCE}
    default = "sharpness" if selection.run.has_maps else next(iter(scores))
    score = controls.select("Compare the maximum softmax with", "score", scores, default=default, resets=("accepted",))
    parts, figures = [], []
    for name in (REFERENCE, score):
        curve = data.risk_coverage(*selection.key, score=name)
        parts.append(curve[["coverage", "risk"]].assign(score=LABELS[name], key=name))
        figures.append({"Score": LABELS[name], **curve.attrs})
    table = with_percent_marks(pd.concat(parts, ignore_index=True))
    chosen = _chosen_point(table)
    left, right = st.columns([3, 2])
    with left:
        downloads.chart(
            acceptance_chart,
            table,
            chosen=chosen,
            key="risk-coverage",
            alt="risk against coverage of both scores",
            on_point=lambda point: url_state.write(
                {"accepted": f"{point['key']}.{int(point['percent'])}", "accepted_page": None}
            ),
        )
    with right:
        names = {"auroc": "AUROC", "fpr95": "FPR95", "aurc": "AURC", "e_aurc": "E-AURC", "augrc": "AUGRC"}
        # A column per score, so that both values of a figure stand side by side.
        wide = pd.DataFrame(figures).set_index("Score")[list(names)].rename(columns=names).T
        plain_table(
            wide,
            column_config={label: st.column_config.NumberColumn(format="%.3f") for label in wide.columns},
            alt="failure detection figures of both scores",
            hide_index=False,
        )
        st.caption(
            "AUROC: the probability that a correct prediction scores higher than a wrong one (0.5 is chance). FPR95: "
            "the share of wrong predictions accepted when 95 % of the correct ones are. AURC, E-AURC, AUGRC: areas "
            "under risk curves (see About). Except for AUROC, lower is better. All images at the chosen epoch and "
            "variant; no score is fitted. Click a point to see the wrong predictions among those accepted."
        )
    if chosen is not None:
        _accepted_errors(selection, *chosen)


def _chosen_point(table: pd.DataFrame) -> tuple[str, int] | None:
    """The chosen point of a curve, 'sharpness.40' in the link: the score and the percentage accepted."""
    points = [f"{row.key}.{row.percent}" for row in table[table["percent"] > 0].itertuples()]
    name, _, share = url_state.choice("accepted", points, "").rpartition(".")
    return (name, int(share)) if name else None


def _accepted_errors(selection: Selection, score: str, share: int) -> None:
    """The wrong predictions that a point of the curve accepts."""
    rows = queries.accepted_errors(
        selection.run, epoch=selection.epoch, variant=selection.variant, score=score, coverage=share / 100
    )
    with st.container(border=True):
        st.markdown(
            f"**{LABELS[score]}, {share} % accepted**: {count(len(rows))} wrong predictions among "
            f"{count(round(share / 100 * len(selection.run.labels)))}, the highest scores first"
        )
        if not rows.empty:
            title = f"Wrong predictions accepted by {LABELS[score].lower()}, {share} % accepted"
            _mistake_grid(selection, rows, key="accepted", title=title, page="accepted_page")
        _close_button("accepted", "accepted_page")


def _close_button(*names: str) -> None:
    """A button that removes parameters from the URL."""
    controls.write_button("Close", dict.fromkeys(names), icon=":material/close:", key=f"close-{names[0]}")


def _failure_ranking(selection: Selection) -> None:
    st.subheader("Failure-detection ranking of all confidence scores", anchor=False)
    table = data.analysis_table(selection.run, "failure_ranking")
    if table is None:
        needs_analysis(selection)
        return
    downloads.chart(
        failure_ranking_chart, table, key="failure-ranking", alt="AUROC of every confidence score with its interval"
    )
    st.caption(
        "AUROC: the probability that a correct prediction scores higher than a wrong one. Last epoch, clean, "
        f"{count(int(table['images'].iloc[0]))} images with {count(int(table['errors'].iloc[0]))} wrong predictions: "
        "the half of each class on which no score was fitted. Intervals: 95 % over images, bootstrap, of each score by "
        "itself; Findings tests whether the maps' best differs from the softmax."
    )


def _localisation(selection: Selection) -> None:
    st.subheader("Localisation: do the maps locate the object?", anchor=False)
    table = data.analysis_table(selection.run, "localisation")
    if table is None or table.empty:
        needs_analysis(selection)
        return
    st.markdown(_LOCALISATION[data.localisation(selection.run)])
    figures = {"value": "Mean", "low": "95 % from", "high": "to"}
    shown = pd.DataFrame(
        {
            "Measure (last epoch, clean, map of the true class)": table["quantity"].map(
                lambda of: _QUANTITIES.get(of, of)
            )
        }
        | {title: table[name].map(lambda value: decimal(value, 3)) for name, title in figures.items()}
    )
    # Not a data frame: on a phone its first column would hide the figures.
    st.table(shown, hide_index=True, alt="measures of localisation")


main()
