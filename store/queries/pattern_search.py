"""Search by pattern: the images whose maps are most similar to a given one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from store.metrics import maps
from store.read.run import Run


@dataclass(frozen=True)
class PatternIndex:
    """The maps of one epoch and variant, prepared for searching; worth caching between searches.

    units: (N, cells) float32, see `store.metrics.maps.units`. 10,000 maps of 8x8 cells take 2.6 MB.
    """

    run: Run
    epoch: int
    variant: str
    units: NDArray[np.float32]


def pattern_index(
    run: Run, *, epoch: int, variant: str = "clean", kind: Literal["predicted_class", "true_class"] = "predicted_class"
) -> PatternIndex:
    """The maps of the predicted (or true) class of all images of one epoch and variant, each scaled to length 1.

    >>> queries.pattern_index(run, epoch=3, kind="true_class").units.shape
    (20, 64)
    """
    read = run.predicted_class_maps if kind == "predicted_class" else run.true_class_maps
    return PatternIndex(run, epoch, variant, maps.units(read(epoch=epoch, variant=variant)))


def search_index(
    index: PatternIndex, pattern: ArrayLike, *, k: int = 24, among: NDArray[np.intp] | None = None
) -> pd.DataFrame:
    """The k images whose map is most similar to the pattern (H, W), best first.

    image, name, label, true_class, prediction, predicted_class, correct, confidence, similarity (cosine, -1..1).

    Args:
        index: the maps to search.
        pattern: of the run's map shape; an empty one has similarity 0 to everything.
        k: the most to return.
        among: (n,) the images that may be found; None for all.

    Raises:
        ValueError: the pattern is not of the run's map shape.

    >>> index = queries.pattern_index(run, epoch=3, kind="true_class")
    >>> queries.search_index(index, run.patterns(epoch=3)[2], k=3)["image"].tolist()
    [11, 10, 8]
    """
    run, epoch, variant = index.run, index.epoch, index.variant
    shape = np.asarray(pattern).shape
    if shape != run.map_shape:
        raise ValueError(f"The pattern has the shape {shape}, but the run's maps have the shape {run.map_shape}.")
    candidates = index.units if among is None else index.units[among]
    rows, similarity = maps.nearest(np.asarray(pattern, np.float32), candidates, k=k)
    rows = rows if among is None else np.asarray(among)[rows]
    prediction = run.column("prediction", epoch=epoch, variant=variant)[rows]
    names, labels = run.classes["name"].to_numpy(), run.labels[rows]
    return pd.DataFrame(
        {
            "image": rows,
            "name": np.asarray(run.image_names, object)[rows],
            "label": labels,
            "true_class": names[labels],
            "prediction": prediction,
            "predicted_class": names[prediction],
            "correct": prediction == labels,
            "confidence": run.column("confidence", epoch=epoch, variant=variant)[rows],
            "similarity": similarity,
        }
    )
