"""Pattern or place: do a model's maps say where the object is, or are they a code of the class?

`cover` (..., y, x) is the share of each cell's area that the object takes, 0..1. A silent map counts as a flat one,
whose evidence lies on the object by exactly the object's share of the area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.measures.intervals import mean_interval

Float64 = NDArray[np.float64]


def mask_cover(masks: ArrayLike, map_shape: tuple[int, int]) -> Float64:
    """Cover of each map cell by a pixel mask, (..., h, w) bool -> (..., H, W) float64; any two sizes."""
    masks = np.asarray(masks, np.float64)
    rows, columns = (_shares(masks.shape[axis], map_shape[axis]) for axis in (-2, -1))
    return rows @ masks @ columns.T


def box_cover(boxes: ArrayLike, picture_shape: tuple[int, int], map_shape: tuple[int, int]) -> Float64:
    """Cover of each map cell by a box, (N, 4) x0, y0, x1, y1 in pixels (x1, y1 exclusive) -> (N, H, W) float64."""
    boxes = np.asarray(boxes, np.float64)
    sides = []
    for axis, (low, high) in enumerate(((1, 3), (0, 2))):
        edges = np.linspace(0, picture_shape[axis], map_shape[axis] + 1)
        inside = np.minimum(boxes[:, high, None], edges[1:]) - np.maximum(boxes[:, low, None], edges[:-1])
        sides.append(np.maximum(inside, 0) / (edges[1] - edges[0]))
    return sides[0][:, :, None] * sides[1][:, None, :]


def energy_inside(maps: ArrayLike, cover: ArrayLike) -> Float64:
    """Share of each map's evidence on the object, (...) float64, 0..1 (energy pointing game, Wang et al. 2020)."""
    shares = _distribution(maps)
    return np.clip(np.einsum("...yx,...yx->...", shares, np.asarray(cover, np.float64)), 0, 1)


def peak_inside(maps: ArrayLike, cover: ArrayLike) -> Float64:
    """Share of the strongest cell that lies on the object, (...) float64; tied cells count alike.

    The pointing game (Zhang et al. 2016) with the hit measured by area: chance is exactly the object's area share.
    """
    shares = _distribution(maps)
    strongest = shares == shares.max((-2, -1), keepdims=True)
    on_object = (strongest * np.asarray(cover, np.float64)).sum((-2, -1))
    return on_object / strongest.sum((-2, -1))


def area_share(cover: ArrayLike) -> Float64:
    """Share of the picture that the object takes, (...) float64: what a flat map would score."""
    return np.asarray(cover, np.float64).mean((-2, -1))


@dataclass(frozen=True)
class PlaceScores:
    """Where the evidence lies, arrays (N,), each 0..1.

    inside: on the picture's own object. area: expected of a flat map.
    elsewhere: expected of the same map if the object lay where it lies in the class's other pictures; only what
    `inside` has beyond it shows that the map follows the object, not the class's habit. NaN for a class of one.
    peak: the strongest cell on the object.
    """

    inside: Float64
    area: Float64
    elsewhere: Float64
    peak: Float64


def place_scores(maps: ArrayLike, cover: ArrayLike, labels: ArrayLike) -> PlaceScores:
    """Evidence on the object against what area and the class's habit explain; maps and cover (N, y, x), labels (N,)."""
    cover, labels = np.asarray(cover, np.float64), np.asarray(labels, np.int64)
    count = np.bincount(labels)
    sums = np.zeros((len(count), *cover.shape[1:]))
    np.add.at(sums, labels, cover)
    others = np.maximum(count[labels] - 1, 1)[:, None, None]
    elsewhere = energy_inside(maps, (sums[labels] - cover) / others)
    elsewhere = np.where(count[labels] > 1, elsewhere, np.nan)
    return PlaceScores(energy_inside(maps, cover), area_share(cover), elsewhere, peak_inside(maps, cover))


def follow(inside: ArrayLike, elsewhere: ArrayLike, *, level: float = 0.95) -> tuple[float, float, float]:
    """What maps gain by following their own object, as (value, low, high): 0 = only the class's habit, 1 = all.

    Equation:
        (mean inside - mean elsewhere) / (1 - mean elsewhere), with Student's interval of the paired differences

    Args:
        inside, elsewhere: (N,) from `place_scores`; pictures where either is NaN are left out (all: NaN).
    """
    inside, elsewhere = np.asarray(inside, np.float64), np.asarray(elsewhere, np.float64)
    known = np.isfinite(inside) & np.isfinite(elsewhere)
    room = 1 - elsewhere[known].mean() if known.any() else 0.0
    if room <= 0:
        return float("nan"), float("nan"), float("nan")
    mean, low, high = mean_interval(inside[known] - elsewhere[known], level=level)
    return mean / room, low / room, high / room


def centre_of_mass(maps: ArrayLike) -> Float64:
    """Centre of each map's evidence, (..., 2) float64 as (y, x) in cells, 0 = centre of the first cell."""
    shares = _distribution(maps)
    height, width = shares.shape[-2:]
    return np.stack([shares.sum(-1) @ np.arange(height), shares.sum(-2) @ np.arange(width)], axis=-1)


def following(before: ArrayLike, after: ArrayLike, applied: ArrayLike) -> Float64:
    """How far each map's centre followed a shift of the pictures, (N,) float64: 0 = it stayed, 1 = it moved with it.

    Equation:
        (after - before) . applied / applied . applied

    Args:
        before, after: (N, 2) centres of mass in cells. applied: (2,) shift in cells, as (y, x).

    Raises:
        ValueError: the shift is zero.
    """
    applied = np.asarray(applied, np.float64)
    if not applied.any():
        raise ValueError("The pictures were not shifted, so nothing can be followed. Pass the shift in cells.")
    return (np.asarray(after, np.float64) - np.asarray(before, np.float64)) @ applied / (applied @ applied)


@dataclass(frozen=True)
class PairSimilarity:
    """Mean cosine between the own maps of two different pictures, arrays (C,); NaN where there is no such pair.

    within: both of the class. between: one of the class, one of any other.
    """

    within: Float64
    between: Float64


def pair_similarity(maps: ArrayLike, labels: ArrayLike, classes: int) -> PairSimilarity:
    """How alike the own maps (N, y, x) are within each class and across classes, over all pairs at once.

    Equation:
        within_c = (|sum u|^2 - sum |u|^2) / (n (n - 1)), u the maps of c scaled to length 1
        between_c = (sum u) . (sum of all other classes' u) / (n (N - n))
    """
    maps, labels = np.asarray(maps, np.float64), np.asarray(labels, np.int64)
    cells = maps.reshape(len(maps), -1)
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    units = np.divide(cells, length, out=np.zeros_like(cells), where=length > 0)
    sums = np.zeros((classes, cells.shape[1]))
    np.add.at(sums, labels, units)
    count = np.bincount(labels, minlength=classes)
    loud = np.bincount(labels, length[:, 0] > 0, classes)
    within = np.einsum("ci,ci->c", sums, sums) - loud
    between = np.einsum("ci,ci->c", sums, sums.sum(0) - sums)
    return PairSimilarity(_per_pair(within, count * (count - 1)), _per_pair(between, count * (len(maps) - count)))


def _per_pair(sums: Float64, pairs: NDArray) -> Float64:
    return np.divide(sums, pairs, out=np.full(len(sums), np.nan), where=pairs > 0)


def _shares(pixels: int, cells: int) -> Float64:
    """Share of each cell's length that each pixel takes, (cells, pixels)."""
    edges = np.linspace(0, pixels, cells + 1)
    pixel = np.arange(pixels)
    inside = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
    return np.maximum(inside, 0) * cells / pixels


def _distribution(maps: ArrayLike) -> Float64:
    evidence = np.maximum(np.asarray(maps, np.float64), 0)
    totals = evidence.sum((-2, -1), keepdims=True)
    flat = np.full_like(evidence, 1 / (evidence.shape[-2] * evidence.shape[-1]))
    return np.divide(evidence, totals, out=flat, where=totals > 0)
