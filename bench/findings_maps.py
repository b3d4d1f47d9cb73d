"""Sections of docs/findings.md about maps: correction, cues, confusion, clusters, search, localisation."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from bench.findings_table import AnalysedRun, Rows, figure, figures_table, share
from compute.data.phantom.dataset import class_parts, gray_sibling, plain_sibling, reordered_sibling
from store import queries
from store.analysis.localisation import FOLLOWS
from store.metrics.intervals import mean_interval, rank_correlation
from store.metrics.maps import earth_mover

SAMPLE = 100  # wrong predictions whose maps are read, and class patterns that are searched for
HUES = ("red", "green", "blue", "gray")


def correction(analysed: AnalysedRun) -> Rows:
    """How many cells correct a wrong prediction, which class wins then, and how uncertain quantisation makes it."""
    run, at = analysed.run, analysed.last
    wrong = np.flatnonzero(analysed.predictions() != run.labels)
    if not len(wrong):
        return {"wrong predictions": "0"}
    cells, winner = run.column("correction_cells", **at)[wrong], run.column("corrected_prediction", **at)[wrong]
    chosen = np.sort(np.random.default_rng(0).choice(wrong, min(SAMPLE, len(wrong)), replace=False))
    found = [queries.minimal_correction(run, int(image), **at) for image in chosen]
    low, middle, high = np.quantile(cells, [0.25, 0.5, 0.75])
    size = int(np.prod(run.map_shape))
    return {
        "wrong predictions": str(len(wrong)),
        "k*, median and quartiles": f"{middle:.0f} [{low:.0f}, {high:.0f}] of {size} cells",
        "corrected by a sixteenth of the cells": share((cells <= max(size // 16, 1)).sum(), len(wrong)),
        "a third class wins then": share((winner != run.labels[wrong]).sum(), len(wrong)),
        "mean of the map is the logit, within the quantisation error": share(
            sum(each.exact for each in found), len(found)
        ),
        "k* is certain in spite of quantisation": share(sum(each.low == each.high for each in found), len(found)),
        "largest width of its interval": str(max(each.high - each.low for each in found)),
    }


def cues(analysed: AnalysedRun) -> Rows:
    """Mean fall of the true class's logit under each variant: over all classes, on phantom by hue and texture, most."""
    drops_of, rows = analysed.analysis.table("cues").dropna(), {}
    names = analysed.run.classes["name"]
    for variant, drops in drops_of.groupby("variant", sort=False):
        rows[f"{variant}: all classes"] = figure(*mean_interval(drops["drop"]), 2)
        if analysed.is_phantom:
            parts = pd.DataFrame([class_parts(int(index)) for index in drops["class_index"]], index=drops.index)
            for part, values in ((1, HUES), (2, ("plain", "striped"))):
                for value in values:
                    own = drops["drop"][parts[part] == value]
                    rows[f"{variant}: {value} classes"] = figure(*mean_interval(own), 2)
        top = drops.loc[drops["drop"].idxmax()]
        # Picked as the largest of many: the interval holds for all classes and variants jointly (Bonferroni).
        half = scipy.stats.norm.ppf(1 - 0.025 / len(drops_of)) * top["error"]
        value = figure(top["drop"], top["drop"] - half, top["drop"] + half, 1)
        rows[f"{variant}: most"] = f"“{names[int(top['class_index'])]}” {value}"
    return rows


def phantom_siblings(analysed: AnalysedRun) -> Rows:
    """How often a phantom image is predicted as the class that its perturbation turns it into.

    Of the images that are predicted correctly when clean; a network that sees the drawing perfectly would reach 100 %.
    """
    run = analysed.run
    if not analysed.is_phantom or len(run.classes) != 200:
        return {}
    classes, clean = range(200), analysed.predictions()
    siblings = {
        "bgr": np.array([reordered_sibling(index, (2, 1, 0)) for index in classes]),
        "brg": np.array([reordered_sibling(index, (2, 0, 1)) for index in classes]),
        "gray": np.array([gray_sibling(index) for index in classes]),
    }
    hue_of, texture_of = (np.array([class_parts(index)[part] for index in classes]) for part in (1, 2))
    rows = {}
    for variant, sibling in siblings.items():
        if variant not in run.variants:
            continue
        hit = analysed.predictions(variant) == sibling[run.labels]
        for hue in HUES:
            chosen = (clean == run.labels) & (hue_of[run.labels] == hue)
            target = hue_of[sibling[run.labels[chosen][0]]] if chosen.any() else hue
            rows[f"{variant}: {hue} is predicted as its sibling in {target}"] = share(hit[chosen].sum(), chosen.sum())
    if "blur5" in run.variants:
        prediction = analysed.predictions("blur5")
        plain = np.array([plain_sibling(index) for index in classes])[run.labels]
        for texture, label in (
            ("striped", "striped is predicted as its plain sibling"),
            ("plain", "plain stays plain"),
        ):
            chosen = (clean == run.labels) & (texture_of[run.labels] == texture)
            rows[f"blur5: {label}"] = share((prediction == plain)[chosen].sum(), chosen.sum())
    return rows


def confusion(analysed: AnalysedRun) -> Rows:
    """Confused pairs over the epochs, and whether their maps overlap."""
    pairs, run = analysed.analysis.table("pairs"), analysed.run
    if pairs.empty:
        return {"pairs": "none"}
    top, alive = pairs.iloc[0], pairs[pairs["last_count"] > 0]
    patterns = run.patterns(**analysed.last)
    first, second = np.random.default_rng(0).integers(len(run.classes), size=(2, 300))
    distances = earth_mover(patterns[first[first != second]], patterns[second[first != second]])
    rows = {
        "pairs with 3 wrong predictions or more at some epoch": str(len(pairs)),
        "fewer than 3 at the last epoch": share((pairs["resolved"] > 0).sum(), len(pairs)),
        "most frequent": f"“{top['true_class']}” as “{top['predicted_class']}”: {int(top['peak_count'])} at epoch "
        f"{int(top['peak'])}, {int(top['last_count'])} at the last",
        "overlap of the two maps on their wrong predictions": figure(*mean_interval(alive["overlap"].dropna()), 3),
        "earth-mover distance of their patterns, cells": figure(*mean_interval(pairs["distance"].dropna()), 2),
        "the same for any two classes": figure(*mean_interval(distances[np.isfinite(distances)]), 2),
    }
    known = pairs.dropna(subset=["distance", "overlap"])
    if len(known) > 3:
        for name in ("distance", "overlap"):
            value = figure(*rank_correlation(known["last_count"], known[name]), 2)
            rows[f"rank correlation of wrong predictions and {name}"] = value
    return rows


def clusters(analysed: AnalysedRun) -> Rows:
    """Classes with several clusters of maps, which cluster fails, and how many images perturbations leave in theirs."""
    found, survival = analysed.analysis.table("clusters"), analysed.analysis.table("cluster_survival")
    several = found[found.groupby("class_index")["cluster"].transform("count") > 1].dropna(subset=["lift"])
    rows = {
        "classes with several clusters": share(
            (found.groupby("class_index")["cluster"].count() > 1).sum(), found["class_index"].nunique()
        ),
        "clusters whose error lift lies above 1 with its interval": share((several["low"] > 1).sum(), len(several)),
    }
    if len(several):
        top = several.loc[several["low"].idxmax()]
        name = analysed.run.classes["name"][int(top["class_index"])]
        lift = figure(top["lift"], top["low"], top["high"], 2)
        rows["highest"] = f"“{name}”, {int(top['count'])} images: {lift} times the class's error"
    for variant, own in survival.groupby("variant", sort=False):
        rows[f"stay in their cluster under {variant}"] = share(
            round((own["share"] * own["count"]).sum()), own["count"].sum()
        )
    return rows


def search(analysed: AnalysedRun) -> Rows:
    """Search by the pattern of a class: how fast, and how many of its 24 hits are images predicted as that class."""
    run, at = analysed.run, analysed.last
    patterns, predictions = run.patterns(**at), analysed.predictions()
    classes = np.random.default_rng(0).choice(len(patterns), min(SAMPLE, len(patterns)), replace=False)
    seconds, hits = [], []
    for index in classes:
        started = time.process_time()
        found = queries.search_index(queries.pattern_index(run, **at), patterns[index], k=24)
        seconds.append(time.process_time() - started)
        hits.append((found["prediction"] == index).sum() / min(24, max((predictions == index).sum(), 1)))
    mean, low, high = np.minimum(mean_interval(hits), 1)
    return {
        "one search, milliseconds of processor time, p95": f"{1000 * np.quantile(seconds, 0.95):.0f}",
        "hits that were predicted as the class (of as many as there can be)": figure(mean, low, high, 2),
    }


LOCALISATION_LABELS = {
    "within_class": "cosine of the true-class maps of two images of one class",
    "between_classes": "of two classes",
    "class_gap": "the difference",
    "evidence_on_object": "evidence on the object",
    "object_area": "expected by the object's area",
    "evidence_on_others": "expected with the objects of the class's other images",
    "peak_on_object": "strongest cell on the object (pointing game, by area)",
    "object_following": "how far the map follows its own object (1 = as far as a map in its shape)",
    "shift_following": "how far the map's centre moves with shifted images (1 = along)",
}


def localisation(analysed: Sequence[AnalysedRun]) -> str:
    """Whether the maps of each run locate the object, then the quantities behind it."""
    unknown = "Unknown: the run has neither objects at different positions nor shifted images."
    lines = []
    for each in analysed:
        model, (height, width) = each.setting("model", "name"), each.run.map_shape
        sentence = next(iter(each.sentences("localisation")), unknown)
        lines.append(f"- **{each.name}** (`{model}`, {height} × {width} cells): {sentence}")
    return "\n".join([*lines, "", figures_table(analysed, _localisation_rows)])


def _localisation_rows(analysed: AnalysedRun) -> Rows:
    run = analysed.run
    correct = analysed.predictions() == run.labels
    known = "masks" if run.masks(0) is not None else "bounding boxes" if run.boxes(0) is not None else "–"
    rows = {"top-1": share(correct.sum(), len(correct)), "objects known by": known}
    for row in analysed.analysis.table("localisation").itertuples():
        rows[LOCALISATION_LABELS[row.quantity]] = figure(row.value, row.low, row.high)
    classes = analysed.analysis.table("classes")
    low, high = (_finite(classes[f"object_following_{edge}"]) for edge in ("low", "high"))
    if len(low):
        rows["classes whose maps surely follow (interval at 0.1 or above)"] = share((low >= FOLLOWS).sum(), len(low))
        rows["classes whose maps surely do not (interval below 0.1)"] = share((high < FOLLOWS).sum(), len(high))
    return rows


def _finite(values: pd.Series) -> NDArray[np.float64]:
    return values[np.isfinite(values)].to_numpy()
