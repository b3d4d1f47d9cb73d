"""Search by pattern: the maps most like a painted or a chosen one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def units(maps: ArrayLike) -> NDArray[np.float32]:
    """Maps (..., y, x) scaled to length 1 for `nearest`, (..., cells) float32; an all-zero map stays zero."""
    maps = np.asarray(maps, np.float32)
    cells = maps.reshape(*maps.shape[:-2], -1)
    # Scaled by the largest cell first: the square of a small float32 would underflow.
    largest = np.abs(cells).max(-1, keepdims=True)
    cells = np.divide(cells, largest, out=np.zeros_like(cells), where=largest > 0)
    length = np.sqrt(np.einsum("...i,...i->...", cells, cells))[..., None]
    return np.divide(cells, length, out=cells, where=length > 0)


def nearest(
    query: ArrayLike, candidates: NDArray[np.float32], *, k: int = 24
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k candidates with the highest cosine to the query, best first: (rows (k,) int64, cosines (k,) float32).

    Equal cosines keep the order of the rows; fewer than k candidates give fewer rows.

    Args:
        query: (y, x) pattern of the candidates' map shape; an all-zero one has cosine 0 with everything.
        candidates: (n, cells) from `units`.
    """
    query = units(np.asarray(query))
    if candidates.ndim != 2 or query.shape != candidates.shape[1:]:
        raise ValueError(
            f"The pattern has {query.size} cells, but the candidates are an array of shape {candidates.shape}: "
            f"paint on a grid of the run's map shape."
        )
    cosines = np.clip(candidates @ query, -1, 1)
    k = min(k, len(cosines))
    if k == 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    # All that tie with the k-th are kept until the stable sort, so that partition's order never shows.
    limit = np.partition(cosines, len(cosines) - k)[len(cosines) - k]
    rows = np.flatnonzero(cosines >= limit)
    best = rows[np.argsort(-cosines[rows], kind="stable")][:k]
    return best, cosines[best]
