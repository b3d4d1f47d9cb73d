"""Statements about variants: what they make of a class, what accuracy they cost, which class relies on a cue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.analysis.finding_inputs import FindingInputs, joint_interval, tested
from store.analysis.findings import Finding, joint_level
from store.metrics.confusion import group_confusion
from store.metrics.intervals import mean_interval
from store.metrics.significance import increase_p, outstanding, paired_p
from store.queries.health import prediction_degeneracies
from store.rates import percent

LEAST_DROP = 0.1  # standard deviations of a logit: less may be the quantisation of the maps


def predicted_as(inputs: FindingInputs) -> list[Finding]:
    """Classes (or groups) that a variant makes the network predict as another one."""
    run = inputs.record.run
    counts = np.stack([run.confusion(epoch=inputs.last, variant=variant) for variant in run.variants])
    found = _strongest_switches(inputs, counts)
    groups = list(dict.fromkeys(run.classes["group"]))
    if 1 < len(groups) < len(counts[0]):
        found += _strongest_switches(inputs, counts, groups)
    return found


def _strongest_switches(inputs: FindingInputs, of_classes: NDArray, groups: list[str] | None = None) -> list[Finding]:
    """For each variant, the class (or group) that it most often turns into another one.

    Of each only one other is a candidate: the one that it is predicted as most often, clean and perturbed together, so
    that the choice does not favour either.

    Args:
        of_classes: (V, C, C) confusions. groups: their names, where groups are asked for.
    """
    variants, names = inputs.record.run.variants, inputs.names if groups is None else np.array(groups)
    group_of = (
        np.arange(len(names)) if groups is None else inputs.record.run.classes["group"].map(groups.index).to_numpy()
    )
    counts, images = _between(of_classes, group_of, len(names)), np.bincount(group_of, of_classes[0].sum(1)).astype(int)
    comparisons, each = (len(variants) - 1) * int((images > 0).sum()), np.arange(len(names))
    found = []
    for number, variant in enumerate(variants[1:], start=1):
        pooled = counts[0] + counts[number]
        np.fill_diagonal(pooled, -1)
        other = pooled.argmax(1)
        rises = (counts[number] - counts[0])[each, other] / np.sqrt(np.maximum(images, 1))
        true_class = int(rises.argmax())
        prediction, of = int(other[true_class]), int(images[true_class])
        times, clean = (int(counts[row, true_class, prediction]) for row in (number, 0))
        if times <= clean or _problems(inputs, variant):
            continue
        low, high = joint_interval(times, of, comparisons)
        query: dict[str, Any] = {"epoch": inputs.last, "variant": variant}
        p, noun = increase_p(clean, times, of), ""
        if groups is None:
            query |= {"class": str(inputs.ids[true_class]), "prediction": str(inputs.ids[prediction])}
        else:
            members, noun = group_of == true_class, "the group "
            switched = of_classes[[0, number]][:, members][:, :, group_of == prediction].sum(2)
            p = max(p, _p_without_strongest(switched, of_classes[0][members].sum(1)))
        text = (
            f"Under {inputs.variant(variant)}, {times} of {of} images of {noun}“{names[true_class]}” are predicted as "
            f"“{names[prediction]}”; clean, {clean} {'is' if clean == 1 else 'are'}."
        )
        kind, strength = "group predicted as" if noun else "predicted as", float(np.sqrt(low * times / of))
        fields = tested(p, comparisons, query) | {"no_effect": clean / of}
        found.append(Finding(kind, text, times / of, low, high, "share", "confusion", strength, **fields))
    return found


def _between(of_classes: NDArray, group_of: NDArray, groups: int) -> NDArray:
    """Confusions between groups, (V, G, G); 0 between two of one class each, where it is the classes' statement."""
    if groups == len(group_of):
        return of_classes
    several = np.bincount(group_of) > 1
    return group_confusion(of_classes, group_of, groups) * (several[:, None] | several)


def _p_without_strongest(switched: NDArray, images: NDArray) -> float:
    """P-value of the rise in a group without the class that rises most: else the group would repeat that class.

    Args:
        switched: (2, classes) images of each class of the group predicted as the other group, clean and perturbed.
        images: (classes,), of each class.
    """
    others = np.arange(len(images)) != (switched[1] - switched[0]).argmax()
    before, after = switched[:, others].sum(1)
    return increase_p(int(before), int(after), int(images[others].sum()))


def _problems(inputs: FindingInputs, variant: str) -> list[str]:
    """Why nothing should be concluded about single classes under a variant; empty where nothing forbids it."""
    found = prediction_degeneracies(inputs.record.run, epoch=inputs.last, variant=variant)
    return [problem.text for problem in found]


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
        text = (
            f"Under {inputs.variant(variant)} the accuracy {'falls' if mean > 0 else 'rises'} from {before} to {after} "
            f"of {len(drop)} images."
        )
        text = " ".join((text, *_problems(inputs, variant)))
        fields = tested(p, comparisons, {"epoch": inputs.last, "variant": variant}) | {"no_effect": 0.0}
        strength = max(min(low, 1.0), 0.0)
        found.append(Finding("accuracy", text, mean, low, high, "share", "robustness", strength, **fields))
    return found


def cues(inputs: FindingInputs) -> list[Finding]:
    """The class whose logit falls most clearly under each variant, against the mean of the others."""
    record, run = inputs.record, inputs.record.run
    profile, labels = record.cues[-1], run.labels
    # In the unit of the cue profile, which does not exist where the logits of a class do not differ.
    drops = record.label_logit_drops / profile.deviation if profile.deviation > 0 else np.zeros((0, len(labels)))
    classes = len(np.unique(labels))
    if not len(drops) or classes < 2 or classes == len(labels):
        return []
    comparisons, found = len(drops) * classes, []
    picked = outstanding(drops, labels, level=joint_level(1))
    for row, variant in enumerate(run.variants[1:]):
        value, low, high, others = (
            float(column[row]) for column in (picked.value, picked.low, picked.high, picked.others)
        )
        index = int(picked.class_index[row])
        images = int((labels == index).sum())
        if value - others < LEAST_DROP or _problems(inputs, variant):
            continue
        rest = "the other class loses" if classes == 2 else "the other classes lose"
        text = (
            f"“{inputs.names[index]}” ({images} image{'' if images == 1 else 's'}) loses {value:.1f} standard "
            f"deviations of its logit under {inputs.variant(variant)}; {rest} "
            f"{others:z.1f}{'' if classes == 2 else ' on average'}."
        )
        query = {"epoch": inputs.last, "variant": variant, "class": str(inputs.ids[index])}
        strength = float(np.clip((low - others) / 5, 0, 1))
        # Needs no further adjustment: the relabelled figures are the largest of all classes and variants, too.
        fields: dict[str, Any] = {"p": float(picked.p[row]), "comparisons": comparisons, "query": query}
        found.append(Finding("cue", text, value, low, high, "sd", "robustness", strength, no_effect=others, **fields))
    return found
