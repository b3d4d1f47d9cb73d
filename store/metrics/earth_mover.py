"""Earth-mover distance: how far the evidence of one map would have to travel to become that of another."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


def earth_mover(a: ArrayLike, b: ArrayLike) -> Float64:
    """Mean number of cells, counted along rows and columns, that evidence travels from map a to map b, (...) float64.

    0 = the same shape, at most height + width - 2. Unlike the overlap it tells "one cell beside" from "at the other
    end". Only the positive part counts; NaN where either map is silent and there is nothing to carry.

    Equation:
        min sum |flow| over the edges of the grid, so that each cell gives off A / sum A - B / sum B: the distance of
        Rubner et al. 2000 with city-block distances, as a flow over neighbours (Ling and Okada 2007, EMD-L1)

    Args:
        a, b: (..., y, x), broadcast over their leading axes; about 2 ms for a pair of 8 x 8.
    """
    from scipy.optimize import linprog  # here: only the analysis needs it, and it takes a while to import

    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    shape, lead = a.shape[-2:], a.shape[:-2]
    supply, demand = (np.maximum(maps, 0).reshape(-1, shape[0] * shape[1]) for maps in (a, b))
    network = _neighbour_flows(*shape)
    costs = np.ones(network.shape[1])
    distances = np.full(len(supply), np.nan)
    for row in np.flatnonzero((supply.sum(1) > 0) & (demand.sum(1) > 0)):
        surplus = supply[row] / supply[row].sum() - demand[row] / demand[row].sum()
        if not len(costs) or not surplus.any():
            distances[row] = 0.0
            continue
        surplus[-1] = -surplus[:-1].sum()  # what goes out comes in, to the last bit
        distances[row] = linprog(costs, A_eq=network, b_eq=surplus, method="highs-ds").fun
    return distances.reshape(lead)


@lru_cache(maxsize=8)
def _neighbour_flows(height: int, width: int) -> NDArray[np.float64]:
    """What each flow along an edge of the grid, in either direction, takes from each cell, (cells, flows)."""
    cells = np.arange(height * width).reshape(height, width)
    ends = np.concatenate(
        [
            np.stack([cells[:, :-1].ravel(), cells[:, 1:].ravel()], axis=1),
            np.stack([cells[:-1].ravel(), cells[1:].ravel()], axis=1),
        ]
    )
    network = np.zeros((height * width, len(ends)))
    network[ends[:, 0], np.arange(len(ends))] = 1
    network[ends[:, 1], np.arange(len(ends))] = -1
    return np.concatenate([network, -network], axis=1)
