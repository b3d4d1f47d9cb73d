"""What a perturbation must do to phantom images, beside what it did."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.findings import Subject, share
from compute.data.phantom.dataset import class_parts, gray_sibling, reordered_sibling

REORDERED = {"bgr": (2, 1, 0), "brg": (2, 0, 1)}
HUES = ("red", "green", "blue", "gray")


def known_answers(subject: Subject) -> dict[str, str]:
    """For each variant and hue, how often the prediction is the class that the perturbed image belongs to.

    Of the images that are answered rightly when clean; a network that sees what was made would reach 100 %.
    """
    if not subject.phantom or len(subject.run.classes) != 200:
        return {}
    run = subject.run
    clean = run.column("prediction", epoch=subject.last, variant=subject.clean)
    hues = np.array([class_parts(index)[1] for index in range(200)])[run.labels]
    rows = {}
    for variant, target, reported in _targets(run.variants):
        prediction = run.column("prediction", epoch=subject.last, variant=variant)
        for hue in HUES:
            chosen = (clean == run.labels) & (hues == hue)
            moved = hues_of(target)[run.labels[chosen][0]] if chosen.any() else hue
            hit = (prediction == target[run.labels])[chosen]
            rows[f"{variant}: {hue} {reported} {moved}"] = share(hit.sum(), chosen.sum())
    return rows | _melted(subject, clean)


def hues_of(target: NDArray[np.int64]) -> NDArray:
    """Hue of the class that each class turns into, (C,)."""
    return np.array([class_parts(int(index))[1] for index in target])


def _targets(variants: tuple[str, ...]) -> list[tuple[str, NDArray[np.int64], str]]:
    targets = [
        (name, np.array([reordered_sibling(index, channels) for index in range(200)]), "is predicted as its sibling in")
        for name, channels in REORDERED.items()
        if name in variants
    ]
    if "gray" in variants:
        targets.append(
            ("gray", np.array([gray_sibling(index) for index in range(200)]), "is predicted as its sibling in")
        )
    return targets


def _melted(subject: Subject, clean: NDArray) -> dict[str, str]:
    """Whether a wide blur turns stripes into plain colour, and leaves plain colour as it is."""
    run = subject.run
    if "blur5" not in run.variants:
        return {}
    prediction = run.column("prediction", epoch=subject.last, variant="blur5")
    striped = np.array([class_parts(index)[2] == "striped" for index in range(200)])[run.labels]
    right = clean == run.labels
    melted, kept = right & striped, right & ~striped
    return {
        "blur5: striped is predicted as its plain sibling": share(
            (prediction == run.labels - 1)[melted].sum(), melted.sum()
        ),
        "blur5: plain stays what it is": share((prediction == run.labels)[kept].sum(), kept.sum()),
    }
