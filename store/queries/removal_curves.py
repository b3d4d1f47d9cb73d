"""Do the strongest cells of a map carry the prediction? Deletion and insertion curves, averaged over images."""

from __future__ import annotations

import numpy as np
import pandas as pd

from store.errors import NotInRun
from store.metrics import correction, removal
from store.metrics.intervals import mean_interval
from store.read.run import Run

IMAGES = 400  # drawn at random: the areas are then known to about 0.02
BLOCK = 50  # images whose maps of all classes are in memory at once


def removal_curves(
    run: Run, *, epoch: int, variant: str = "clean", images: int = IMAGES, seed: int = 0
) -> pd.DataFrame:
    """Mean probability of the prediction as cells are removed from all maps, or returned to empty ones.

    Cells go in the order of the predicted class's map, strongest first, and in a random order of each image.

    Columns: measure (deletion, insertion), order (map, random), share (of the cells), probability. `table.attrs`:
    images, and areas {(measure, order): (mean, low, high)}, 95 %, with the gain over the random order of the same
    images as order "gain": negative under deletion and positive under insertion where the strongest cells matter.

    Raises:
        NotInRun: the run does not keep the maps of all classes.

    >>> queries.removal_curves(run, epoch=3).columns.tolist()
    ['measure', 'order', 'share', 'probability']
    """
    if not run.has_maps or run.kept_maps:
        raise NotInRun(f"The run {run.name!r} does not keep the maps of all classes, which deletion curves need.")
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(run.labels))[:images])
    predicted = run.column("prediction", epoch=epoch, variant=variant)[chosen]
    curves: dict[tuple[str, str], list[np.ndarray]] = {}
    for start in range(0, len(chosen), BLOCK):
        rows, own = chosen[start : start + BLOCK], predicted[start : start + BLOCK]
        maps = run.maps(epoch=epoch, variant=variant, images=rows)
        strongest = correction.removal_order(maps[np.arange(len(rows)), own])
        orders = {"map": strongest, "random": random.permuted(strongest, axis=1)}
        for name, order in orders.items():
            curves.setdefault(("deletion", name), []).append(removal.deletion_curve(maps, order, own))
            curves.setdefault(("insertion", name), []).append(removal.insertion_curve(maps, order, own))
    found = {key: np.concatenate(parts) for key, parts in curves.items()}
    areas = {key: removal.area(curve) for key, curve in found.items()}
    for measure in ("deletion", "insertion"):
        areas[measure, "gain"] = areas[measure, "map"] - areas[measure, "random"]
    parts = []
    for (measure, name), curve in found.items():
        share = np.linspace(0, 1, curve.shape[1])
        columns = {"measure": measure, "order": name, "share": share, "probability": curve.mean(0)}
        parts.append(pd.DataFrame(columns))
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {"images": len(chosen), "areas": {key: mean_interval(values) for key, values in areas.items()}}
    return table
