"""Candidates for findings: one function per kind of statement, from the record and the analysis's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from store.analysis.confidence_scores import REFERENCE
from store.analysis.findings import Finding, adjusted, joint_level
from store.analysis.gather import EpochRecord
from store.analysis.localisation import deciding_quantity, localisation_of
from store.metrics.confusion import collapse
from store.metrics.intervals import exact_interval, mean_interval, widest_difference, wilson
from store.metrics.learning import FORMED
from store.queries.health import degeneracies
from store.rates import percent


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

    def variant(self, name: str) -> str:
        """A variant's label in quotation marks, as it follows "under"."""
        return f"“{self.record.run.variant(name).label}”"


def degenerate_network(inputs: FindingInputs) -> list[Finding]:
    """What makes the last epoch unfit to be described, as findings; where there is any, no other may be made."""
    images = len(inputs.record.run.labels)
    return [
        Finding("degenerate", problem.text, share, share, share, "share", "overview", 1.0, query={"epoch": inputs.last})
        for problem in degeneracies(inputs.record.run, epoch=inputs.last, variant=inputs.record.clean)
        for share in [problem.images / images]
    ]


def predicted_as(inputs: FindingInputs) -> list[Finding]:
    """Classes (or groups) predicted as another under a variant far more often than clean, and than the others are."""
    run = inputs.record.run
    counts = np.stack([run.confusion(epoch=inputs.last, variant=variant) for variant in run.variants])
    groups = list(dict.fromkeys(run.classes["group"]))
    found = _strongest_switches(inputs, counts, inputs.names, by_class=True)
    if 1 < len(groups) < len(counts[0]):
        group_of = run.classes["group"].map(groups.index).to_numpy()
        found += _strongest_switches(inputs, collapse(counts, group_of, len(groups)), np.array(groups), by_class=False)
    return found


def _strongest_switches(inputs: FindingInputs, counts: NDArray, names: NDArray, *, by_class: bool) -> list[Finding]:
    """For each variant, the switch with the highest lower bound, tested against its clean share and the other classes'.

    Args:
        counts: (V, C, C) confusions of classes or groups. names: (C,).
    """
    variants, images = inputs.record.run.variants, counts[0].sum(1)
    comparisons = (len(variants) - 1) * len(names) * (len(names) - 1)
    found = []
    for number, variant in enumerate(variants[1:], start=1):
        rough = wilson(counts[number], images[:, None], level=joint_level(comparisons))[0]
        np.fill_diagonal(rough, 0)
        true_class, prediction = np.unravel_index(rough.argmax(), rough.shape)
        times, of = int(counts[number, true_class, prediction]), int(images[true_class])
        clean = int(counts[0, true_class, prediction])
        others = (counts[number, :, prediction].sum() - times) / max(images.sum() - of, 1)
        # One clean image is added, so that "never when clean" does not count as a probability of exactly zero.
        chance = max((clean + 1) / (of + 1), float(others))
        if times <= clean or chance >= 1:
            continue
        # Exact: an approximation fails for ten images of a class and p-values corrected for all pairs and variants.
        p = scipy.stats.binomtest(times, of, chance, alternative="greater").pvalue
        low, high = _exact_interval(times, of, comparisons)
        query: dict[str, Any] = {"epoch": inputs.last, "variant": variant}
        if by_class:
            query |= {"class": str(inputs.ids[true_class]), "prediction": str(inputs.ids[prediction])}
        text = (
            f"Under {inputs.variant(variant)}, {times} of {of} images of {'' if by_class else 'the group '}"
            f"“{names[true_class]}” are predicted as “{names[prediction]}” ({percent(times / of, 0)}); "
            f"clean, {clean} {'is' if clean == 1 else 'are'}."
        )
        kind, strength = "predicted as" if by_class else "group predicted as", float(np.sqrt(low * times / of))
        tested = _tested(p, comparisons, query)
        found.append(Finding(kind, text, times / of, low, high, "share", "confusion", strength, **tested))
    return found


def accuracy_drops(inputs: FindingInputs) -> list[Finding]:
    """How much accuracy drops under each variant, image by image."""
    record = inputs.record
    clean, *perturbed = record.correct
    comparisons, found = len(perturbed), []
    for variant, correct in zip(record.run.variants[1:], perturbed, strict=True):
        drop = clean.astype(float) - correct
        mean, low, high = mean_interval(drop, level=joint_level(comparisons))
        if not drop.any() or not np.isfinite(low):
            continue
        p = paired_p(int((drop > 0).sum()), int((drop < 0).sum()))
        before, after = percent(clean.mean()), percent(correct.mean())
        text = f"Under {inputs.variant(variant)} the accuracy " + (
            f"falls from {before} to {after}." if mean > 0 else f"does not fall: {before} clean, {after} perturbed."
        )
        tested = _tested(p, comparisons, {"epoch": inputs.last, "variant": variant})
        strength = max(min(low, 1.0), 0.0)
        found.append(Finding("accuracy", text, mean, low, high, "share", "robustness", strength, **tested))
    return found


def paired_p(first: int, second: int) -> float:
    """Two-sided p-value of so many images changing each way, if both ways are equally likely: McNemar's exact test."""
    return float(scipy.stats.binomtest(int(first), int(first) + int(second), 0.5).pvalue)


def cues(inputs: FindingInputs) -> list[Finding]:
    """The class whose logit falls most under each variant, against the mean of the others."""
    table = inputs.tables["cues"].dropna()
    comparisons, found = len(table), []
    counts = np.bincount(inputs.record.run.labels, minlength=len(inputs.names))
    for variant, rows in table.groupby("variant", sort=False):
        others = (rows["drop"].sum() - rows["drop"]) / max(len(rows) - 1, 1)
        distance = ((rows["drop"] - others) / rows["error"])[rows["error"] > 0]
        if len(rows) < 2 or distance.empty:
            continue
        row, average = rows.loc[distance.idxmax()], float(others[distance.idxmax()])
        index, drop = int(row["class_index"]), float(row["drop"])
        freedom = counts[index] - 1
        p = float(scipy.stats.t.sf((drop - average) / row["error"], freedom))
        half = row["error"] * scipy.stats.t.ppf((1 + joint_level(comparisons)) / 2, freedom)
        text = (
            f"“{inputs.names[index]}” loses {drop:.1f} standard deviations of its logit under "
            f"{inputs.variant(str(variant))}; the other classes lose {average:.1f} on average."
        )
        low, high, strength = float(drop - half), float(drop + half), float(np.clip((drop - average - half) / 5, 0, 1))
        query = {"epoch": inputs.last, "variant": str(variant), "class": str(inputs.ids[index])}
        tested = _tested(p, comparisons, query)
        found.append(Finding("cue", text, drop, low, high, "sd", "robustness", strength, **tested))
    return found


def error_detection(inputs: FindingInputs) -> list[Finding]:
    """Whether map scores detect wrong predictions better than the softmax does: the paper's conjecture, tested."""
    table = inputs.tables["failure_ranking"]
    maps = table[table["kind"] == "map"]
    if maps["gain_low"].isna().all():  # no wrong predictions, or too few for an interval
        return []
    best = maps.loc[maps["auroc"].idxmax()]
    reference = float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    low, high = float(best["gain_low"]), float(best["gain_high"])
    outcome = "are not shown to detect wrong predictions better or worse"
    if low > 0 or high < 0:
        outcome = f"detect wrong predictions {'better' if low > 0 else 'less well'}"
    text = (
        f"The maps {outcome} than the softmax: their best score, “{best['label']}”, reaches an AUROC of "
        f"{best['auroc']:.3f}, the maximum softmax {reference:.3f} ({int(best['images'])} images)."
    )
    strength = float(np.clip(2 * max(low, -high, 0.05), 0, 1))
    tested: dict[str, Any] = {"comparisons": len(table) - 1, "query": {"epoch": inputs.last}}
    return [Finding("failure_ranking", text, float(best["gain"]), low, high, "AUROC", "trust", strength, **tested)]


def corrections(inputs: FindingInputs) -> list[Finding]:
    """How few cells have to be removed to correct the wrong predictions."""
    record, run = inputs.record, inputs.record.run
    wrong = ~record.correct[0]
    count, size = int(wrong.sum()), int(np.prod(run.map_shape))
    if not count or size == 1:
        return []
    cells = run.column("correction_cells", epoch=inputs.last, variant=record.clean)[wrong]
    winners = run.column("corrected_prediction", epoch=inputs.last, variant=record.clean)[wrong]
    third = int((winners != run.labels[wrong]).sum())
    few = max(size // 16, 1)
    by_few = int((cells <= few).sum())
    low, high = map(float, wilson(by_few, count))
    half = int(np.quantile(cells, 0.5, method="inverted_cdf"))
    start = "Removing" if run.description.has_exact_cells else "An estimate: removing"
    text = (
        f"{start} {few} of the {size} cells from the maps lets the true class draw level in "
        f"{percent(by_few / count, 0)} of "
        f"the {count} wrong prediction{'' if count == 1 else 's'}; half of them need {half} at most"
        + (f". In {percent(third / count, 0)} of all a third class wins then." if third else ".")
    )
    query = {"epoch": inputs.last, "sort": "fewest_cells"}
    strength = low / 2  # about all classes: findings about a single one rank higher
    return [Finding("correction", text, by_few / count, low, high, "share", "failures", strength, query=query)]


def localisation(inputs: FindingInputs) -> list[Finding]:
    """Whether the maps locate the object or encode the class, by the quantity that decides it."""
    table = inputs.tables["localisation"].set_index("quantity")
    quantity = deciding_quantity(inputs.tables["localisation"])
    if quantity is None:
        return []
    value, low, high = table.loc[quantity, ["value", "low", "high"]].astype(float)
    if not np.isfinite([low, high]).all():  # too few images
        return []
    outcome = {
        "locates": "The maps locate the object" if quantity == "object_following" else "The maps move with the images",
        "encodes": "The maps encode the class but do not locate the object",
        "unknown": "Whether the maps locate the object or encode the class stays open",
    }[localisation_of(inputs.tables["localisation"])]
    shown = []
    if "object_following" in table.index:
        own, others, followed = (
            percent(float(table.loc[name, "value"]), 0)
            for name in ("evidence_on_object", "evidence_on_others", "object_following")
        )
        shown.append(
            f"{own} of their evidence lies on the image's own object and {others} on those of the class's "
            f"other images, {followed} of what a map in the object's shape would gain"
        )
    if "shift_following" in table.index:
        moved = percent(float(table.loc["shift_following", "value"]), 0)
        shown.append(f"their centres move {moved} of the way with the images that are shifted")
    text = f"{outcome}: {'; '.join(shown)}."
    query = {"epoch": inputs.last}
    return [Finding("localisation", text, value, low, high, "share", "trust", strength=0.6, query=query)]


def similar_maps(inputs: FindingInputs) -> list[Finding]:
    """How similar the maps of one class are, compared with those of two classes."""
    table = inputs.tables["localisation"].set_index("quantity")
    if not {"within_class", "between_classes"} <= set(table.index):
        return []
    value, low, high = table.loc["within_class", ["value", "low", "high"]].astype(float)
    if not np.isfinite([low, high]).all():  # a single class
        return []
    other = float(table.loc["between_classes", "value"])
    text = (
        f"The maps of two images of one class have a mean cosine similarity of {value:.2f}, those of two classes "
        f"{other:.2f}."
    )
    strength = float(np.clip(low - other, 0, 1)) / 2  # about all classes: findings about a single one rank higher
    return [Finding("similarity", text, value, low, high, "cosine", "patterns", strength)]


def ensembles(inputs: FindingInputs) -> list[Finding]:
    """What an ensemble of recorded epochs or variants would have gained."""
    table = inputs.tables["ensembles"].iloc[1:]
    table = table[np.isfinite(table["gain_low"]) & (table["newly_correct"] + table["newly_wrong"] > 0)]
    if table.empty:
        return []
    best = table.loc[table["gain"].abs().idxmax()]
    gain, p = float(best["gain"]), paired_p(best["newly_correct"], best["newly_wrong"])
    wider = scipy.stats.norm.ppf((1 + joint_level(len(table))) / 2) / scipy.stats.norm.ppf(0.975)
    wider *= (best["gain_high"] - best["gain_low"]) / 2
    members = best["label"][0].lower() + best["label"][1:]
    members = members if best["name"] == "variants" else f"the {members}"
    text = (
        f"Averaging the probabilities of {members} {'gains' if gain > 0 else 'loses'} "
        f"{abs(100 * gain):.1f} points of accuracy over the last epoch alone."
    )
    low, high, strength = float(gain - wider), float(gain + wider), float(np.clip(5 * (abs(gain) - wider), 0, 1))
    return [Finding("ensemble", text, gain, low, high, "share", "learning", strength, **_tested(p, len(table), {}))]


def formation(inputs: FindingInputs) -> list[Finding]:
    """The classes whose images' maps take their final form first and last."""
    epochs, labels = inputs.tables["images"]["formation"].to_numpy(), inputs.record.run.labels
    enough = np.bincount(labels[epochs > 0], minlength=len(inputs.names)) > 1
    known = (epochs > 0) & enough[labels]
    classes = np.unique(labels[known])
    if len(classes) < 2 or np.ptp(epochs[known]) == 0:
        return []
    widest = widest_difference(epochs[known], labels[known], level=joint_level(1))
    first, last = (epochs[known & (labels == label)].mean() for label in (widest.lowest, widest.highest))
    text = (
        f"The maps of “{inputs.names[widest.lowest]}” have their final form from epoch {first:.1f} on, "
        f"those of “{inputs.names[widest.highest]}” from epoch {last:.1f} on (means)."
    )
    span = max(inputs.record.epochs[-1] - inputs.record.epochs[0], 1)
    tested: dict[str, Any] = {
        "p": widest.p,  # needs no adjustment: the relabelled differences are the widest ones, too
        "comparisons": len(classes) * (len(classes) - 1) // 2,
        "query": {"class": str(inputs.ids[widest.highest])},
    }
    strength = float(np.clip(widest.low / span, 0, 1))
    return [Finding("formation", text, widest.value, widest.low, widest.high, "epochs", "learning", strength, **tested)]


def map_lead(inputs: FindingInputs) -> list[Finding]:
    """Whether maps reach their final form before or after the prediction stabilises.

    No statement where even the maps of two classes are that similar: a constant in all its maps makes a CAM's similar.
    """
    # Any two maps of a CAM have a cosine of 0.99, so 99.9 % of its maps came "first". It is a count and not
    # a test: with independent predictions the map would come second by construction.
    quantities = inputs.tables["localisation"].set_index("quantity")["value"]
    if quantities.get("between_classes", 0.0) >= FORMED:
        return []
    lead = inputs.tables["images"]["map_lead"].to_numpy()
    ahead, differing = int((lead > 0).sum()), int((lead != 0).sum())
    if not differing:
        return []
    order = "before" if 2 * ahead >= differing else "after"
    shown = ahead if order == "before" else differing - ahead
    low, high = map(float, wilson(shown, differing))
    text = (
        f"The map of the true class takes its final form (cosine of {FORMED}) {order} the prediction stabilises in "
        f"{percent(shown / differing, 0)} of the {differing} images where the two do not coincide."
    )
    strength = float(np.clip(2 * low - 1, 0, 1)) / 2  # about all classes: findings about a single one rank higher
    kind = "formation before prediction"
    return [Finding(kind, text, shown / differing, low, high, "share", "learning", strength)]


def forgetting(inputs: FindingInputs) -> list[Finding]:
    """How many of the final errors were correct before."""
    history = inputs.tables["images"]["history"]
    forgotten, wrong = int((history == "forgotten").sum()), int(history.isin(["forgotten", "never correct"]).sum())
    if not forgotten or len(inputs.record.epochs) < 2:
        return []
    low, high = map(float, wilson(forgotten, wrong))
    text = f"{forgotten} of the {wrong} images that end up wrong were predicted correctly at an earlier epoch."
    return [Finding("forgetting", text, forgotten / wrong, low, high, "share", "learning", strength=low / 2)]


def persistent_error(inputs: FindingInputs) -> list[Finding]:
    """The most persistent error."""
    images, record = inputs.tables["images"], inputs.record
    worst = int(images["persistence"].to_numpy().argmax())
    row = images.iloc[worst]
    run, confidence, agreement = (float(row[name]) for name in ("error_run", "error_run_confidence", "agreement"))
    if run < 2:
        return []
    true_class, prediction = record.run.labels[worst], int(record.predictions[-1][0][worst])
    text = (
        f"Image {record.run.image_names[worst]} of “{inputs.names[true_class]}” has been predicted as "
        f"“{inputs.names[prediction]}” for {int(run)} epochs in a row with a mean confidence of "
        f"{percent(confidence, 0)}, and {percent(agreement, 0)} of the variants agree."
    )
    strength = run / len(record.epochs) * confidence * agreement / 2  # a count ranks below a tested statement
    query = {"image": worst, "epoch": inputs.last}
    return [Finding("persistence", text, run, run, run, "epochs", "image", strength, query=query)]


def resolved_pairs(inputs: FindingInputs) -> list[Finding]:
    """The confused pair that training resolved most clearly, by the images that changed."""
    table, record = inputs.tables["pairs"], inputs.record
    resolved = table[(table["resolved"] > 0) & (table["last_count"] == 0)]
    if resolved.empty:
        return []
    row = resolved.loc[resolved["peak_count"].idxmax()]
    true_class, prediction, peak = int(row["true_class_index"]), int(row["predicted_class_index"]), int(row["peak"])
    mine = record.run.labels == true_class
    before = record.predictions[record.epochs.index(peak)][0][mine] == prediction
    now = record.predictions[-1][0][mine] == prediction
    # Every pair that ever had three mistakes, at every epoch it could have peaked at; fewer could not pass the test.
    comparisons = len(table) * max(len(record.epochs) - 1, 1)
    p = paired_p(int((before & ~now).sum()), int((~before & now).sum()))
    low, high = _exact_interval(before.sum(), len(before), comparisons)
    text = (
        f"At epoch {peak}, {int(row['peak_count'])} of {len(before)} images of “{inputs.names[true_class]}” were "
        f"predicted as “{inputs.names[prediction]}”; at epoch {inputs.last} none is."
    )
    query = {"class": str(inputs.ids[true_class]), "prediction": str(inputs.ids[prediction]), "epoch": peak}
    tested, share = _tested(p, comparisons, query), float(before.mean())
    return [Finding("pair", text, share, low, high, "share", "confusion", float(np.sqrt(low * share)), **tested)]


def failing_clusters(inputs: FindingInputs) -> list[Finding]:
    """The cluster of a class's maps that fails most clearly against the rest of its class."""
    table, record = inputs.tables["clusters"], inputs.record
    split = table[table.groupby("class_index")["cluster"].transform("count") > 1]
    if split.empty:
        return []
    wrong = ~record.correct[0]
    member = inputs.tables["images"]["cluster"].to_numpy()
    tests = []
    for row in split.itertuples():
        mine = record.run.labels == row.class_index
        inside, outside = wrong[mine & (member == row.cluster)], wrong[mine & (member != row.cluster)]
        # Fisher's exact test, one-sided: at least as many wrong ones in a random draw from the class.
        drawn = (len(inside) + len(outside), inside.sum() + outside.sum(), len(inside))
        tests.append((float(scipy.stats.hypergeom.sf(inside.sum() - 1, *drawn)), inside, outside, row.class_index))
    p, inside, outside, label = min(tests, key=lambda entry: entry[0])
    low, high = _exact_interval(inside.sum(), len(inside), len(tests))
    text = (
        f"The maps of “{inputs.names[label]}” form {int((split['class_index'] == label).sum())} clusters, "
        f"and one of them fails: {int(inside.sum())} of its {len(inside)} images are wrong, {int(outside.sum())} "
        f"of the other {len(outside)}."
    )
    tested = _tested(p, len(tests), {"class": str(inputs.ids[label])})
    strength = float(max(low - outside.mean(), 0))
    return [Finding("cluster", text, float(inside.mean()), low, high, "share", "gallery", strength, **tested)]


def _tested(p: float, comparisons: int, query: dict[str, Any]) -> dict[str, Any]:
    """The fields of a tested finding, its p-value adjusted for the comparisons that it was picked from."""
    return {"p": adjusted(p, comparisons), "comparisons": comparisons, "query": query}


def _exact_interval(successes: ArrayLike, trials: int, comparisons: int) -> tuple[float, float]:
    """Interval of a share that was picked from several comparisons."""
    low, high = exact_interval(successes, trials, level=joint_level(comparisons))
    return float(low), float(high)


CANDIDATES = (
    predicted_as,
    accuracy_drops,
    cues,
    error_detection,
    corrections,
    localisation,
    similar_maps,
    ensembles,
    formation,
    map_lead,
    forgetting,
    persistent_error,
    resolved_pairs,
    failing_clusters,
)
_OF_MAPS = (error_detection, corrections, localisation, similar_maps, formation, map_lead, failing_clusters)


def candidates(inputs: FindingInputs) -> list[Finding]:
    """Every statement that the run allows, before the selection; none about maps where it has none."""
    asked = [candidate for candidate in CANDIDATES if inputs.record.run.has_maps or candidate not in _OF_MAPS]
    return [finding for candidate in asked for finding in candidate(inputs)]
