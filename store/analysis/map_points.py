"""A plane on which images with similar maps lie close together: principal components, then t-SNE."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from store.metrics.means import quotient

MOST_POINTS = 10_000  # of an even sample: t-SNE takes 20 s of one core for so many
_COMPONENTS, _PERPLEXITY, _LEAST = 50, 30.0, 12
# Twice as many take twice as long, and of 10 neighbours hardly more stay neighbours (trustworthiness 0.999, not 0.997).
_ITERATIONS = 500
COLUMNS = ("image", "x", "y", "component_1", "component_2")


def map_points(maps: NDArray[np.float32]) -> pd.DataFrame:
    """A row per image: image, x and y (t-SNE), component_1 and component_2 (the first two principal components).

    Maps are compared by their direction, as by cosine similarity: each is divided by its norm. t-SNE keeps neighbours
    together; distances between groups, and how wide a group is, mean nothing. The result is the same each time.
    Source: van der Maaten and Hinton, Visualizing data using t-SNE, JMLR 9, 2008, eq. 1 and 4, as in scikit-learn, with
    a perplexity of 30, started from the principal components.

    Args:
        maps: (N, H, W), each image's map. Beyond `MOST_POINTS` images an even sample of them is placed.

    Returns:
        An empty table where there are fewer than 12 images, or where all maps have one direction.
    """
    images = np.arange(len(maps))[:: -(-len(maps) // MOST_POINTS) or 1]
    flat = np.nan_to_num(maps[images].reshape(len(images), -1)).astype(np.float64)
    units = quotient(flat, np.linalg.norm(flat, axis=1, keepdims=True), 0)
    if len(images) < _LEAST or units.shape[1] < 2 or units.std(0).max() < 1e-9:
        return pd.DataFrame({name: np.zeros(0, np.int64 if name == "image" else np.float64) for name in COLUMNS})
    count = min(_COMPONENTS, *units.shape)
    components = PCA(count, svd_solver="full", random_state=0).fit_transform(units)
    start = components[:, :2] / components[:, 0].std() * 1e-4  # as scikit-learn's own start from components
    perplexity = min(_PERPLEXITY, (len(images) - 1) / 3)
    # Of one thread: on a machine with other work its threads wait for each other, 191 s for 2,000 images against 14 s.
    with threadpool_limits(1):
        tsne = TSNE(perplexity=perplexity, init=start.astype(np.float32), max_iter=_ITERATIONS, random_state=0)
        points = tsne.fit_transform(components.astype(np.float32))
    columns = (images, *points.T.astype(np.float64), *components[:, :2].T)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
