"""The analysis's table of neural collapse: each recorded layer and the class maps at every epoch."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.gather import EpochRecord
from store.metrics import collapse
from store.read.run import Run

MOST_VALUES = 1 << 25  # of one layer in memory at once: 134 MB
FEWEST_PER_CLASS = 5  # the mean of fewer images is mostly their own noise
MOST_EPOCHS = 12  # evenly spread, with the first and the last: all maps of each are read, about 2 s
MAPS = "class maps"


def collapse_table(record: EpochRecord) -> pd.DataFrame:
    """A row per epoch, of at most twelve, and layer, the class maps last.

    Columns: epoch, layer, images, and those of `store.metrics.collapse.Collapse`.

    Of the clean validation images, the first few of each class where the layer is large; layers that allow fewer than
    five images of a class are left out, and so are the maps where not all are kept. NC3 is known for the class maps
    only, on which the network's pooling is a linear classifier: class k weighs the cells of map k by 1 / (H W).
    """
    run = record.run
    rows = []
    for place in np.unique(np.linspace(0, len(record.epochs) - 1, MOST_EPOCHS).round().astype(int)):
        epoch = record.epochs[place]
        for layer, size in _layers(run).items():
            images = _images(run.labels, size, len(run.classes))
            if len(images) == 0:
                continue
            features = _features(run, layer, epoch, images)
            classifier = _pooling(len(run.classes), run.map_shape) if layer == MAPS else None
            predictions = record.predictions[place][0][images]
            found = collapse.collapse(features, run.labels[images], predictions, classifier=classifier)
            rows.append({"epoch": epoch, "layer": layer, "images": len(images), **asdict(found)})
    names = ["epoch", "layer", "images", *collapse.Collapse.__annotations__]
    return pd.DataFrame(rows, columns=names)


def _layers(run: Run) -> dict[str, int]:
    """The number of values of an image in each layer, from the input inwards."""
    sizes = {name: int(np.prod(run.description.layers[name])) for name in run.layer_names}
    layers = dict(sorted(sizes.items(), key=lambda item: item[1]))
    if run.has_maps and not run.kept_maps:
        layers[MAPS] = len(run.classes) * int(np.prod(run.map_shape))
    return layers


def _images(labels: NDArray[np.int64], size: int, classes: int) -> NDArray[np.int64]:
    """As many images of each class as memory allows; none where a class has too few."""
    count = np.bincount(labels, minlength=classes)
    most = min(int(count.max()), MOST_VALUES // (size * classes))
    if classes < 2 or min(most, count.min()) < FEWEST_PER_CLASS:
        return np.zeros(0, np.int64)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    return np.flatnonzero(np.arange(len(labels)) - first[labels] < most)


def _features(run: Run, layer: str, epoch: int, images: NDArray[np.int64]) -> NDArray[np.float32]:
    if layer == MAPS:
        values = run.maps(epoch=epoch, variant=run.variants[0], images=images)
    else:
        values = run.layers(epoch=epoch, images=images, only=layer)[layer]
    return values.reshape(len(images), -1)


def _pooling(classes: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The weights (C, C H W) by which the mean of map k becomes logit k."""
    cells = shape[0] * shape[1]
    return np.repeat(np.eye(classes, dtype=np.float32) / cells, cells, axis=1)
