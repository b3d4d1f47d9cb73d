"""Candidates for findings about the network as a whole: failure detection, pattern or place, ensembles."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from store.analysis.confidence_scores import REFERENCE
from store.analysis.findings import Finding, adjusted, joint_level, percent
from store.analysis.findings_perturbation import FindingInputs, paired_p
from store.analysis.localisation import deciding_quantity, localisation_of
from store.metrics.intervals import wilson


def error_detection(tables: FindingInputs) -> list[Finding]:
    """Whether the pattern betrays a wrong prediction better than the softmax does: the paper's guess, put to the test."""
    table = tables.tables["failure_ranking"]
    maps = table[table["kind"] == "map"]
    if maps["gain_low"].isna().all():  # nothing to tell apart, or too little to say how well
        return []
    best = maps.loc[maps["auroc"].idxmax()]
    reference = float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    low, high = float(best["gain_low"]), float(best["gain_high"])
    prediction = (
        "The pattern betrays wrong predictions better than the softmax"
        if low > 0
        else "The pattern betrays wrong predictions less well than the softmax"
        if high < 0
        else "The pattern is not shown to betray wrong predictions better than the softmax, nor worse"
    )
    text = (
        f"{prediction}: its best score, “{best['label']}”, reaches an AUROC of {best['auroc']:.3f}, "
        f"the maximum softmax {reference:.3f} ({int(best['images'])} images)."
    )
    strength = float(np.clip(2 * max(low, -high, 0.05), 0, 1))
    return [
        Finding(
            kind="failure_ranking",
            text=text,
            value=float(best["gain"]),
            low=low,
            high=high,
            unit="AUROC",
            page="trust",
            strength=strength,
            comparisons=len(table) - 1,
            query={"epoch": tables.last},
        )
    ]


def corrections(tables: FindingInputs) -> list[Finding]:
    """How few cells undo the mistakes."""
    record, run = tables.record, tables.record.run
    at: dict[str, Any] = {"epoch": tables.last, "variant": record.clean}
    wrong = record.predictions[-1][0] != run.labels
    count, size = int(wrong.sum()), int(np.prod(run.map_shape))
    if not count or size == 1:
        return []
    cells = run.column("correction_cells", **at)[wrong]
    others = int((run.column("corrected_prediction", **at)[wrong] != run.labels[wrong]).sum())
    few = max(size // 16, 1)
    by_few = int((cells <= few).sum())
    low, high = (float(edge) for edge in wilson(by_few, count))
    half = int(np.quantile(cells, 0.5, method="inverted_cdf"))
    text = (
        f"In {percent(by_few / count)} of the {count} mistakes the true class catches up with the prediction when {few} of the "
        f"{size} cells {'is' if few == 1 else 'are'} taken out of the maps, in half of them when "
        f"{half} {'is' if half == 1 else 'are'}"
        + (f"; in {percent(others / count)} of all a third class wins then." if others else ".")
    )
    return [
        Finding(
            kind="correction",
            text=text,
            value=by_few / count,
            low=low,
            high=high,
            unit="share",
            page="failures",
            strength=low / 2,  # it is about all classes: those about one come first
            query={"epoch": tables.last, "sort": "fewest_cells"},
        )
    ]


def localisation_finding(tables: FindingInputs) -> list[Finding]:
    """Whether the maps are places or codes, by the quantity that decides it."""
    table = tables.tables["localisation"].set_index("quantity")
    quantity = deciding_quantity(tables.tables["localisation"])
    if quantity is None:
        return []
    value, low, high = table.loc[quantity, ["value", "low", "high"]].astype(float)
    if not np.isfinite([low, high]).all():  # too few images
        return []
    prediction = {
        "locates": "The maps say where the object is"
        if quantity == "object_following"
        else "The maps move with the images",
        "encodes": "The maps are codes of the class, not places",
        "unknown": "Whether the maps are codes or places stays open",
    }[localisation_of(tables.tables["localisation"])]
    shown = []
    if "object_following" in table.index:
        inside, elsewhere = (
            percent(float(table.loc[name, "value"])) for name in ("evidence_on_object", "evidence_on_others")
        )
        shown.append(
            f"{inside} of their evidence lies on the image's own object and {elsewhere} on those of the class's "
            f"other images, {percent(float(table.loc['object_following', 'value']))} of what a map in the object's shape would "
            "gain"
        )
    if "shift_following" in table.index:
        moved = percent(float(table.loc["shift_following", "value"]))
        shown.append(f"their centres move {moved} of the way with the images that are shifted")
    return [
        Finding(
            kind="localisation",
            text=f"{prediction}: {'; '.join(shown)}.",
            value=value,
            low=low,
            high=high,
            unit="share",
            page="trust",
            strength=0.6,
            query={"epoch": tables.last},
        )
    ]


def similar_maps(tables: FindingInputs) -> list[Finding]:
    """How alike the maps of a class are, against those of two classes."""
    table = tables.tables["localisation"].set_index("quantity")
    if not {"within_class", "between_classes"} <= set(table.index):
        return []
    value, low, high = table.loc["within_class", ["value", "low", "high"]].astype(float)
    if not np.isfinite([low, high]).all():  # a single class
        return []
    other = float(table.loc["between_classes", "value"])
    return [
        Finding(
            kind="similarity",
            text=f"The maps of two images of one class have a cosine of {value:.2f} on average, of two classes "
            f"{other:.2f}.",
            value=value,
            low=low,
            high=high,
            unit="cosine",
            page="patterns",
            strength=float(np.clip(low - other, 0, 1)) / 2,  # it is about all classes: those about one come first
        )
    ]


def together(tables: FindingInputs) -> list[Finding]:
    """What an ensemble of recorded epochs or variants would have gained."""
    table = tables.tables["ensembles"].iloc[1:]
    table = table[np.isfinite(table["gain_low"]) & (table["newly_correct"] + table["newly_wrong"] > 0)]
    if table.empty:
        return []
    best = table.loc[table["gain"].abs().idxmax()]
    p = paired_p(best["newly_correct"], best["newly_wrong"])
    wider = scipy.stats.norm.ppf((1 + joint_level(len(table))) / 2) / scipy.stats.norm.ppf(0.975)
    wider *= (best["gain_high"] - best["gain_low"]) / 2
    members = best["label"][0].lower() + best["label"][1:]
    members = members if best["name"] == "variants" else f"the {members}"
    word = "gains" if best["gain"] > 0 else "loses"
    text = (
        f"Averaging the probabilities of {members} {word} "
        f"{abs(100 * best['gain']):.1f} points of accuracy over the last epoch alone."
    )
    return [
        Finding(
            kind="ensemble",
            text=text,
            value=float(best["gain"]),
            low=float(best["gain"] - wider),
            high=float(best["gain"] + wider),
            unit="share",
            page="learning",
            strength=float(np.clip(5 * (abs(best["gain"]) - wider), 0, 1)),
            p=adjusted(p, len(table)),
            comparisons=len(table),
        )
    ]
