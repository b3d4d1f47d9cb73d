"""The effect of a perturbation: does the map change with the prediction, and which cue does a class rely on?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from store.format.description import Variant
from store.metrics.robustness import MOVED_BELOW, DoseLine, cue_order, cue_profile, dose_line
from store.read.run import Run

FEWEST_STRENGTHS = 3  # beside clean: a line is no question with fewer
_STRENGTH = re.compile(r"(_?\d+(\.\d+)?(e-?\d+)?)+$")  # "_0.0005", "3", "_1e-05"
OUTCOMES = ("stable", "different reason", "same mistake", "responsive", "unresponsive")


def evidence_under(run: Run, *, epoch: int, variant: str) -> pd.DataFrame:
    """A row per image: its prediction and the clean prediction's map under the variant, compared with clean.

    image, label, true_class, group, clean and perturbed (predictions as class indices), clean_correct,
    perturbed_correct, same_prediction, consistency, label_probability_drop (clean minus perturbed) and outcome, where
    moved means a consistency below 0.5: "stable" correct twice with its map, "different reason" correct twice though
    the map moved, "same mistake" wrong twice alike, "responsive" another prediction and a moved map, "unresponsive"
    another prediction though the map stayed.

    >>> queries.evidence_under(run, epoch=3, variant="gray")["outcome"].value_counts().to_dict()
    {'stable': 15, 'unresponsive': 3, 'same mistake': 2}
    """
    clean = run.variants[0]
    before, after = (run.column("prediction", epoch=epoch, variant=name) for name in (clean, variant))
    chances = [run.column("label_probability", epoch=epoch, variant=name) for name in (clean, variant)]
    consistency = run.column("consistency", epoch=epoch, variant=variant)
    labels = run.labels
    same, correct, moved = before == after, after == labels, consistency < MOVED_BELOW
    outcome = np.select([same & correct & ~moved, same & correct, same, moved], [0, 1, 2, 3], default=4)
    return pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "label": labels,
            "true_class": run.classes["name"].to_numpy()[labels],
            "group": run.classes["group"].to_numpy()[labels],
            "clean": before,
            "perturbed": after,
            "clean_correct": before == labels,
            "perturbed_correct": correct,
            "same_prediction": same,
            "consistency": consistency,
            "label_probability_drop": chances[0] - chances[1],
            "outcome": np.array(OUTCOMES, object)[outcome],
        }
    )


def corruption_errors(run: Run, *, epoch: int) -> dict[str, list[float]]:
    """Share of wrong predictions under each kind of perturbation, at its recorded strengths.

    Variants whose names differ only in a number at the end, such as blur3 and blur5, are strengths of one kind; those
    that changed no image are left out.

    >>> sorted(queries.corruption_errors(run, epoch=3))
    ['bgr', 'brg', 'gray', 'salt_pepper']
    """
    errors: dict[str, list[float]] = {}
    for variant in run.variants[1:]:
        if run.changed_images[variant]:
            wrong = run.column("prediction", epoch=epoch, variant=variant) != run.labels
            errors.setdefault(_kind(variant), []).append(float(wrong.mean()))
    return errors


def _kind(variant: str) -> str:
    """A variant's name without the number at its end."""
    return _STRENGTH.sub("", variant)


def dose_curves(run: Run, *, epoch: int) -> pd.DataFrame:
    """A row per strength of each kind of perturbation that was recorded at three or more: how does its dose work?

    kind (the common beginning of the variants' names), parameter (what the strength is, as the variants name it),
    strength, variant, variant_label, images, top1, mean_confidence (of the prediction), and for the whole kind, in each
    of its rows, the straightness of mean_confidence: slope, explained, bend, low and high of
    `store.metrics.robustness.dose_line`. The clean images are the strength 0 of every kind. No rows without such kinds.

    >>> queries.dose_curves(run, epoch=3).empty
    True
    """
    kinds: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for variant in (run.variant(name) for name in run.variants[1:]):
        strength = _only_strength(variant)
        if strength is not None and run.changed_images[variant.name]:
            kind, parameter = _kind(variant.name), next(iter(variant.parameters))
            kinds.setdefault((kind, parameter), []).append((strength, variant.name))
    tables = [
        _dose_curve(run, epoch, [(0.0, run.variants[0]), *sorted(doses)]).assign(kind=kind, parameter=parameter)
        for (kind, parameter), doses in kinds.items()
        if len({strength for strength, _ in doses} - {0.0}) >= FEWEST_STRENGTHS
    ]
    columns = ["kind", "parameter", "strength", "variant", "variant_label", "images", "top1", "mean_confidence"]
    columns += [each.name for each in fields(DoseLine)]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _only_strength(variant: Variant) -> float | None:
    """The one number that says how strong a variant is; None where it has none or several."""
    values = list(variant.parameters.values())
    is_number = len(values) == 1 and isinstance(values[0], int | float) and not isinstance(values[0], bool)
    return float(values[0]) if is_number and math.isfinite(values[0]) else None


def _dose_curve(run: Run, epoch: int, doses: Sequence[tuple[float, str]]) -> pd.DataFrame:
    variants = [variant for _, variant in doses]
    strengths = [strength for strength, _ in doses]
    confidence = np.stack([run.column("confidence", epoch=epoch, variant=each) for each in variants], axis=1)
    correct = [run.column("prediction", epoch=epoch, variant=each) == run.labels for each in variants]
    return pd.DataFrame(
        {
            "strength": strengths,
            "variant": variants,
            "variant_label": [run.variant(each).label for each in variants],
            "images": len(run.labels),
            "top1": np.mean(correct, axis=1),
            "mean_confidence": confidence.mean(0, dtype=np.float64),
            **asdict(dose_line(strengths, confidence)),
        }
    )


def cue_profiles(run: Run, *, epoch: int) -> pd.DataFrame:
    """A row per variant but clean and class, how much of its logit the class loses: how far it relies on that cue.

    variant, class_index, name, group, drop (in standard deviations of the clean logit; NaN without images), error
    (its standard error), order (position of the class when similar cue profiles are side by side).

    >>> queries.cue_profiles(run, epoch=3).groupby("variant")["drop"].mean().idxmax()
    'brg'
    """
    logits = np.stack([run.column("label_logit", epoch=epoch, variant=variant) for variant in run.variants])
    cues = cue_profile(logits, run.labels, len(run.classes))
    position = np.empty(len(run.classes), np.int64)
    position[cue_order(cues.drop[1:].T)] = np.arange(len(position))
    classes = run.classes.reset_index()[["class_index", "name", "group"]]
    tables = [
        classes.assign(variant=variant, drop=cues.drop[number], error=cues.error[number], order=position)
        for number, variant in enumerate(run.variants)
        if number > 0
    ]
    columns = ["variant", "class_index", "name", "group", "drop", "error", "order"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
