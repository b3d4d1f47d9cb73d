"""Search by pattern: the pictures whose maps are most like a given one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from store.measures import search
from store.reader import Run

Kind = Literal["predicted", "own"]


def search_pattern(
    run: Run, pattern: ArrayLike, *, epoch: int, variant: str = "clean", kind: Kind = "predicted", k: int = 24
) -> pd.DataFrame:
    """The k pictures whose predicted (or own) map is most like the pattern (H, W), best first.

    image, name, label, truth, prediction, predicted, correct, confidence, likeness (cosine, -1..1).

    Raises:
        ValueError: the pattern is not of the run's map shape.
    """
    pattern = np.asarray(pattern, np.float32)
    if pattern.shape != run.map_shape:
        raise ValueError(f"The pattern has the shape {pattern.shape}, but the run's maps have {run.map_shape}.")
    read = run.predicted_maps if kind == "predicted" else run.own_maps
    rows, likeness = search.nearest(pattern, search.units(read(epoch=epoch, variant=variant)), k=k)
    prediction = run.column("prediction", epoch=epoch, variant=variant)[rows]
    names, labels = run.classes["name"].to_numpy(), run.labels[rows]
    return pd.DataFrame(
        {
            "image": rows,
            "name": np.asarray(run.image_names, object)[rows],
            "label": labels,
            "truth": names[labels],
            "prediction": prediction,
            "predicted": names[prediction],
            "correct": prediction == labels,
            "confidence": run.column("confidence", epoch=epoch, variant=variant)[rows],
            "likeness": likeness,
        }
    )


def nearest_pictures(
    run: Run, image: int, *, epoch: int, variant: str = "clean", kind: Kind = "predicted", k: int = 12
) -> pd.DataFrame:
    """The k other pictures whose map is most like that of one picture; columns as in `search_pattern`."""
    read = run.predicted_maps if kind == "predicted" else run.own_maps
    pattern = read(epoch=epoch, variant=variant, images=[image])[0]
    table = search_pattern(run, pattern, epoch=epoch, variant=variant, kind=kind, k=k + 1)
    return table[table["image"] != image].head(k).reset_index(drop=True)
