"""Statements about maps: do they detect errors, locate the object, encode the class, and where does that come from?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.confidence_scores import FAMILIES, REFERENCE
from store.analysis.finding_inputs import FindingInputs, joint_interval, tested, widening
from store.analysis.findings import Finding, adjusted, significant
from store.analysis.localisation import FOLLOWS, class_gap_is_clear, deciding_quantity, localisation_of, localisation_p
from store.metrics import correction, learning, maps
from store.metrics.intervals import exact_interval, normal_p, wilson
from store.metrics.significance import paired_p, relabelled, relabelled_p, stratified_p
from store.rates import FEW, percent, rate, rate_among

# Of the last kernel to its initial value: a metric of each epoch, where it was recorded.
KERNEL = "last_kernel_similarity"
SURER = 0.3  # rank correlation with confidence from which maps count as surer
FEWEST_RANKED = 30  # images: a rank correlation of fewer reaches 1 by chance
STRATUM = 5  # images of one class with neighbouring logits, among which a cluster is compared


def error_detection(inputs: FindingInputs) -> list[Finding]:
    """Whether map scores detect wrong predictions better than the softmax does: the paper's conjecture, tested."""
    table = inputs.tables["failure_ranking"]
    of_maps = table[table["kind"].isin(FAMILIES)]
    if of_maps["gain_low"].isna().all():  # no wrong predictions, or too few for an interval
        return []
    best = of_maps.loc[of_maps["auroc"].idxmax()]
    reference = float(table.loc[table["score"] == REFERENCE, "auroc"].iloc[0])
    p = float(best["gain_p"])
    outcome = "are not shown to detect wrong predictions better or worse"
    if significant(p):
        outcome = f"detect wrong predictions {'better' if best['gain'] > 0 else 'less well'}"
    leaders = of_maps.loc[of_maps.groupby("kind", sort=False)["auroc"].idxmax()]
    shown = (
        f"{row.auroc:.3f} by their {row.kind} (“{row.label}”)"
        for row in leaders.sort_values("auroc", ascending=False).itertuples()
    )
    text = (
        f"The maps {outcome} than the softmax: an AUROC of {', '.join(shown)}, against {reference:.3f} for the "
        f"maximum softmax ({int(best['images'])} images, {int(best['errors'])} of them wrong)."
    )
    low, high = float(best["gain_low"]), float(best["gain_high"])
    strength = float(np.clip(2 * max(low, -high, 0.05), 0, 1))
    fields: dict[str, Any] = {"p": p, "comparisons": len(table) - 1, "query": {"epoch": inputs.last}, "no_effect": 0.0}
    return [Finding("failure_ranking", text, float(best["gain"]), low, high, "AUROC", "trust", strength, **fields)]


def surer_maps(inputs: FindingInputs) -> list[Finding]:
    """Whether brighter and sharper maps come with a higher confidence, as the paper guesses (sec. 5.2)."""
    table = inputs.tables["map_confidence"].dropna().set_index("measure")
    if set(table.index) != {"peak", "sharpness"} or len(inputs.record.run.labels) < FEWEST_RANKED:
        return []
    outcomes = {}
    for measure, word in (("peak", "brighter"), ("sharpness", "sharper")):
        row = table.loc[measure]
        p = max(_surer_p(row, name) for name in ("overall", "within"))
        surer = significant(adjusted(p, len(table)))
        text = f"{word} maps are {'' if surer else 'not '}clearly surer ({row['overall']:.2f}; {row['within']:.2f})"
        outcomes[measure] = (surer, p, text)
    measure = "peak" if outcomes["peak"][0] or not outcomes["sharpness"][0] else "sharpness"
    both = f"{outcomes['peak'][2]}, {outcomes['sharpness'][2]}"
    text = (
        f"{both[0].upper()}{both[1:]}: rank correlation with the confidence P_k, over all images and within the images "
        f"predicted as one class; clearly means above {SURER}."
    )
    value = float(table.loc[measure, "overall"])
    low, high = _joint_correlation_interval(table.loc[measure], len(table))
    fields = tested(outcomes[measure][1], len(table), {"epoch": inputs.last}) | {"no_effect": SURER}
    return [Finding("surer", text, value, low, high, "rank correlation", "trust", float(abs(value)) / 2, **fields)]


def _surer_p(row: pd.Series, name: str) -> float:
    """One-sided p-value of a rank correlation of `SURER` at most, from its interval on Fisher's scale."""
    value, low, high, limit = np.arctanh(
        np.clip([row[name], row[f"{name}_low"], row[f"{name}_high"], SURER], -1 + 1e-6, 1 - 1e-6)
    )
    return normal_p(value - limit, low - limit, high - limit)


def _joint_correlation_interval(row: pd.Series, comparisons: int) -> tuple[float, float]:
    """The interval of an overall rank correlation, widened on Fisher's scale to hold for several jointly."""
    value, *ends = row[["overall", "overall_low", "overall_high"]].astype(float)
    centre = np.arctanh(np.clip(value, -1 + 1e-6, 1 - 1e-6))
    reach = np.arctanh(np.clip(ends, -1 + 1e-6, 1 - 1e-6)) - centre
    low, high = np.tanh(centre + widening(comparisons) * reach)
    return min(value, float(low)), max(value, float(high))


def corrections(inputs: FindingInputs) -> list[Finding]:
    """How few cells have to be removed to correct the wrong predictions, and how often that turns the correct ones."""
    record, run, final = inputs.record, inputs.record.run, inputs.final
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
    half, never = int(np.quantile(cells, 0.5, method="inverted_cdf")), float((cells == size).mean())
    most = f"half of them need {half} at most" if half < size else f"in {percent(never, 0)} of them only all cells do"
    d = correction.difference(final.predicted_class_maps[wrong], final.true_class_maps[wrong])
    random = float(correction.random_correction_share(d, few).mean())
    cells_of = "1 cell is" if few == 1 else f"{few} cells are"
    start = "Removing" if run.description.has_exact_cells else "An estimate: removing"
    parts = [
        f"{start} {few} of the {size} cells from the maps lets the true class draw level in "
        f"{rate_among(by_few / count, count)} wrong prediction{'' if count == 1 else 's'}, as many "
        f"at random in {percent(random, 0)}; {most}."
    ]
    if final.cells_to_flip is not None and not wrong.all():
        turned = final.cells_to_flip[~wrong] <= few
        parts.append(
            f"Correct predictions turn, too: {cells_of} enough for the runner-up in "
            f"{rate_among(turned.mean(), len(turned))}."
        )
    if third:
        wins = f"{percent(third / count, 0)} of the" if count >= FEW else f"{third} of the {count}"
        parts.append(f"Once the cells are gone, a third class wins in {wins} wrong ones.")
    query = {"epoch": inputs.last, "sort": "fewest_cells"}
    strength = low / 2  # about all classes: findings about a single one rank higher
    value, text = by_few / count, " ".join(parts)
    return [Finding("correction", text, value, low, high, "share", "failures", strength, query=query, no_effect=random)]


_OUTCOMES = {
    "locates": "The maps locate the object",
    "moves": "The maps move with the images",
    "encodes": "The maps encode the class but do not follow the object",
    "neither": "The maps do not follow the object, and hardly show the class",
    "unknown": "Whether the maps locate the object or encode the class stays open",
}


def localisation(inputs: FindingInputs) -> list[Finding]:
    """Whether the maps locate the object or encode the class, by the quantity that decides it."""
    table = inputs.tables["localisation"].set_index("quantity")
    quantity = deciding_quantity(inputs.tables["localisation"])
    if quantity is None:
        return []
    value, low, high = table.loc[quantity, ["value", "low", "high"]].astype(float)
    if not np.isfinite([low, high]).all():  # too few images
        return []
    outcome = localisation_of(inputs.tables["localisation"])
    p = localisation_p(inputs.tables["localisation"])
    if outcome == "locates" and quantity == "shift_following":
        outcome = "moves"
    text = f"{_OUTCOMES[outcome]}: {'; '.join(_localisation_figures(table['value']))}."
    fields: dict[str, Any] = {"p": p, "query": {"epoch": inputs.last}, "no_effect": FOLLOWS, "strength": 0.6}
    return [Finding("localisation", text, value, low, high, "share", "trust", **fields)]


def _localisation_figures(values: pd.Series) -> list[str]:
    shown = []
    if "object_following" in values.index:
        own, others, followed = (
            percent(float(values[name]), 0) for name in ("evidence_on_object", "evidence_on_others", "object_following")
        )
        gain = f", a difference that is {followed} of what a map in the shape of the object would reach"
        shown.append(
            f"{own} of their evidence lies on the object of the image and {others} on the objects of the class's other "
            f"images{gain if values['object_following'] > 0 else ': no more than by chance'}"
        )
    if "shift_following" in values.index:
        along = float(values["shift_following"])
        moved = f"move {percent(along, 0)} of the way" if along > 0 else "do not move"
        shown.append(f"their centres {moved} with the images that are shifted")
    return shown


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
        f"{other:.2f} (means over {int(inputs.tables['classes']['within_class'].count())} classes)."
    )
    strength = float(np.clip(low - other, 0, 1)) / 2  # about all classes: findings about a single one rank higher
    return [Finding("similarity", text, value, low, high, "cosine", "patterns", strength, no_effect=other)]


def seed(inputs: FindingInputs) -> list[Finding]:
    """Whether the untrained network already has the class patterns: how well they pick out the final ones."""
    record = inputs.record
    if record.epochs[0] != 0 or len(record.epochs) < 2:
        return []
    initial, final = record.run.patterns(epoch=0, variant=record.clean), inputs.final.patterns
    known = np.flatnonzero((np.abs(initial).max((1, 2)) > 0) & (np.abs(final).max((1, 2)) > 0))
    if len(known) < 3:
        return []
    similarity = maps.cosine(initial[known, None], final[known])
    first = similarity.argmax(1)
    hits, count = int((first == np.arange(len(known))).sum()), len(known)
    chance = relabelled(count, lambda order: float((first == order).sum()))
    p = float(relabelled_p(chance, hits))
    low, high = map(float, exact_interval(hits, count))
    own = float(np.diagonal(similarity).mean())
    others = float(similarity[~np.eye(count, dtype=bool)].mean())
    rank = float(np.median((similarity >= np.diagonal(similarity)[:, None]).sum(1)))
    origin = "come in part" if significant(p) else "are not shown to come"
    text = (
        f"The class patterns {origin} from the random seed: the untrained network's pattern of a class picks out the "
        f"final one of that class first among {count} in {rate(hits / count, count)}"
        f"{' of the' if count >= FEW else ''} classes (by chance "
        f"{percent(1 / count)}; median rank {rank:g}), with a cosine similarity of {own:.2f}, against {others:.2f} to "
        f"those of other classes.{_kernel(inputs)}"
    )
    fields: dict[str, Any] = {"p": p, "no_effect": 1 / count, "query": {"epoch": 0}, "strength": 0.55}
    return [Finding("seed", text, hits / count, low, high, "share", "patterns", **fields)]


def _kernel(inputs: FindingInputs) -> str:
    """How far the last kernel has turned, where training recorded it."""
    metrics = inputs.record.run.metrics()
    if KERNEL not in metrics or not np.isfinite(metrics[KERNEL].iloc[-1]):
        return ""
    return f" The last kernel keeps a cosine similarity of {metrics[KERNEL].iloc[-1]:.2f} to its initial value."


def map_lead(inputs: FindingInputs) -> list[Finding]:
    """Whether maps reach their final form before or after the prediction stabilises.

    A map has formed once it is as similar to its final form as the maps of two images of its class are to each other.
    The answer depends on that limit, and predictions that never come to rest make any map the first. So it is given
    only where half and twice the distance from 1 give the same, and where the image's own map does so more often than
    another image's in its place.
    """
    if not class_gap_is_clear(inputs.tables["localisation"]):
        return []
    record, similarities = inputs.record, np.stack(inputs.record.similarities)
    stabilised = learning.stabilisation(np.stack([found[0] for found in record.predictions]))
    limit = inputs.final.formed
    tries = [_lead(stabilised, similarities, each) for each in (limit, (1 + limit) / 2, max(2 * limit - 1, 0))]
    shares, controls = (np.array([found[position] for found in tries]) for position in (0, 2))
    before = bool((shares > np.maximum(controls, 0.5)).all())
    if not before and not (shares < np.minimum(controls, 0.5)).all():  # not where any of them is unknown
        return []
    share, differing, control, _ = tries[0]
    ahead = share if before else 1 - share
    low, high = joint_interval(round(ahead * differing), differing, 1)
    text = (
        f"The map of the true class takes its final form (cosine similarity of {limit:.3g}, as within a class) "
        f"{'before' if before else 'after'} the prediction stabilises in {percent(ahead, 0)} of the {differing} images "
        f"where the two do not coincide; with another image's map in its place, in "
        f"{percent(control if before else 1 - control, 0)}."
    )
    strength = float(np.clip(2 * low - 1, 0, 1)) / 2  # about all classes: findings about a single one rank higher
    fields = tested(max(found[3] for found in tries), 1, {}) | {"no_effect": control if before else 1 - control}
    return [Finding("formation before prediction", text, ahead, low, high, "share", "learning", strength, **fields)]


def _lead(stabilised: NDArray, similarities: NDArray, limit: float) -> tuple[float, int, float, float]:
    """Share of images whose map is first, of how many where the two differ, the same with relabelled maps, and p."""
    formed = learning.formation(similarities, threshold=limit)

    def counts(order: NDArray) -> tuple[int, int]:
        lead = learning.map_lead(stabilised, formed[order])
        return int((lead > 0).sum()), int((lead != 0).sum())

    ahead, differing = counts(np.arange(len(formed)))
    if not differing:
        return float("nan"), 0, float("nan"), 1.0
    share = ahead / differing
    chance = relabelled(len(formed), lambda order: np.divide(*np.maximum(counts(order), (0, 1))))
    sign = 1 if share > 0.5 else -1
    p = max(2 * float(relabelled_p(sign * chance, sign * share)), paired_p(ahead, differing - ahead))
    return share, differing, float(chance.mean()), min(p, 1.0)


def failing_clusters(inputs: FindingInputs) -> list[Finding]:
    """The cluster of a class's maps that fails most clearly against images of its class with the same logit."""
    table, record, run = inputs.tables["clusters"], inputs.record, inputs.record.run
    split = table[table.groupby("class_index")["cluster"].transform("count") > 1]
    if split.empty:
        return []
    wrong, member = ~record.correct[0], inputs.tables["images"]["cluster"].to_numpy()
    logits = run.column("label_logit", epoch=inputs.last, variant=record.clean)
    tests = []
    for row in split.itertuples():
        mine = np.flatnonzero(run.labels == row.class_index)
        # A faint map has a low logit, which is what being wrong is: clusters by that alone fail in nearly every class.
        strata = np.argsort(np.argsort(logits[mine], kind="stable"), kind="stable") // STRATUM
        inside, failed = member[mine] == row.cluster, wrong[mine]
        tests.append((stratified_p(inside, failed, strata), failed[inside], failed[~inside], row.class_index))
    p, inside, outside, label = min(tests, key=lambda entry: entry[0])
    low, high = joint_interval(inside.sum(), len(inside), len(tests))
    text = (
        f"The maps of “{inputs.names[label]}” form {int((split['class_index'] == label).sum())} clusters, and one of "
        f"them fails more often than its logits explain: {int(inside.sum())} of its {len(inside)} images are wrong, "
        f"{int(outside.sum())} of the other {len(outside)}."
    )
    fields = tested(p, len(tests), {"class": str(inputs.ids[label])}) | {"no_effect": float(outside.mean())}
    strength = float(max(low - outside.mean(), 0))
    return [Finding("cluster", text, float(inside.mean()), low, high, "share", "gallery", strength, **fields)]
