"""Refresh the figures of docs/findings.md: `python -m bench findings RUN [RUN ...]`

Each run is analysed (unless --keep), its figures are computed from the record, and the document's blocks between
`<!-- figures: NAME -->` and `<!-- end -->` are replaced, all of them or `--only` some; the prose between them stays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import document, findings_maps
from bench.findings_table import AnalysedRun, Rows, figure, figures_table, read_analysed, share
from store.analysis import Finding, from_table
from store.analysis.confidence_scores import FAMILIES
from store.metrics import robustness
from store.metrics.intervals import mean_interval
from store.metrics.learning import HISTORIES, NEVER
from store.metrics.significance import widest_difference


@dataclass(frozen=True)
class Section:
    """Markdown of a section's figures for some runs, and the module whose equation they follow."""

    figures: Callable[[Sequence[AnalysedRun]], str]
    source: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the document; 1 if it has no block for some figures."""
    parser = document.parser("findings", __doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of recorded runs")
    parser.add_argument("--keep", action="store_true", help="take the analyses as they are")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="BLOCK", help="leave the other blocks")
    parser.add_argument("--output", type=Path, default=document.ROOT / "docs" / "findings.md")
    options = parser.parse_args(arguments)
    analysed = [read_analysed(path, keep=options.keep) for path in options.runs]
    command = f"python -m bench findings {' '.join(each.name for each in analysed)}"
    command += f" --only {' '.join(options.only)}" if options.only else ""
    blocks = {}
    for name in options.only or SECTIONS:
        print(f"Computing: {name}", file=sys.stderr, flush=True)
        blocks[name] = f"\n{SECTIONS[name].figures(analysed)}\n\n{SECTIONS[name].source} · `{command}`\n"
    blocks["runs" if "runs" in blocks else options.only[-1]] += f"\n{document.now()}, {document.machine()}.\n"
    try:
        document.refresh(options.output, blocks)
    except ValueError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


def runs(analysed: AnalysedRun) -> Rows:
    """A description of each run, and the cost of its analysis."""
    run, metrics = analysed.run, analysed.run.metrics()
    rows = {
        "images": analysed.setting("data", "source"),
        "model": analysed.setting("model", "name"),
        "validation images, classes, variants": f"{len(run.labels)}, {len(run.classes)}, {len(run.variants)}",
        "epochs": str(len(run.epochs)),
    }
    for variant in run.variants:
        correct = analysed.predictions(variant) == run.labels
        rows[f"top-1, {variant}"] = share(correct.sum(), len(correct))
    recording = float(metrics["record_seconds"].sum()) if "record_seconds" in metrics else float("nan")
    if np.isfinite(recording):
        rows["recording, seconds by the clock"] = f"{recording:.0f}"
        if np.isfinite(analysed.seconds):
            part = 100 * analysed.seconds / recording
            rows["analysis, processor seconds"] = f"{analysed.seconds:.1f} ({part:.1f} % of the recording)"
    return rows


def short(analysed: Sequence[AnalysedRun]) -> str:
    """The answers to the main questions, in a sentence each."""
    lines = []
    for each in analysed:
        sentences = [*each.sentences("failure_ranking", "localisation"), _ensembles(each), _corrections(each)]
        lines += [f"**{each.name}**", "", *(f"- {sentence}" for sentence in sentences), ""]
    return "\n".join(lines).strip()


def _ensembles(analysed: AnalysedRun) -> str:
    ensembles = analysed.analysis.table("ensembles").iloc[1:]
    if ensembles.empty:
        return "One epoch and one variant make no ensemble."
    best = ensembles.loc[ensembles["gain"].idxmax()]
    # Picked as the best of several: the interval holds for all of them jointly.
    wider = NormalDist().inv_cdf(1 - 0.025 / len(ensembles)) / NormalDist().inv_cdf(0.975)
    low, high = (best["gain"] + wider * (best[edge] - best["gain"]) for edge in ("gain_low", "gain_high"))
    effect = "gains" if low > 0 else "loses" if high < 0 else "is not shown to change"
    points = figure(100 * best["gain"], 100 * low, 100 * high, 1)
    return f"The best ensemble of recorded predictions ({best['label'].lower()}) {effect} accuracy: {points} points."


def _corrections(analysed: AnalysedRun) -> str:
    wrong = analysed.predictions() != analysed.run.labels
    if not wrong.any():
        return "No prediction is wrong at the last epoch."
    cells = np.median(analysed.run.column("correction_cells", **analysed.last)[wrong])
    size = np.prod(analysed.run.map_shape)
    return f"Half of the wrong predictions are corrected by removing {cells:.0f} of {size} cells or fewer."


def failure_ranking(analysed: Sequence[AnalysedRun]) -> str:
    """The sentence of each run, then the failure-detection ranking: AUROC and gain over the maximum softmax."""
    lines = []
    for each in analysed:
        best = _best_map_score(each)
        holds = "holds" if best["gain_low"] > 0 else "does not hold" if best["gain_high"] < 0 else "stays open"
        lines += [f"- **{each.name}**: The guess {holds}. {text}" for text in each.sentences("failure_ranking")]

    def auroc(analysed: AnalysedRun) -> Rows:
        ranking = analysed.analysis.table("failure_ranking").dropna(subset=["auroc"])  # all correct, or all wrong
        return {
            row.label: f"{row.auroc:.3f}, gain {figure(row.gain, row.gain_low, row.gain_high)}"
            if row.score != "max_softmax"
            else figure(row.auroc, row.auroc_low, row.auroc_high)
            for row in ranking.itertuples()
        }

    tables = (figures_table(analysed, auroc), figures_table(analysed, _other_metrics))
    return "\n\n".join(["\n".join(lines), *tables])


def _best_map_score(analysed: AnalysedRun) -> pd.Series:
    ranking = analysed.analysis.table("failure_ranking")
    return ranking[ranking["kind"].isin(FAMILIES)].iloc[0]


def _other_metrics(analysed: AnalysedRun) -> Rows:
    """Every metric of the reference, of the fitted combination and of the best map score."""
    ranking, best, rows = analysed.analysis.table("failure_ranking"), _best_map_score(analysed)["score"], {}
    for score, label in (("max_softmax", "maximum softmax"), ("combination", "combination"), (best, "best map score")):
        row = ranking[ranking["score"] == score].iloc[0]
        for name in ("fpr95", "aurc", "e_aurc", "augrc"):
            value = figure(row[name], row[f"{name}_low"], row[f"{name}_high"])
            rows[f"{label}, {name.upper().replace('_', '-')}"] = value
    return rows


def learning(analysed: AnalysedRun) -> Rows:
    """When maps formed and predictions stabilised, and what was forgotten."""
    images, classes = (analysed.analysis.table(name) for name in ("images", "classes"))
    first = analysed.run.epochs[0]
    lead = images["map_lead"][images["formation"] != NEVER]  # a map that ends silent never forms, so it leads nothing
    rows = {
        "class patterns in their final form from the first epoch on": share(
            (classes["formation"] == first).sum(), len(classes)
        ),
        "true-class maps in their final form from the first epoch on": share(
            (images["formation"] == first).sum(), len(images)
        ),
        "epochs by which the map forms before the prediction stabilises": figure(*mean_interval(lead), 2),
        "map first, where the two differ": share(int((lead > 0).sum()), int((lead != 0).sum())),
        "times forgotten, per image": figure(*mean_interval(images["forgetting_count"]), 2),
    }
    rows |= {name: share((images["history"] == name).sum(), len(images)) for name in HISTORIES}
    forgotten = images["history"] == "forgotten"
    wrong = analysed.predictions() != analysed.run.labels
    rows["correct before, among those wrong at the end"] = share(forgotten.sum(), wrong.sum())
    return rows | _first_and_last(analysed, images["formation"].to_numpy())


def _first_and_last(analysed: AnalysedRun, formation: NDArray[np.int64]) -> dict[str, str]:
    """The classes whose maps form first and last, and whether that could be chance."""
    known, labels = formation != NEVER, analysed.run.labels
    if len(np.unique(labels[known])) < 2:
        return {}
    widest = widest_difference(formation[known], labels[known])
    names = analysed.run.classes["name"]
    apart = f"{figure(widest.value, widest.low, widest.high, 1)} epochs, p = {widest.p:.3f}"
    label = "first and last class to form, means apart"
    return {label: f"“{names[widest.lowest]}”, “{names[widest.highest]}”: {apart}"}


def persistent_errors(analysed: AnalysedRun) -> Rows:
    """Persistent wrong predictions and candidates for wrong labels."""
    images, run = analysed.analysis.table("images"), analysed.run
    worst, names = images.loc[images["persistence"].idxmax()], run.classes["name"]
    image, half = int(worst["image"]), max(2, (len(run.epochs) + 1) // 2)
    candidates = share(images["label_issue"].sum(), len(images))
    candidates += " – known: no label is wrong" if analysed.is_phantom else ""
    return {
        "the same wrong prediction for half of the epochs or more": share(
            (images["error_run"] >= half).sum(), (images["error_run"] > 0).sum()
        ),
        "most persistent": f"image {image}, “{names[run.labels[image]]}” predicted as "
        f"“{names[int(analysed.predictions()[image])]}” for {int(worst['error_run'])} epochs, mean confidence "
        f"{worst['error_run_confidence']:.2f}, {100 * worst['agreement']:.0f} % of the variants agree",
        "candidates for wrong labels": candidates,
    }


def evidence(analysed: AnalysedRun) -> Rows:
    """What each perturbation does to predictions and maps."""
    run, rows, clean = analysed.run, {}, analysed.predictions()
    for variant in run.variants[1:]:
        prediction = analysed.predictions(variant)
        cosine = run.column("consistency", epoch=run.epochs[-1], variant=variant).astype(np.float64)
        same, before, after = clean == prediction, clean == run.labels, prediction == run.labels
        rows[f"{variant}: prediction changes"] = share((~same).sum(), len(same))
        if same.sum() > 1:
            rows[f"{variant}: consistency where it stays"] = figure(*mean_interval(cosine[same]))
        if (~same).sum() > 1:
            rows[f"{variant}: responsiveness where it changes"] = figure(*mean_interval(1 - cosine[~same]))
        different = robustness.different_reason(before, after, cosine)
        rows[f"{variant}: correct for a different reason"] = share(different.sum(), (before & after).sum())
    return rows


def checkpoint_selection(analysed: AnalysedRun) -> Rows:
    """The best epoch by each criterion, and what ensembles gain."""
    best, ensembles = (analysed.analysis.table(name) for name in ("best_epochs", "ensembles"))
    rows = {
        f"best epoch: {row.criterion.lower()}": f"{row.epoch} ({row.value:.3f}; last: {row.last_value:.3f}"
        + (")" if np.isnan(row.selection_share) else f"; best in {100 * row.selection_share:.0f} % of resamples)")
        for row in best.itertuples()
    }
    for row in ensembles.iloc[1:].itertuples():
        gain = figure(100 * row.gain, 100 * row.gain_low, 100 * row.gain_high, 1)
        rows[f"{row.label[0].lower()}{row.label[1:]}: points of top-1"] = f"{gain}; NLL {row.nll:.2f}"
    return rows | {"last epoch alone: NLL": f"{ensembles['nll'].iloc[0]:.2f}"}


def page(analysed: Sequence[AnalysedRun]) -> str:
    """The findings of each run as its page lists them."""
    lines = []
    for each in analysed:
        lines += [f"**{each.name}**", ""]
        for number, finding in enumerate(from_table(each.analysis.table("findings")), start=1):
            test = f"p {'< 1e-99' if finding.p < 1e-99 else f'= {finding.p:.1g}'}, picked from {finding.comparisons}"
            test = "not tested" if np.isnan(finding.p) else test
            lines.append(f"{number}. {finding.text} *{_with_unit(finding)}; {test}.*")
        lines.append("")
    return "\n".join(lines).strip()


def _with_unit(finding: Finding) -> str:
    """A finding's figure with its interval: '62 % [58, 65]', '5.6 sd [4.9, 6.3]'; a count stands alone."""
    scale, digits, unit = {"share": (100, 1, " %"), "sd": (1, 1, " sd"), "epochs": (1, 1, " epochs")}.get(
        finding.unit, (1, 3, f" {finding.unit}")
    )
    value, low, high = (f"{scale * number:.{digits}f}" for number in (finding.value, finding.low, finding.high))
    return f"{value}{unit}" if finding.low == finding.high else f"{value}{unit} [{low}, {high}]"


def _tabled(rows: Callable[[AnalysedRun], Rows], source: str) -> Section:
    return Section(lambda analysed: figures_table(analysed, rows), source)


SECTIONS = {
    "short": Section(short, "As below"),
    "runs": _tabled(runs, "`store.analysis.analyse`"),
    "correction": _tabled(findings_maps.correction, "`store.metrics.correction`"),
    "failure_ranking": Section(
        failure_ranking, "`store.metrics.failure_detection`, `store.analysis.confidence_scores`"
    ),
    "learning": _tabled(learning, "`store.metrics.learning`"),
    "persistence": _tabled(persistent_errors, "`store.metrics.learning`"),
    "cues": _tabled(findings_maps.cues, "`store.metrics.robustness`"),
    "phantom": _tabled(findings_maps.phantom_siblings, "`compute.data.phantom`"),
    "evidence": _tabled(evidence, "`store.metrics.robustness`"),
    "confusion": _tabled(findings_maps.confusion, "`store.metrics.confusion`, `store.metrics.maps`"),
    "clusters": _tabled(findings_maps.clusters, "`store.metrics.clusters`"),
    "checkpoints": _tabled(checkpoint_selection, "`store.analysis.checkpoint_selection`"),
    "search": _tabled(findings_maps.search, "`store.queries.pattern_search`"),
    "localisation": Section(findings_maps.localisation, "`store.metrics.localisation`"),
    "page": Section(page, "`store.analysis.findings`"),
}
