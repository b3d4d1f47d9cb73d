"""A report: the essential views of a run in one HTML file, which needs neither a server nor a network."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from dashboard.charts.figure import Figure, render
from dashboard.images.maps import colour_map, colourise, map_colours, scale_maps
from dashboard.images.sheet import SheetTile, png_bytes, sheet
from dashboard.shared.run_facts import evidence_text, has_top5
from dashboard.shared.theme import LIGHT, epoch_list, one_line, plural, probability, rgb
from dashboard.views.overview.charts import accuracy_by_variant, training_curve, training_series
from dashboard.views.patterns.charts import pairs_and_means, similarity_chart, similarity_trend
from dashboard.views.trust.charts import failure_ranking_chart, reliability_diagram
from store import Run, StoreError, WriteFailed, queries
from store.analysis import Analysis, from_table, read_analysis
from store.metrics.confusion import pattern_similarity
from store.rates import percent, rate

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1B1F24; max-width: 1080px; margin: 32px auto; padding: 0 20px; }
h1 { font-size: 28px; margin-bottom: 4px; } h2 { font-size: 19px; margin-top: 36px; }
p.note { color: #5A626C; font-size: 13.5px; } img, svg { max-width: 100%; height: auto; }
.row { display: flex; flex-wrap: wrap; gap: 20px; } .row > * { flex: 1 1 420px; min-width: 0; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; white-space: nowrap; padding: 5px 12px; border-bottom: 1px solid #DDE1E6; }
@media (max-width: 640px) {
  .row > * { flex-basis: 100%; overflow-x: auto; }
  th, td { padding: 5px; } th { white-space: normal; }
}
"""
_COLOURS = "magma"
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Section:
    """A heading, HTML whose texts are escaped, and a note in plain text."""

    title: str
    body: str
    note: str = ""


def write_report(run: Run, path: Path, *, epoch: int | None = None) -> Path:
    """Write the report of a run and return its path.

    Args:
        run: an open run with at least one epoch.
        path: of the HTML file; an existing one is replaced.
        epoch: the epoch to report on, by default the last one.

    Raises:
        StoreError: the run has no epoch, not this one, or cannot be read.
        WriteFailed: the file cannot be written; an existing one stays as it is.
    """
    # Charts are SVG and maps PNG inside the file: a reader needs no network, and nothing of theirs is fetched.
    if not run.epochs:
        raise StoreError(f"{str(run.path)!r} has no epoch yet, so there is nothing to report. Record one first.")
    chosen = run.epochs[-1] if epoch is None else epoch
    document = page(run, chosen, sections(run, chosen))
    _write_atomically(path, document.encode())
    return path


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that it is complete or, as on a full disk, not there at all.

    Raises:
        WriteFailed: the file cannot be written; an existing one stays as it is.
    """
    try:
        # A pipe or a device cannot be replaced by a file.
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)
            return
        final = path.resolve()
        part = final.with_name(f".{final.name[:40]}.{os.getpid()}.part")
        part.unlink(missing_ok=True)  # of a process of this number that was killed
        with part.open("xb") as file:  # x: written through no link that somebody laid there
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                part.replace(final)
            finally:
                part.unlink(missing_ok=True)
    except (OSError, ValueError, RuntimeError) as err:  # for a zero byte in the name, and for links in a circle
        reason = getattr(err, "strerror", None) or err
        raise WriteFailed(
            f"The report cannot be written to {str(path)!r}: {reason}. Choose a file in a folder that exists, "
            "that you may write to and whose disk is not full, with -o."
        ) from err


def page(run: Run, epoch: int, parts: Iterable[Section]) -> str:
    """The whole document."""
    body = "".join(
        f"<section><h2>{escape(part.title)}</h2>{part.body}"
        + (f'<p class="note">{escape(part.note)}</p>' if part.note else "")
        + "</section>"
        for part in parts
    )
    name = escape(run.path.name)
    label = run.epoch_label(epoch)
    named = f"epoch {epoch} ({label})" if label else f"epoch {epoch}"
    summary = (
        f"{plural(len(run.classes), 'class', 'classes')}, {plural(len(run.labels), 'validation image')}, "
        f"{plural(len(run.variants), 'variant')}, {named} of {len(run.epochs)} recorded; run identity {run.id}"
        + (f"; damaged and missing here: epoch {', '.join(map(str, run.damaged))}" if run.damaged else "")
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Classprint: {name}</title>'
        # Texts are escaped; should one not be, the browser still loads and runs nothing.
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><h1>{name}</h1><p>{escape(summary)}</p><p>{escape(evidence_text(run))}</p>{body}</body></html>"
    )


def sections(run: Run, epoch: int) -> list[Section]:
    """The parts of the report, in order; of a network that is unfit to be described, only what does not describe it."""
    problems = queries.degeneracies(run, epoch=epoch, variant=run.variants[0])
    if problems:
        body = "".join(f"<p>{escape(problem.text)}</p>" for problem in problems)
        note = "Nothing about its patterns or predictions can be concluded from that."
        caution = Section("A network that is not fit to be described", body, note)
        return [caution, _training(run, epoch), _variants(run, epoch), _how_to_cite(run, epoch)]
    return [
        *_findings(run),
        _training(run, epoch),
        _variants(run, epoch),
        *([_patterns(run, epoch)] if run.has_maps else []),
        _failures(run, epoch),
        *([_confusion(run, epoch)] if len(run.classes) > 1 else []),
        *([_similarity(run, epoch)] if len(run.classes) > 1 and run.has_maps else []),
        _trust(run, epoch),
        _how_to_cite(run, epoch),
    ]


def _findings(run: Run) -> list[Section]:
    try:
        analysis = read_analysis(run)
        found = [] if analysis is None else from_table(analysis.table("findings"))
    except StoreError as error:  # derived: the report goes on without it, and says so
        return [Section("Findings", f"<p>{escape(str(error))}</p>")]
    if analysis is None:
        return []
    items = "".join(f"<li>{escape(finding.text)}</li>" for finding in found)
    note = "Claims are significant after correction for all comparisons; shares and means are measured."
    return [Section("Findings", f"<ol>{items}</ol>", note + _stale_note(run, analysis))]


def _stale_note(run: Run, analysis: Analysis) -> str:
    """A sentence where the analysis was made from other epochs than the run has now; empty where they are the same."""
    if not analysis.stale(run):
        return ""
    lost = sorted(set(analysis.epochs) - set(run.epochs))
    return (
        f" Derived from {epoch_list(analysis.epochs)}; "
        + (f"{epoch_list(lost)} can no longer be read" if lost else f"the run now has {epoch_list(run.epochs)}")
        + ". To update it, run the analysis again."
    )


def _training(run: Run, epoch: int) -> Section:
    series = training_series(queries.epoch_metrics(run))
    if not has_top5(run):
        series = series[series["part"] != "validation top-5"]
    drawn = (training_curve(series, quantity=quantity, epoch=epoch) for quantity in ("loss", "accuracy"))
    charts = "".join(_svg(chart, 380) for chart in drawn)
    return Section("Loss and accuracy", f'<div class="row">{charts}</div>', f"The rule marks epoch {epoch}.")


def _variants(run: Run, epoch: int) -> Section:
    figures = queries.accuracy_by_variant(run)
    table = figures[figures["epoch"] == epoch]
    rows = [
        (
            run.variant(row.variant).label,
            percent(row.top1),
            *([percent(row.top5)] if has_top5(run) else []),
            percent(row.mean_confidence),
            percent(row.flip_rate),
        )
        for row in table.itertuples()
    ]
    head = ("variant", "top-1", *(("top-5",) if has_top5(run) else ()), "mean confidence", "predictions flipped")
    labels = [one_line(run.variant(name).label) for name in table["variant"]]
    shown = table[["top1", "top5", "mean_confidence"]].assign(variant_label=labels)
    chart = _svg(accuracy_by_variant(shown, top5=has_top5(run)), 330)
    balanced = queries.balanced_accuracy(run, epoch=epoch, variant=run.variants[0])
    note = (
        f"Clean, the mean accuracy of the classes (balanced accuracy) is {percent(balanced)}; always predicting the "
        f"largest class would reach a top-1 of {percent(queries.majority_share(run))}."
    )
    return Section("Accuracy under perturbations", f'<div class="row">{chart}{_table(head, rows)}</div>', note)


def _patterns(run: Run, epoch: int) -> Section:
    clean = run.variants[0]
    order = queries.class_order(run, "group", epoch=epoch, variant=clean)
    scaled = scale_maps(run.patterns(epoch=epoch, variant=clean)[order], signed=run.signed)
    colours = map_colours(scaled, _COLOURS)
    table = run.class_table(epoch=epoch, variant=clean).iloc[order].rename(columns={"count": "images"})
    tiles = [
        SheetTile((colourise(code, colours),), (row.name, f"{rate(row.accuracy, row.images)} correct"))
        for code, row in zip(scaled.codes, table.itertuples(), strict=True)
    ]
    content = sheet(tiles, title=f"Epoch {epoch}, clean", size=72, columns=12, legends=[(colours, scaled.label)])
    groups = ", ".join(group for group in dict.fromkeys(run.classes["group"].iloc[order]) if group.strip())
    return Section(
        "Class patterns",
        _image(content, "the pattern of every class"),
        "The mean of the true-class maps of each class's images" + (f"; by group: {groups}." if groups else "."),
    )


def _failures(run: Run, epoch: int) -> Section:
    clean = run.variants[0]
    where = queries.FailureFilter(most_per_pair=1)
    rows = queries.failures(run, epoch=epoch, variant=clean, where=where).head(15)
    if rows.empty:
        return Section("Most confident wrong predictions", "<p>No prediction is wrong.</p>")
    images = [int(image) for image in rows["image"]]
    pixels = run.pixels(images, variant=clean)
    reads = (run.predicted_class_maps, run.true_class_maps)
    pair = np.stack([read(epoch=epoch, variant=clean, images=images) for read in reads], axis=1)
    scaled = scale_maps(pair, signed=run.signed)
    colours = map_colours(scaled, _COLOURS)
    maps = colourise(scaled.codes, colours)
    tiles = [
        SheetTile(
            (pixels, *(both if run.has_maps else ())),
            (f"✗ {row.predicted_class}", f"P {probability(row.confidence)} · true class {row.true_class}"),
            rgb(LIGHT.wrong),
        )
        for pixels, both, row in zip(pixels, maps, rows.itertuples(), strict=True)
    ]
    content = sheet(tiles, title=f"Epoch {epoch}, clean", size=72, columns=4, legends=[(colours, scaled.label)])
    return Section(
        "Most confident wrong predictions",
        _image(content, "wrong predictions with their maps"),
        ("Image, map of the predicted class, map of the true class; at" if run.has_maps else "At")
        + " most one for each pair of classes.",
    )


def _confusion(run: Run, epoch: int) -> Section:
    clean = run.variants[0]
    order = queries.class_order(run, "group", epoch=epoch, variant=clean)
    counts = run.confusion(epoch=epoch, variant=clean)[np.ix_(order, order)]
    share = np.log1p(counts) / np.log1p(max(1, counts.max()))
    codes = np.where(counts > 0, 255 - (90 + np.round(165 * share)), 255).astype(np.uint8)
    image = np.where((counts > 0)[..., None], colour_map(_COLOURS)[codes], np.uint8(245)).astype(np.uint8)
    side = max(1, 760 // len(counts))
    large = np.asarray(Image.fromarray(image).resize((len(counts) * side,) * 2, Image.Resampling.NEAREST))
    pairs = queries.confused_pairs(run, epoch=epoch, variant=clean, k=15)
    rows = [
        (row.true_class, row.predicted_class, rate(row.share, round(row.count_ / row.share)))
        for row in pairs.rename(columns={"count": "count_"}).itertuples()
    ]
    head = ("true class", "predicted as", "of the class's images")
    body = _image(png_bytes(large), "confusion matrix") + _table(head, rows)
    return Section(
        "Confusion matrix",
        f'<div class="row">{body}</div>',
        "Rows: true class. Columns: predicted class. Both by group; logarithmic colours.",
    )


def _similarity(run: Run, epoch: int) -> Section:
    table = queries.similarity_against_confusion(run, epoch=epoch, k=800)
    correlation = table.attrs.get("spearman", float("nan"))
    known = np.isfinite(correlation)
    note = f"Rank correlation over all {table.attrs['pairs']} pairs: {correlation:.2f}." if known else ""
    patterns, counts = (read(epoch=epoch, variant=run.variants[0]) for read in (run.patterns, run.confusion))
    chart = similarity_chart(pairs_and_means(table, similarity_trend(pattern_similarity(patterns), counts)))
    return Section("Are classes with similar patterns confused?", _svg(chart, 640), note)


def _trust(run: Run, epoch: int) -> Section:
    bins = queries.calibration_table(run, epoch=epoch)
    body, stale = _svg(reliability_diagram(bins), 400), ""
    with suppress(StoreError):  # said under Findings
        analysis = read_analysis(run)
        if analysis is not None:
            body += _svg(failure_ranking_chart(analysis.table("failure_ranking")), 360)
            stale = _stale_note(run, analysis)
    note = f"ECE {percent(bins.attrs['ece'])}, NLL {bins.attrs['nll']:.3f}.{stale}"
    return Section("Calibration and failure detection", f'<div class="row">{body}</div>', note)


def _how_to_cite(run: Run, epoch: int) -> Section:
    paper = (
        "X. Zhang, Visualization of encoder-decoder structure of Deep Convolutional Neural Network, University of "
        "California, Santa Cruz, 2019."
    )
    citation = f"Classprint, run {run.path.name} ({run.id}), epoch {epoch}. The network and the questions: {paper}"
    return Section("How to cite", f"<p>{escape(citation)}</p>")


def _svg(chart: Figure, width: int) -> str:
    return f"<div>{render(chart, 'svg', width=width).decode()}</div>"


def _image(content: bytes, alt: str) -> str:
    """PNG bytes as an element."""
    return f'<div><img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(content).decode()}"></div>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>" for row in rows)
    return f"<div><table><tr>{cells}</tr>{lines}</table></div>"
