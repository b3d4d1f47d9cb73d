"""What a run has, and what its maps are in plain words: exact, an estimate, relative to a mean, or absent."""

from __future__ import annotations

import math
import re
from pathlib import PurePath

import pandas as pd

from dashboard.shared.theme import plural
from store import Run
from store.format.description import TOP

_MEANINGS = {
    "network": "The class maps are the network's own last layer. The mean of a class's map is its logit, exactly.",
    "exact": "The class maps were derived from a trained network whose head is affine after its average pooling. The "
    "mean of a class's map is its logit, exact up to rounding.",
    "frozen_norm": "The class maps were derived from a trained network, with its last normalisation held at the values "
    "of each image. The mean of a class's map is its logit, but what removing cells would do is an estimate.",
    "linearised": "The class maps are a linear approximation of a trained network's head at each image. The mean of a "
    "class's map is its logit, but how much each cell contributes, and what removing it would do, is an estimate.",
    "none": "This run has predictions only. It has no class maps, so the pages leave out what needs them.",
}
_RELATIVE = (
    "What all classes share does not change a probability, so each map is relative to the mean map of all classes of "
    "its image: cells above that mean support the class, cells below speak against it."
)
_COLOUR = ("gray", "bgr", "brg")
# Columns of the predictions that describe maps.
MAP_COLUMNS = (
    *("sharpness", "map_entropy", "peak_share", "peak", "similarity", "predicted_similarity", "overlap", "consistency"),
    *("correction_cells", "corrected_prediction"),
)


def has_top5(run: Run) -> bool:
    """Whether the five most probable classes are not all the classes there are."""
    return len(run.classes) > TOP


def trained_epochs(run: Run) -> int:
    """How many epochs follow a training: all but epoch 0, the network before its first step."""
    return sum(epoch > 0 for epoch in run.epochs)


def epochs_recorded(run: Run) -> str:
    """How many of the planned epochs are recorded, as far as these are known, and whether the untrained network is."""
    trained, planned = trained_epochs(run), run.planned_epochs
    epochs = f"{trained} of {plural(planned, 'epoch')}" if planned else plural(trained, "epoch")
    return f"{epochs} recorded" + (", and epoch 0" if 0 in run.epochs else "")


def accuracy_figures(run: Run) -> tuple[tuple[str, str], ...]:
    """Label and column of the figures that describe an accuracy."""
    top5 = (("Top-5", "top5"),) if has_top5(run) else ()
    return (("Top-1", "top1"), *top5, ("Mean confidence", "mean_confidence"))


def is_tiny_imagenet(run: Run) -> bool:
    """Whether the run's images are those of the paper, so that its accuracies may stand beside the paper's."""
    data = run.configuration.get("data")
    named = (data.get("name"), data.get("source")) if isinstance(data, dict) else (data,)
    return any(re.sub(r"[\W_]", "", PurePath(str(name)).name).lower().startswith("tinyimagenet") for name in named)


def colour_variants(run: Run) -> list[str]:
    """The variants that take colour away or exchange it, and changed an image of this run."""
    return [name for name in run.variants if name in _COLOUR and run.changed_images[name]]


def is_exact(run: Run) -> bool:
    """Whether a logit is the sum of what single cells contribute, so that k* is exact and not an estimate."""
    return run.description.has_exact_cells


def evidence_text(run: Run) -> str:
    """What the run's maps are, how far that was checked, and what they are relative to."""
    text, error = _MEANINGS[run.description.evidence], run.description.evidence_error
    if not math.isnan(error):
        text += f" When this was checked, the largest error was {error:.1e} of the image's largest logit."
    return f"{text} {_RELATIVE}" if run.has_maps and run.signed else text


def logit_text(run: Run) -> str:
    """How a logit follows from the maps that the pages show, in one sentence."""
    exactly = "exactly " if is_exact(run) else ""
    if run.signed:
        return f"The mean of a map is {exactly}how far the logit S of its class lies above the mean of all classes."
    return f"The logit S of a class is {exactly}the mean of its map (Eq. 8)."


def correction_name(run: Run) -> str:
    """The symbol of the minimal correction: an estimate is called one."""
    return "k*" if is_exact(run) else "k* (estimate)"


def as_recorded(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the predictions for a download: without the columns of maps that the run lacks, estimates named so."""
    if not run.has_maps:
        return rows.drop(columns=list(MAP_COLUMNS), errors="ignore")
    estimates = () if is_exact(run) else ("correction_cells", "corrected_prediction", "then", "third")
    return rows.rename(columns={name: f"{name}_estimate" for name in estimates})
