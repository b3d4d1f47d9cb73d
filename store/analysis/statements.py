"""Candidates for findings about answers under perturbation, cues, failure detection, places and ensembles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from store.analysis.findings import Finding, adjusted, joint_level, percent
from store.analysis.gather import Record
from store.analysis.places import verdict
from store.analysis.scores import REFERENCE
from store.measures.confusion import collapse
from store.measures.intervals import exact_interval, mean_interval, wilson


@dataclass(frozen=True)
class Tables:
    """The record and the analysis's tables, by name."""

    record: Record
    tables: dict[str, pd.DataFrame]

    @property
    def last(self) -> int:
        """The last recorded epoch."""
        return self.record.epochs[-1]

    @property
    def names(self) -> NDArray:
        """Names of the classes, (C,)."""
        return self.record.run.classes["name"].to_numpy()

    @property
    def ids(self) -> NDArray:
        """Ids of the classes, (C,)."""
        return self.record.run.classes["id"].to_numpy()


def taken_for(tables: Tables) -> list[Finding]:
    """Under a variant, a class (or group) is taken for another far more often than clean or than others are."""
    run = tables.record.run
    counts = np.stack([run.confusion(epoch=tables.last, variant=variant) for variant in run.variants])
    groups = list(dict.fromkeys(run.classes["group"]))
    place = run.classes["group"].map(groups.index).to_numpy()
    found = _strongest_switch(tables, counts, tables.names, by_class=True)
    if 1 < len(groups) < len(counts[0]):
        found += _strongest_switch(tables, collapse(counts, place, len(groups)), np.array(groups), by_class=False)
    return found


def _strongest_switch(tables: Tables, counts: NDArray, names: NDArray, *, by_class: bool) -> list[Finding]:
    variants = tables.record.run.variants
    pictures = counts[0].sum(1)
    compared = (len(variants) - 1) * len(names) * (len(names) - 1)
    found = []
    for number, variant in enumerate(variants[1:], start=1):
        rough = wilson(counts[number], pictures[:, None], level=joint_level(compared))[0]
        np.fill_diagonal(rough, 0)
        truth, answer = np.unravel_index(rough.argmax(), rough.shape)
        times, of = int(counts[number, truth, answer]), int(pictures[truth])
        clean = int(counts[0, truth, answer])
        elsewhere = (counts[number, :, answer].sum() - times) / max(pictures.sum() - of, 1)
        # One clean picture is added, so that "never when clean" is not taken for an exact zero.
        chance = max((clean + 1) / (of + 1), float(elsewhere))
        if times <= clean or chance >= 1:
            continue
        p = scipy.stats.binomtest(times, of, chance, alternative="greater").pvalue
        low, high = (float(edge) for edge in exact_interval(times, of, level=joint_level(compared)))
        query: dict[str, str | int] = {"epoch": tables.last, "variant": variant}
        if by_class:
            query |= {"class": str(tables.ids[truth]), "answer": str(tables.ids[answer])}
        kind = "of" if by_class else "of the group"
        text = (
            f"Under {variant}, {times} of {of} pictures {kind} “{names[truth]}” are taken for “{names[answer]}” "
            f"({percent(times / of)}); clean, {clean} {'is' if clean == 1 else 'are'}."
        )
        found.append(
            Finding(
                "taken for" if by_class else "group taken for",
                text,
                times / of,
                low,
                high,
                "share",
                "confusion",
                low,
                adjusted(p, compared),
                compared,
                query,
            )
        )
    return found


def accuracy_lost(tables: Tables) -> list[Finding]:
    """What each variant costs in accuracy, picture by picture."""
    record = tables.record
    right = record.predictions[-1] == record.run.labels
    compared, found = len(right) - 1, []
    for number in range(1, len(right)):
        drop = right[0].astype(float) - right[number]
        mean, low, high = mean_interval(drop, level=joint_level(compared))
        spread = drop.std(ddof=1) if len(drop) > 1 else 0.0
        if spread == 0:
            continue
        p = float(scipy.stats.ttest_1samp(drop, 0).pvalue)
        variant = record.run.variants[number]
        text = (
            f"Under {variant} the accuracy falls from {percent(right[0].mean())} to {percent(right[number].mean())}."
            if mean > 0
            else f"Under {variant} the accuracy does not fall: {percent(right[0].mean())} clean, "
            f"{percent(right[number].mean())} perturbed."
        )
        found.append(
            Finding(
                "accuracy",
                text,
                mean,
                low,
                high,
                "share",
                "robustness",
                max(min(low, 1.0), 0.0),
                adjusted(p, compared),
                compared,
                {"epoch": tables.last, "variant": variant},
            )
        )
    return found


def cues(tables: Tables) -> list[Finding]:
    """The class whose score falls most under each variant, against the mean of the others."""
    table = tables.tables["cues"].dropna()
    compared, found = len(table), []
    counts = np.bincount(tables.record.run.labels, minlength=len(tables.names))
    for variant, rows in table.groupby("variant", sort=False):
        others = (rows["drop"].sum() - rows["drop"]) / max(len(rows) - 1, 1)
        distance = ((rows["drop"] - others) / rows["error"])[rows["error"] > 0]
        if len(rows) < 2 or distance.empty:
            continue
        row, average = rows.loc[distance.idxmax()], float(others[distance.idxmax()])
        index = int(row["class_index"])
        freedom = counts[index] - 1
        p = float(scipy.stats.t.sf((row["drop"] - average) / row["error"], freedom))
        half = row["error"] * scipy.stats.t.ppf((1 + joint_level(compared)) / 2, freedom)
        text = (
            f"“{tables.names[index]}” loses {row['drop']:.1f} standard deviations of its score under {variant}; "
            f"the other classes lose {average:.1f} on average."
        )
        excess = row["drop"] - average - half
        found.append(
            Finding(
                "cue",
                text,
                float(row["drop"]),
                float(row["drop"] - half),
                float(row["drop"] + half),
                "sd",
                "robustness",
                float(np.clip(excess / 5, 0, 1)),
                adjusted(p, compared),
                compared,
                {"epoch": tables.last, "variant": str(variant), "class": str(tables.ids[index])},
            )
        )
    return found


def betrayal(tables: Tables) -> list[Finding]:
    """Whether the pattern betrays a wrong answer better than the softmax does: the paper's guess, put to the test."""
    table = tables.tables["league"]
    maps = table[table["kind"] == "map"]
    if maps["auroc"].isna().all():
        return []
    best = maps.loc[maps["auroc"].idxmax()]
    reference = float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    low, high = float(best["gain_low"]), float(best["gain_high"])
    answer = (
        "The pattern betrays wrong answers better than the softmax"
        if low > 0
        else "The pattern betrays wrong answers less well than the softmax"
        if high < 0
        else "The pattern is not shown to betray wrong answers better than the softmax, nor worse"
    )
    text = (
        f"{answer}: its best score, “{best['label']}”, reaches an AUROC of {best['auroc']:.3f}, "
        f"the maximum softmax {reference:.3f} ({int(best['pictures'])} pictures)."
    )
    strength = float(np.clip(2 * max(low, -high, 0.05), 0, 1))
    return [
        Finding(
            "league",
            text,
            float(best["gain"]),
            low,
            high,
            "AUROC",
            "trust",
            strength,
            compared=len(table) - 1,
            query={"epoch": tables.last},
        )
    ]


def maps_as_places(tables: Tables) -> list[Finding]:
    """Whether the maps are places or codes, and how alike the maps of a class are."""
    table = tables.tables["place"].set_index("quantity")
    found = []
    for quantity in ("follow", "shift"):
        if quantity in table.index:
            value, low, high = table.loc[quantity, ["value", "low", "high"]].astype(float)
            answer = {
                "place": "The maps say where the object is",
                "code": "The maps are codes of the class, not places",
                "unknown": "Whether the maps are codes or places stays open",
            }[verdict(tables.tables["place"])]
            what = "what knowing the object's place would gain" if quantity == "follow" else "the shift of the pictures"
            text = f"{answer}: their evidence follows {percent(value)} of {what}."
            found.append(
                Finding("place", text, value, low, high, "share", "robustness", 0.6, query={"epoch": tables.last})
            )
            break
    if {"within", "between"} <= set(table.index):
        value, low, high = table.loc["within", ["value", "low", "high"]].astype(float)
        other = float(table.loc["between", "value"])
        text = f"Two pictures of one class have maps of cosine {value:.2f} on average, two of two classes {other:.2f}."
        found.append(Finding("alike", text, value, low, high, "cosine", "alphabet", float(np.clip(low - other, 0, 1))))
    return found


def together(tables: Tables) -> list[Finding]:
    """What an ensemble of recorded epochs or variants would have gained."""
    table = tables.tables["ensembles"].iloc[1:]
    table = table[np.isfinite(table["gain_low"]) & (table["gain_high"] > table["gain_low"])]
    if table.empty:
        return []
    best = table.loc[table["gain"].abs().idxmax()]
    half = (best["gain_high"] - best["gain_low"]) / 2
    p = 2 * float(scipy.stats.norm.sf(abs(best["gain"]) / (half / 1.96)))
    wider = scipy.stats.norm.ppf((1 + joint_level(len(table))) / 2) / 1.96 * half
    members = best["label"][0].lower() + best["label"][1:]
    members = members if best["name"] == "variants" else f"the {members}"
    word = "gains" if best["gain"] > 0 else "loses"
    text = (
        f"Averaging the probabilities of {members} {word} "
        f"{abs(100 * best['gain']):.1f} points of accuracy over the last epoch alone."
    )
    return [
        Finding(
            "ensemble",
            text,
            float(best["gain"]),
            float(best["gain"] - wider),
            float(best["gain"] + wider),
            "share",
            "learning",
            float(np.clip(5 * (abs(best["gain"]) - wider), 0, 1)),
            adjusted(p, len(table)),
            len(table),
        )
    ]
