"""Measures of single class maps and of pairs of them; y and x are the last two axes, all others are batch axes.

A map's cells are logits: their mean is the class's logit. Signed maps (the CAM of a linear head) are measured relative
to the mean map of their image, see `relative_to_mean`. Where an equation needs a distribution, only the positive part
counts as evidence. A silent map, one without a positive cell, is treated as a flat one, so that no measure is ever NaN.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.means import class_sums, quotient

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def _cells(maps: ArrayLike, dtype: type = np.float64) -> NDArray:
    """Maps (..., y, x) as (..., cells); float64 by default, because the square of a small float32 underflows."""
    maps = np.asarray(maps)
    if maps.ndim < 2:
        raise ValueError(f"Maps need the axes y and x at the end, got an array of shape {maps.shape}.")
    return maps.reshape(*maps.shape[:-2], maps.shape[-2] * maps.shape[-1]).astype(dtype, copy=False)


def _evidence(maps: ArrayLike) -> Float64:
    """The positive part of each map, cells on the last axis."""
    return np.maximum(_cells(maps), 0)


def relative_to_mean(maps: ArrayLike) -> tuple[Float32, Float32]:
    """Maps of all classes (..., C, y, x) relative to their mean map, same shape, and that map (..., y, x), float32.

    The softmax does not see what all classes share: adding one map to those of all classes changes no probability, so
    no measure of a signed map may depend on it. Maps that are never negative keep the zero of their network.

    Equation:
        r_k(y, x) = f_k(y, x) - (1 / C) sum_j f_j(y, x)
    """
    maps = np.asarray(maps, np.float32)
    mean = maps.mean(-3, dtype=np.float64).astype(np.float32)
    return maps - mean[..., None, :, :], mean


def logits(maps: ArrayLike) -> Float32:
    """Logit of each map's class, (..., C, y, x) -> (..., C) float32.

    Equation:
        S_k = mean_{y,x} f_k(y, x)   (paper, Eq. 8)
    """
    cells = np.ascontiguousarray(_cells(maps, np.float32))
    return np.einsum("...i->...", cells) / np.float32(cells.shape[-1])


def softmax(logits: ArrayLike, dtype: type[np.floating] = np.float32) -> NDArray:
    """Probabilities over the last axis, (..., C) `dtype`, computed in float64 and shifted so that nothing overflows.

    Equation:
        P_k = exp(S_k) / sum_j exp(S_j)   (paper, Eq. 4)
    """
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(dtype)


def normalise(maps: ArrayLike) -> Float32:
    """Maps scaled to a maximum of 1, same shape, float32; an all-zero map stays zero.

    Signed maps are divided by their largest absolute value, so that they keep their zero and are in -1..1.

    Equation:
        f_k,norm(y, x) = f_k(y, x) / max_{y,x} |f_k|   (paper, Eq. 10, whose maps are never negative)
    """
    maps = np.asarray(maps, np.float32)
    return quotient(maps, np.abs(maps).max((-2, -1), keepdims=True), 0).astype(np.float32)


def sharpness(maps: ArrayLike) -> Float32:
    """Hoyer sparsity of each map's positive part, (...) float32: 0 = all cells equal (or silent), 1 = a single cell.

    Equation:
        (sqrt(n) - |M|_1 / |M|_2) / (sqrt(n) - 1), n cells   (Hoyer 2004, JMLR 5, sec. 3.1)
    """
    cells = _evidence(maps)
    root = math.sqrt(cells.shape[-1])
    if root == 1:
        return np.zeros(cells.shape[:-1], np.float32)
    flatness = quotient(cells.sum(-1), _norm(cells), root)
    return np.clip((root - flatness) / (root - 1), 0, 1).astype(np.float32)


def map_entropy(maps: ArrayLike) -> Float32:
    """Entropy of each map read as a distribution over its cells, (...) float32, nats, 0..ln(cells); silent = ln(cells).

    Equation:
        H = -sum p ln p, p = M / sum M over the positive part   (Shannon 1948)
    """
    cells = _evidence(maps)
    shares = quotient(cells, cells.sum(-1, keepdims=True), 1 / cells.shape[-1])
    logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.maximum(-np.einsum("...i,...i->...", shares, logarithms), 0).astype(np.float32)


def peak_share(maps: ArrayLike) -> Float32:
    """Share of each map's evidence in its strongest cell, (...) float32, 1/cells..1; silent = 1/cells.

    Equation:
        max M / sum M over the positive part
    """
    cells = _evidence(maps)
    return quotient(cells.max(-1), cells.sum(-1), 1 / cells.shape[-1]).astype(np.float32)


def cosine(a: ArrayLike, b: ArrayLike) -> Float32:
    """Cosine between maps over their cells, signs included, (...) float32 in -1..1; 0 where either map is all zero.

    `a` and `b` broadcast over their leading axes.
    """
    a, b = _cells(a), _cells(b)
    product = np.einsum("...i,...i->...", a, b)
    return np.clip(quotient(product, _norm(a) * _norm(b), 0.0), -1, 1).astype(np.float32)


def similarity_to_others(maps: ArrayLike, labels: ArrayLike) -> Float32:
    """Cosine of each map to the mean of the other maps of its class, (n, y, x) and (n,) -> (n,) float32.

    Unlike the similarity to a class pattern, it contains nothing of the image itself; NaN where it is its class's only.

    Equation:
        cos(M_i, sum_{j != i, same class} M_j)
    """
    maps, labels = np.asarray(maps, np.float64), np.asarray(labels, np.int64)
    found = cosine(maps, class_sums(maps, labels, labels.max(initial=-1) + 1)[labels] - maps)
    return np.where(np.bincount(labels)[labels] > 1, found, np.float32(np.nan))


def overlap(a: ArrayLike, b: ArrayLike) -> Float32:
    """Evidence that two maps share, cell by cell, (...) float32, 0..1; 0 where either map is silent.

    Equation:
        sum_{y,x} min(A / sum A, B / sum B) over the positive parts   (histogram intersection, Swain and Ballard 1991)
    """
    a, b = _evidence(a), _evidence(b)
    a = quotient(a, a.sum(-1, keepdims=True), 0.0)
    b = quotient(b, b.sum(-1, keepdims=True), 0.0)
    return np.clip(np.minimum(a, b).sum(-1), 0, 1).astype(np.float32)


def earth_mover(a: ArrayLike, b: ArrayLike) -> Float64:
    """Mean number of cells, counted along rows and columns, that evidence travels from map a to map b, (...) float64.

    0 = the same shape, at most height + width - 2. Unlike the overlap it grows with the distance. Only
    the positive part counts; NaN where either map is silent.

    Equation:
        min sum |flow| over the edges of the grid, such that each cell sends out A / sum A - B / sum B: the distance of
        Rubner et al. 2000 with city-block distances, as a flow over neighbours (Ling and Okada 2007, EMD-L1)

    Args:
        a, b: (..., y, x), broadcast over their leading axes; about 2 ms for a pair of 8 x 8.
    """
    from scipy.optimize import linprog  # here: only the analysis needs it, and it takes a while to import

    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    shape = a.shape[-2:]
    supply, demand = (np.maximum(maps, 0).reshape(-1, shape[0] * shape[1]) for maps in (a, b))
    # Flows between neighbours are 224 unknowns for 8x8 cells instead of 4,096 between all pairs: 2 ms instead of 13.
    network = _neighbour_flows(*shape)
    costs = np.ones(network.shape[1])
    distances = np.full(len(supply), np.nan)
    for row in np.flatnonzero((supply.sum(1) > 0) & (demand.sum(1) > 0)):
        surplus = supply[row] / supply[row].sum() - demand[row] / demand[row].sum()
        if not len(costs) or not surplus.any():
            distances[row] = 0.0
            continue
        surplus[-1] = -surplus[:-1].sum()  # the solver needs supply to equal demand to the last bit
        distances[row] = linprog(costs, A_eq=network, b_eq=surplus, method="highs-ds").fun
    return distances.reshape(a.shape[:-2])


@lru_cache(maxsize=8)
def _neighbour_flows(height: int, width: int) -> Float64:
    """The outflow of each cell per unit of each flow along an edge of the grid, in either direction, (cells, flows)."""
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


def units(maps: ArrayLike) -> Float32:
    """Maps (..., y, x) scaled to length 1 for `nearest`, (..., cells) float32; an all-zero map stays zero."""
    maps = np.asarray(maps, np.float32)
    cells = maps.reshape(*maps.shape[:-2], -1)
    # Scaled by the largest cell first: the square of a small float32 would underflow.
    largest = np.abs(cells).max(-1, keepdims=True)
    cells = np.divide(cells, largest, out=np.zeros_like(cells), where=largest > 0)
    length = np.sqrt(np.einsum("...i,...i->...", cells, cells))[..., None]
    return np.divide(cells, length, out=cells, where=length > 0)


def nearest(query: ArrayLike, candidates: Float32, *, k: int = 24) -> tuple[NDArray[np.int64], Float32]:
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
            f"the pattern has to have the run's map shape."
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


def _norm(cells: Float64) -> Float64:
    return np.sqrt(np.einsum("...i,...i->...", cells, cells))
