"""Sections of docs/findings.md about maps: anatomy, cues, confusion, modes, search, pattern or place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from bench.findings import Rows, Subject, figure, share, table
from bench.findings_phantom import HUES
from compute.data.phantom.dataset import class_parts
from store import queries
from store.analysis.localisation import FOLLOWS
from store.metrics.earth_mover import earth_mover
from store.metrics.intervals import mean_interval

LOOKED_AT = 100  # mistakes whose maps are read, and class patterns that are searched for


def correction(subject: Subject) -> Rows:
    """How many cells undo a mistake, who wins then, and how far the codec leaves it open."""
    run = subject.run
    at: dict[str, Any] = {"epoch": subject.last, "variant": subject.clean}
    wrong = np.flatnonzero(run.column("prediction", **at) != run.labels)
    if not len(wrong):
        return {"mistakes": "0"}
    cells, winner = run.column("correction_cells", **at)[wrong], run.column("corrected_prediction", **at)[wrong]
    chosen = np.sort(np.random.default_rng(0).choice(wrong, min(LOOKED_AT, len(wrong)), replace=False))
    found = [queries.minimal_correction(run, int(image), **at) for image in chosen]
    low, middle, high = np.quantile(cells, [0.25, 0.5, 0.75])
    size = int(np.prod(run.map_shape))
    return {
        "mistakes": str(len(wrong)),
        "k*, median and quartiles": f"{middle:.0f} [{low:.0f}, {high:.0f}] of {size} cells",
        "undone by a sixteenth of the cells": share((cells <= max(size // 16, 1)).sum(), len(wrong)),
        "a third class wins then": share((winner != run.labels[wrong]).sum(), len(wrong)),
        "mean of the map is the score, within the codec's error": share(sum(each.exact for each in found), len(found)),
        "k* is certain in spite of the codec": share(sum(each.low == each.high for each in found), len(found)),
        "largest width of its interval": str(max(each.high - each.low for each in found)),
    }


def cues(subjects: Sequence[Subject]) -> str:
    """Mean fall of the true class's score per variant: over all classes, by hue and texture on phantom, and where most."""
    return table(subjects, _cue_rows)


def _cue_rows(subject: Subject) -> Rows:
    found, rows = subject.analysis.table("cues").dropna(), {}
    names = subject.run.classes["name"]
    for variant, drops in found.groupby("variant", sort=False):
        rows[f"{variant}: all classes"] = figure(*mean_interval(drops["drop"]), 2)
        if subject.phantom:
            parts = pd.DataFrame([class_parts(int(index)) for index in drops["class_index"]], index=drops.index)
            for place, kinds in ((1, HUES), (2, ("plain", "striped"))):
                for kind in kinds:
                    rows[f"{variant}: {kind} classes"] = figure(*mean_interval(drops["drop"][parts[place] == kind]), 2)
        top = drops.loc[drops["drop"].idxmax()]
        half = scipy.stats.norm.ppf(1 - 0.025 / len(drops)) * top["error"]
        value = figure(top["drop"], top["drop"] - half, top["drop"] + half, 1)
        rows[f"{variant}: most"] = f"“{names[int(top['class_index'])]}” {value}"
    return rows


def confusion(subject: Subject) -> Rows:
    """Confused pairs over the epochs, and whether they happen in the same place."""
    pairs, run = subject.analysis.table("pairs"), subject.run
    if pairs.empty:
        return {"pairs": "none"}
    top, alive = pairs.iloc[0], pairs[pairs["last_count"] > 0]
    random, count = np.random.default_rng(0), len(run.classes)
    patterns = run.patterns(epoch=subject.last, variant=subject.clean)
    first, second = random.integers(count, size=(2, 300))
    any_pair = earth_mover(patterns[first[first != second]], patterns[second[first != second]])
    rows = {
        "pairs with 3 mistakes or more at some epoch": str(len(pairs)),
        "dead by the last epoch (fewer than 3)": share((pairs["resolved"] > 0).sum(), len(pairs)),
        "most frequent": f"“{top['true_class']}” for “{top['predicted_class']}”: {int(top['peak_count'])} at epoch "
        f"{int(top['peak'])}, {int(top['last_count'])} at the last",
        "overlap of the two maps over their mistakes": figure(*mean_interval(alive["overlap"].dropna()), 3),
        "earth-mover distance of their patterns, cells": figure(*mean_interval(pairs["distance"].dropna()), 2),
        "the same for any two classes": figure(*mean_interval(any_pair[np.isfinite(any_pair)]), 2),
    }
    known = pairs.dropna(subset=["distance", "overlap"])
    if len(known) > 3:
        rows["rank correlation of mistakes and distance"] = _correlation(known["last_count"], known["distance"])
        rows["rank correlation of mistakes and overlap"] = _correlation(known["last_count"], known["overlap"])
    return rows


def _correlation(first: pd.Series, second: pd.Series) -> str:
    """Spearman's rank correlation with Fisher's interval (variance by Bonett and Wright 2000)."""
    value = float(scipy.stats.spearmanr(first, second).statistic)
    half = 1.96 * np.sqrt((1 + value**2 / 2) / (len(first) - 3))
    centre = np.arctanh(np.clip(value, -0.999999, 0.999999))
    return figure(value, np.tanh(centre - half), np.tanh(centre + half), 2)


def clusters(subject: Subject) -> Rows:
    """Classes with several kinds of maps, which kind fails, and what perturbations leave of them."""
    kinds, left = subject.analysis.table("clusters"), subject.analysis.table("cluster_survival")
    several = kinds[kinds.groupby("class_index")["cluster"].transform("count") > 1].dropna(subset=["lift"])
    rows = {
        "classes with several kinds of maps": share(
            (kinds.groupby("class_index")["cluster"].count() > 1).sum(), kinds["class_index"].nunique()
        ),
        "kinds whose error lift lies above 1 with its interval": share((several["low"] > 1).sum(), len(several)),
    }
    if len(several):
        top = several.loc[several["low"].idxmax()]
        name = subject.run.classes["name"][int(top["class_index"])]
        lift = figure(top["lift"], top["low"], top["high"], 2)
        rows["highest"] = f"“{name}”, {int(top['count'])} images: {lift} times the class's error"
    for variant, table_of in left.groupby("variant", sort=False):
        stayed = (table_of["share"] * table_of["count"]).sum()
        rows[f"stay in their kind under {variant}"] = share(round(stayed), table_of["count"].sum())
    return rows


def search(subject: Subject) -> Rows:
    """Search by the pattern of a class: how fast, and how many of its 24 hits are images predicted as that class."""
    run = subject.run
    at: dict[str, Any] = {"epoch": subject.last, "variant": subject.clean}
    patterns = run.patterns(**at)
    classes = np.random.default_rng(0).choice(len(patterns), min(LOOKED_AT, len(patterns)), replace=False)
    queries.search_pattern(run, patterns[0], **at)
    seconds, hits = [], []
    for index in classes:
        started = time.process_time()
        found = queries.search_pattern(run, patterns[index], k=24, **at)
        seconds.append(time.process_time() - started)
        hits.append(
            (found["prediction"] == index).sum() / min(24, max((run.column("prediction", **at) == index).sum(), 1))
        )
    mean, low, high = np.minimum(mean_interval(hits), 1)
    return {
        "one search, milliseconds of processor time, p95": f"{1000 * np.quantile(seconds, 0.95):.0f}",
        "hits that were predicted as the class (of as many as there can be)": figure(mean, low, high, 2),
    }


def place(subjects: Sequence[Subject]) -> str:
    """The verdict on each model's maps, then its quantities."""
    from bench.findings_sections import reported

    lines = []
    for subject in subjects:
        unknown = "Unknown: the run holds neither objects that lie apart nor shifted images."
        model, (height, width) = subject.setting("model", "name"), subject.run.map_shape
        said = next(iter(reported(subject, "place")), unknown)
        lines.append(f"- **{subject.run.path.name}** (`{model}`, {height} × {width} cells): {said}")
    return "\n".join([*lines, "", table(subjects, _place_rows)])


PLACE_LABELS = {
    "within_class": "cosine of the own maps of two images of one class",
    "between_classes": "of two classes",
    "evidence_on_object": "evidence on the object",
    "object_area": "expected by the object's area",
    "evidence_on_others": "expected with the objects of the class's other images",
    "peak_on_object": "strongest cell on the object (pointing game, by area)",
    "object_following": "how far the map follows its own object (1 = as far as a map in its shape)",
    "shift_following": "how far the map's centre moves with shifted images (1 = along)",
}


def _place_rows(subject: Subject) -> Rows:
    run = subject.run
    right = run.column("prediction", epoch=subject.last, variant=subject.clean) == run.labels
    known = "masks" if run.has_masks else "bounding boxes" if run.has_boxes else "–"
    rows = {"top-1": share(right.sum(), len(right)), "objects known by": known}
    for row in subject.analysis.table("localisation").itertuples():
        rows[PLACE_LABELS[row.quantity]] = figure(row.value, row.low, row.high)
    classes = subject.analysis.table("classes").dropna(subset=["object_following_low"])
    classes = classes[np.isfinite(classes["object_following_low"])]
    if len(classes):
        rows["classes whose maps surely follow (interval at 0.1 or above)"] = share(
            (classes["object_following_low"] >= FOLLOWS).sum(), len(classes)
        )
        rows["classes whose maps surely do not (interval below 0.1)"] = share(
            (classes["object_following_high"] < FOLLOWS).sum(), len(classes)
        )
    return rows
