"""The sections of docs/findings.md: what each works out from a run, and where its figures come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import findings_maps as of_maps
from bench.findings import Rows, Subject, figure, share, table
from bench.findings_phantom import known_answers
from store.analysis import Finding, from_table
from store.metrics import robustness
from store.metrics.intervals import mean_interval
from store.metrics.learning import HISTORIES
from store.metrics.permutation import widest_difference


@dataclass(frozen=True)
class Section:
    """Markdown of a section's figures for some runs, and the function whose equation they follow."""

    figures: Callable[[Sequence[Subject]], str]
    source: str


def _tabled(rows: Callable[[Subject], Rows], source: str) -> Section:
    return Section(lambda subjects: table(subjects, rows), source)


def reported(subject: Subject, *kinds: str) -> list[str]:
    """Texts of the run's findings of these kinds."""
    return [entry.text for entry in from_table(subject.analysis.table("findings")) if entry.kind in kinds]


def runs(subject: Subject) -> Rows:
    """What each run is, and what its analysis cost."""
    run, metrics = subject.run, subject.run.metrics()
    recording = float(metrics["record_seconds"].sum()) if "record_seconds" in metrics else float("nan")
    rows = {
        "images": subject.setting("data", "source"),
        "model": subject.setting("model", "name"),
        "validation images, classes, variants": f"{len(run.labels)}, {len(run.classes)}, {len(run.variants)}",
        "epochs": str(len(run.epochs)),
    }
    for variant in run.variants:
        right = run.column("prediction", epoch=subject.last, variant=variant) == run.labels
        rows[f"top-1, {variant}"] = share(right.sum(), len(right))
    if np.isfinite(recording):
        rows["recording, seconds by the clock"] = f"{recording:.0f}"
        if np.isfinite(subject.seconds):
            part = 100 * subject.seconds / recording
            rows["analysis, processor seconds"] = f"{subject.seconds:.1f} ({part:.1f} % of the recording)"
    return rows


def short(subjects: Sequence[Subject]) -> str:
    """The predictions to the questions that matter most, in a sentence each."""
    lines = []
    for subject in subjects:
        found = [
            *reported(subject, "failure_ranking", "place"),
            _ensemble_sentence(subject),
            _mistake_sentence(subject),
        ]
        lines += [f"**{subject.run.path.name}**", "", *(f"- {sentence}" for sentence in found), ""]
    return "\n".join(lines).strip()


def _ensemble_sentence(subject: Subject) -> str:
    table_of = subject.analysis.table("ensembles").iloc[1:]
    if table_of.empty:
        return "One epoch and one variant make no ensemble."
    best = table_of.loc[table_of["gain"].idxmax()]
    # Picked as the best of several: the interval holds for all of them jointly.
    wider = NormalDist().inv_cdf(1 - 0.025 / len(table_of)) / NormalDist().inv_cdf(0.975)
    low, high = (best["gain"] + wider * (best[edge] - best["gain"]) for edge in ("gain_low", "gain_high"))
    does = "gains" if low > 0 else "loses" if high < 0 else "is not shown to change"
    points = figure(100 * best["gain"], 100 * low, 100 * high, 1)
    return f"The best ensemble of recorded predictions ({best['label'].lower()}) {does} accuracy: {points} points."


def _mistake_sentence(subject: Subject) -> str:
    at: dict[str, Any] = {"epoch": subject.last, "variant": subject.clean}
    wrong = subject.run.column("prediction", **at) != subject.run.labels
    cells = subject.run.column("correction_cells", **at)[wrong]
    if not len(cells):
        return "Nothing is wrong at the last epoch."
    return (
        f"Half of the mistakes are undone by {np.median(cells):.0f} of {np.prod(subject.run.map_shape)} cells or fewer."
    )


def failure_ranking(subjects: Sequence[Subject]) -> str:
    """The verdict of each run, then the failure-detection ranking: AUROC and gain over the maximum softmax."""
    lines = [
        f"- **{subject.run.path.name}**: {_guess(subject)} {text}"
        for subject in subjects
        for text in reported(subject, "failure_ranking")
    ]

    def rows(subject: Subject) -> Rows:
        found = subject.analysis.table("failure_ranking").dropna(subset=["auroc"])  # all are right, or all wrong
        return {
            row.label: f"{row.auroc:.3f}, gain {figure(row.gain, row.gain_low, row.gain_high)}"
            if row.score != "max_softmax"
            else f"{figure(row.auroc, row.auroc_low, row.auroc_high)}"
            for row in found.itertuples()
        }

    return "\n".join([*lines, "", table(subjects, rows), "", table(subjects, _all_figures)])


def _guess(subject: Subject) -> str:
    """Whether the paper's guess holds on the run: by the best map score's gain over the maximum softmax."""
    found = subject.analysis.table("failure_ranking")
    best = found[found["kind"] == "map"].iloc[0]
    holds = "holds" if best["gain_low"] > 0 else "does not hold" if best["gain_high"] < 0 else "stays open"
    return f"The guess {holds}."


def _all_figures(subject: Subject) -> Rows:
    """Every figure of the reference, of the combination and of the best map score."""
    found = subject.analysis.table("failure_ranking")
    best = found[found["kind"] == "map"].iloc[0]["score"]
    rows = {}
    for score, label in (("max_softmax", "maximum softmax"), ("combination", "combination"), (best, "best map score")):
        row = found[found["score"] == score].iloc[0]
        for name in ("fpr95", "aurc", "e_aurc", "augrc"):
            written = figure(row[name], row[f"{name}_low"], row[f"{name}_high"])
            rows[f"{label}, {name.upper().replace('_', '-')}"] = written
    return rows


def learning(subject: Subject) -> Rows:
    """When maps formed and predictions settled, what was forgotten."""
    images, classes = (subject.analysis.table(name) for name in ("images", "classes"))
    first = subject.run.epochs[0]
    lead = images["map_lead"][images["formation"] > 0]  # a map that ends silent never forms, so nothing leads
    ahead, differing = int((lead > 0).sum()), int((lead != 0).sum())
    rows = {
        "class patterns in their final form from the first epoch on": share(
            (classes["formation"] == first).sum(), len(classes)
        ),
        "own maps in their final form from the first epoch on": share(
            (images["formation"] == first).sum(), len(images)
        ),
        "lead of the map over the prediction, epochs": figure(*mean_interval(lead), 2),
        "map first, where the two differ": share(ahead, differing),
        "times forgotten, per image": figure(*mean_interval(images["forgetting_count"]), 2),
    }
    rows |= {name: share((images["history"] == name).sum(), len(images)) for name in HISTORIES}
    wrong = images["history"].isin(["forgotten", "never correct"]).sum()
    rows["right before, among those wrong at the end"] = share((images["history"] == "forgotten").sum(), wrong)
    return rows | _first_and_last(subject, images["formation"].to_numpy())


def _first_and_last(subject: Subject, formation: NDArray[np.int64]) -> dict[str, str]:
    """The classes whose maps form first and last, and whether that could be chance."""
    known, labels = formation > 0, subject.run.labels
    if len(np.unique(labels[known])) < 2:
        return {}
    found = widest_difference(formation[known], labels[known])
    names = subject.run.classes["name"]
    apart = f"{figure(found.value, found.low, found.high, 1)} epochs, p = {found.p:.3f}"
    return {"first and last class to form, means apart": f"“{names[found.lowest]}”, “{names[found.highest]}”: {apart}"}


def mistakes(subject: Subject) -> Rows:
    """Entrenched mistakes and candidates for wrong labels."""
    images, epochs = subject.analysis.table("images"), len(subject.run.epochs)
    half, wrong = max(2, (epochs + 1) // 2), images["error_run"] > 0
    worst = images.loc[images["persistence"].idxmax()]
    names, image = subject.run.classes["name"], int(worst["image"])
    prediction = int(subject.run.column("prediction", epoch=subject.last, variant=subject.clean)[image])
    candidates = share(images["label_issue"].sum(), len(images))
    return {
        "the same mistake for half of the epochs or more": share((images["error_run"] >= half).sum(), wrong.sum()),
        "most entrenched": f"image {image}, “{names[subject.run.labels[image]]}” called “{names[prediction]}” for "
        f"{int(worst['error_run'])} epochs, mean confidence {worst['error_run_confidence']:.2f}, "
        f"{100 * worst['agreement']:.0f} % of the variants agree",
        "candidates for wrong labels": candidates
        + (" – known prediction: no label is wrong" if subject.phantom else ""),
    }


def evidence(subject: Subject) -> Rows:
    """What each perturbation does to predictions and maps."""
    run, rows = subject.run, {}
    clean = run.column("prediction", epoch=subject.last, variant=subject.clean)
    for variant in run.variants[1:]:
        prediction = run.column("prediction", epoch=subject.last, variant=variant)
        kept = run.column("consistency", epoch=subject.last, variant=variant).astype(np.float64)
        held, right = clean == prediction, (clean == run.labels) & (prediction == run.labels)
        different_reason = robustness.different_reason(clean == run.labels, prediction == run.labels, kept)
        rows[f"{variant}: prediction flips"] = share((~held).sum(), len(held))
        if held.sum() > 1:
            rows[f"{variant}: consistency where it holds"] = figure(*mean_interval(kept[held]))
        if (~held).sum() > 1:
            rows[f"{variant}: responsiveness where it flips"] = figure(*mean_interval(1 - kept[~held]))
        rows[f"{variant}: lucky"] = share(different_reason.sum(), right.sum())
    return rows


def criteria(subject: Subject) -> Rows:
    """The best epoch for each purpose, and what ensembles gain."""
    best, ensembles = (subject.analysis.table(name) for name in ("best_epochs", "ensembles"))
    rows = {
        f"best epoch: {row.criterion.lower()}": f"{row.epoch} ({row.value:.3f}; last: {row.last_value:.3f}"
        + (")" if np.isnan(row.selection_share) else f"; best in {100 * row.selection_share:.0f} % of resamples)")
        for row in best.itertuples()
    }
    for row in ensembles.iloc[1:].itertuples():
        gain = figure(100 * row.gain, 100 * row.gain_low, 100 * row.gain_high, 1)
        rows[f"{row.label[0].lower()}{row.label[1:]}: points of top-1"] = f"{gain}; NLL {row.nll:.2f}"
    return rows | {"last epoch alone: NLL": f"{ensembles['nll'].iloc[0]:.2f}"}


def page(subjects: Sequence[Subject]) -> str:
    """The findings of each run as its page lists them."""
    lines = []
    for subject in subjects:
        lines += [f"**{subject.run.path.name}**", ""]
        for number, entry in enumerate(from_table(subject.analysis.table("findings")), start=1):
            tested = f"p {'< 1e-99' if entry.p < 1e-99 else f'= {entry.p:.1g}'} after picking from {entry.comparisons}"
            tested = "not tested" if np.isnan(entry.p) else tested
            lines.append(f"{number}. {entry.text} *{_measured(entry)}; {tested}.*")
        lines.append("")
    return "\n".join(lines).strip()


def _measured(entry: Finding) -> str:
    """A finding's figure with its interval: '62 % [58, 65]', '5.6 sd [4.9, 6.3]'; a count stands alone."""
    scale, digits, unit = {"share": (100, 1, " %"), "sd": (1, 1, " sd"), "epochs": (1, 1, " epochs")}.get(
        entry.unit, (1, 3, f" {entry.unit}")
    )
    value, low, high = (f"{scale * number:.{digits}f}" for number in (entry.value, entry.low, entry.high))
    return f"{value}{unit}" if entry.low == entry.high else f"{value}{unit} [{low}, {high}]"


SECTIONS = {
    "short": Section(short, "As below"),
    "runs": _tabled(runs, "`store.analysis.analyse.analyse`"),
    "correction": _tabled(of_maps.correction, "`store.metrics.correction`"),
    "failure_ranking": Section(
        failure_ranking, "`store.metrics.failure_detection`, `store.analysis.failure-detection ranking`"
    ),
    "learning": _tabled(learning, "`store.metrics.learning`"),
    "mistakes": _tabled(mistakes, "`store.metrics.persistence`"),
    "cues": Section(of_maps.cues, "`store.metrics.robustness.cue_profile`"),
    "known-answers": _tabled(known_answers, "`compute.data.phantom.dataset`, `store.Run.predictions`"),
    "evidence": _tabled(evidence, "`store.metrics.robustness`"),
    "confusion": _tabled(of_maps.confusion, "`store.metrics.confusion`, `store.metrics.earth_mover`"),
    "clusters": _tabled(of_maps.clusters, "`store.metrics.clusters`"),
    "criteria": _tabled(criteria, "`store.analysis.criteria`"),
    "search": _tabled(of_maps.search, "`store.queries.search_pattern`"),
    "place": Section(of_maps.place, "`store.metrics.localisation`, `store.analysis.localisation`"),
    "page": Section(page, "`store.analysis.findings`"),
}
