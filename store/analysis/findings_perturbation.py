"""Candidates for findings about predictions under perturbation, cues, failure detection, places and ensembles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from store.analysis.findings import Finding, adjusted, joint_level, percent, perturbed
from store.analysis.gather import EpochRecord
from store.metrics.confusion import collapse
from store.metrics.intervals import exact_interval, mean_interval, wilson


@dataclass(frozen=True)
class FindingInputs:
    """The record and the analysis's tables, by name."""

    record: EpochRecord
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


def predicted_as(tables: FindingInputs) -> list[Finding]:
    """Under a variant, a class (or group) is predicted as another far more often than clean or than others are."""
    run = tables.record.run
    counts = np.stack([run.confusion(epoch=tables.last, variant=variant) for variant in run.variants])
    groups = list(dict.fromkeys(run.classes["group"]))
    place = run.classes["group"].map(groups.index).to_numpy()
    found = _strongest_switch(tables, counts, tables.names, by_class=True)
    if 1 < len(groups) < len(counts[0]):
        found += _strongest_switch(tables, collapse(counts, place, len(groups)), np.array(groups), by_class=False)
    return found


def _strongest_switch(tables: FindingInputs, counts: NDArray, names: NDArray, *, by_class: bool) -> list[Finding]:
    """Of each variant the switch with the highest lower bound; tested against the clean share and the other true classes'."""
    variants, images = tables.record.run.variants, counts[0].sum(1)
    compared = (len(variants) - 1) * len(names) * (len(names) - 1)
    found = []
    for number, variant in enumerate(variants[1:], start=1):
        rough = wilson(counts[number], images[:, None], level=joint_level(compared))[0]
        np.fill_diagonal(rough, 0)
        true_class, prediction = np.unravel_index(rough.argmax(), rough.shape)
        times, of = int(counts[number, true_class, prediction]), int(images[true_class])
        clean = int(counts[0, true_class, prediction])
        elsewhere = (counts[number, :, prediction].sum() - times) / max(images.sum() - of, 1)
        # One clean image is added, so that "never when clean" is not predicted as an exact zero.
        chance = max((clean + 1) / (of + 1), float(elsewhere))
        if times <= clean or chance >= 1:
            continue
        p = scipy.stats.binomtest(times, of, chance, alternative="greater").pvalue
        low, high = (float(edge) for edge in exact_interval(times, of, level=joint_level(compared)))
        query: dict[str, str | int] = {"epoch": tables.last, "variant": variant}
        if by_class:
            query |= {"class": str(tables.ids[true_class]), "prediction": str(tables.ids[prediction])}
        text = (
            f"Under {perturbed(variant)}, {times} of {of} images of {'' if by_class else 'the group '}"
            f"“{names[true_class]}” are predicted as “{names[prediction]}” ({percent(times / of)}); "
            f"clean, {clean} {'is' if clean == 1 else 'are'}."
        )
        found.append(
            Finding(
                kind="predicted as" if by_class else "group predicted as",
                text=text,
                value=times / of,
                low=low,
                high=high,
                unit="share",
                page="confusion",
                strength=float(np.sqrt(low * times / of)),
                p=adjusted(p, compared),
                comparisons=compared,
                query=query,
            )
        )
    return found


def accuracy_lost(tables: FindingInputs) -> list[Finding]:
    """What each variant costs in accuracy, image by image."""
    record = tables.record
    right = record.predictions[-1] == record.run.labels
    compared, found = len(right) - 1, []
    for number in range(1, len(right)):
        drop = right[0].astype(float) - right[number]
        mean, low, high = mean_interval(drop, level=joint_level(compared))
        if not drop.any() or not np.isfinite(low):
            continue
        p = paired_p(int((drop > 0).sum()), int((drop < 0).sum()))
        variant, before, after = record.run.variants[number], percent(right[0].mean()), percent(right[number].mean())
        text = (
            f"Under {perturbed(variant)} the accuracy falls from {before} to {after}."
            if mean > 0
            else f"Under {perturbed(variant)} the accuracy does not fall: {before} clean, {after} perturbed."
        )
        found.append(
            Finding(
                kind="accuracy",
                text=text,
                value=mean,
                low=low,
                high=high,
                unit="share",
                page="robustness",
                strength=max(min(low, 1.0), 0.0),
                p=adjusted(p, compared),
                comparisons=compared,
                query={"epoch": tables.last, "variant": variant},
            )
        )
    return found


def paired_p(first: int, second: int) -> float:
    """Two-sided p-value of images that turned one way and the other, were both as likely: McNemar's test, exact."""
    return float(scipy.stats.binomtest(int(first), int(first) + int(second), 0.5).pvalue)


def cues(tables: FindingInputs) -> list[Finding]:
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
            f"“{tables.names[index]}” loses {row['drop']:.1f} standard deviations of its score under "
            f"{perturbed(str(variant))}; the other classes lose {average:.1f} on average."
        )
        excess = row["drop"] - average - half
        found.append(
            Finding(
                kind="cue",
                text=text,
                value=float(row["drop"]),
                low=float(row["drop"] - half),
                high=float(row["drop"] + half),
                unit="sd",
                page="robustness",
                strength=float(np.clip(excess / 5, 0, 1)),
                p=adjusted(p, compared),
                comparisons=compared,
                query={"epoch": tables.last, "variant": str(variant), "class": str(tables.ids[index])},
            )
        )
    return found
