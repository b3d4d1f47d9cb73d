"""Localisation: do a network's maps locate the object, or do they only encode the class?

`cover` (..., y, x) is the share of each cell's area that the object takes, 0..1. Evidence is what a map has above its
weakest cell: a constant under a map (a CAM has one of several times its relief) raises the logit but says nothing about
the position. A flat map has exactly the object's share of the area as evidence on the object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.means import class_sums, quotient

Float64 = NDArray[np.float64]
_FEWEST = 5  # images more than classes, for an interval: with 2 classes of 2 images it held in only 80 % of cases
_ROUNDING = 1e-12  # for objects that are all in the same cells


def mask_cover(masks: ArrayLike, map_shape: tuple[int, int]) -> Float64:
    """Cover of each map cell by a pixel mask, (..., h, w) bool -> (..., H, W) float64; any two sizes."""
    masks = np.asarray(masks, np.float64)
    rows, columns = (_shares(masks.shape[axis], map_shape[axis]) for axis in (-2, -1))
    return rows @ masks @ columns.T


def box_cover(boxes: ArrayLike, image_shape: tuple[int, int], map_shape: tuple[int, int]) -> Float64:
    """Cover of each map cell by a box, (N, 4) x0, y0, x1, y1 in pixels (x1, y1 exclusive) -> (N, H, W) float64."""
    boxes = np.asarray(boxes, np.float64)
    sides = []
    for axis, (low, high) in enumerate(((1, 3), (0, 2))):
        edges = np.linspace(0, image_shape[axis], map_shape[axis] + 1)
        inside = np.minimum(boxes[:, high, None], edges[1:]) - np.maximum(boxes[:, low, None], edges[:-1])
        sides.append(np.maximum(inside, 0) / (edges[1] - edges[0]))
    return sides[0][:, :, None] * sides[1][:, None, :]


def evidence_on_object(maps: ArrayLike, cover: ArrayLike) -> Float64:
    """Share of each map's evidence on the object, (...) float64, 0..1 (energy pointing game, Wang et al. 2020).

    Equation:
        sum_{y,x} M C / sum_{y,x} M, M the map minus its smallest value, C the cover
    """
    shares = _distribution(maps)
    return np.clip(np.einsum("...yx,...yx->...", shares, np.asarray(cover, np.float64)), 0, 1)


def peak_on_object(maps: ArrayLike, cover: ArrayLike) -> Float64:
    """Share of the strongest cell that is on the object, (...) float64; tied cells count alike.

    The pointing game (Zhang et al. 2016) with the hit measured by area: chance is exactly the object's area share.
    """
    shares = _distribution(maps)
    strongest = shares == shares.max((-2, -1), keepdims=True)
    on_object = (strongest * np.asarray(cover, np.float64)).sum((-2, -1))
    return on_object / strongest.sum((-2, -1))


def object_area(cover: ArrayLike) -> Float64:
    """Share of the image that the object takes, (...) float64: what a flat map would score."""
    return np.asarray(cover, np.float64).mean((-2, -1))


@dataclass(frozen=True)
class ImageLocalisation:
    """The position of the evidence in each image's map, arrays (N,); shares are 0..1, and NaN marks a class of one
    image.

    evidence_on_object: share on the image's own object. object_area: the same of a flat map.
    evidence_on_others: the mean share on the objects of the class's other images; only what `evidence_on_object`
    has beyond it shows that the map follows the object, rather than the usual position in its class.
    peak_on_object: share of the strongest cell on the object.
    localisation_gain: what the map gains by following its own object, else NaN; its mean is that of
    evidence_on_object - evidence_on_others. possible_gain: the same of a map in the shape of the object.
    """

    evidence_on_object: Float64
    object_area: Float64
    evidence_on_others: Float64
    peak_on_object: Float64
    localisation_gain: Float64
    possible_gain: Float64


def image_localisation(maps: ArrayLike, cover: ArrayLike, labels: ArrayLike) -> ImageLocalisation:
    """Evidence on the object, beyond what its area and the usual position in its class explain; maps and cover (N, y,
    x), labels (N,).

    Equation:
        gain_i = n / (n - 1) sum_{y,x} (M_i - mean M) (C_i - mean C), M the map's evidence divided by its sum, C the
        cover, n the images of the class and means over these: the covariance of map and object within the class.
        possible_gain_i is that of the map C, so M = (C - min C) / sum (C - min C).
    """
    cover, labels = np.asarray(cover, np.float64), np.asarray(labels, np.int64)
    count = np.bincount(labels)[labels]
    sums = class_sums(cover, labels, labels.max() + 1)
    others = evidence_on_object(maps, (sums[labels] - cover) / np.maximum(count - 1, 1)[:, None, None])
    scale = quotient(count, count - 1)
    objects = _centred(cover, labels)
    both = (_centred(_distribution(evidence), labels) for evidence in (maps, cover))
    gain, possible_gain = (scale * np.einsum("nyx,nyx->n", each, objects) for each in both)
    return ImageLocalisation(
        evidence_on_object=evidence_on_object(maps, cover),
        object_area=object_area(cover),
        evidence_on_others=np.where(count > 1, others, np.nan),
        peak_on_object=peak_on_object(maps, cover),
        localisation_gain=gain,
        possible_gain=possible_gain,
    )


def object_following(gain: ArrayLike, possible_gain: ArrayLike, labels: ArrayLike) -> tuple[float, float, float]:
    """How far maps follow their objects, as (value, low, high) with the 95 % interval: 0 = no more than the usual
    position in the class, 1 = as the object itself.

    How far a map can follow at all (how large its cells are, how far apart the objects of a class are) counts in the
    numerator and in the denominator. NaN where all objects of a class are in the same cells; the interval is infinite
    with fewer than five images more than classes.

    Equation:
        f = mean gain / mean possible gain, interval -+ t sqrt(sum n / (n - 1) z^2 / (N (N - 1))) / mean possible gain,
        z = gain - f possible gain, t Student's quantile of N - classes (ratio and U-statistic by linearisation,
        Cochran 1977, sec. 6.4, and Hoeffding 1948)

    Args:
        gain, possible_gain: (N,) from `image_localisation`, of whole classes; images where they are NaN are left out.
        labels: (N,) class indices.
    """
    reached, most = np.asarray(gain, np.float64), np.asarray(possible_gain, np.float64)
    known = np.isfinite(reached) & np.isfinite(most)
    reached, most, classes = reached[known], most[known], np.asarray(labels, np.int64)[known]
    room = float(most.mean()) if len(most) else 0.0
    if room <= _ROUNDING:
        return float("nan"), float("nan"), float("nan")
    value = float(reached.mean() / room)
    count = np.bincount(classes)[classes]
    freedom = len(reached) - len(np.unique(classes))
    if freedom < _FEWEST:
        return value, float("-inf"), float("inf")
    from scipy.special import stdtrit  # here: only the analysis needs it

    # Student's interval of the gains themselves would be about twice too wide: an object away from
    # the usual position in its class is compensated by the others. Hence the residuals z.
    spread = (count / (count - 1) * (reached - value * most) ** 2).sum()
    error = math.sqrt(spread / (len(reached) * (len(reached) - 1)))
    half = float(stdtrit(freedom, 0.975)) * error / room
    return value, value - half, value + half


def centre_of_mass(maps: ArrayLike) -> Float64:
    """Centre of each map's evidence, (..., 2) float64 as (y, x) in cells, 0 = centre of the first cell."""
    shares = _distribution(maps)
    height, width = shares.shape[-2:]
    return np.stack([shares.sum(-1) @ np.arange(height), shares.sum(-2) @ np.arange(width)], axis=-1)


def shift_following(before: ArrayLike, after: ArrayLike, applied: ArrayLike) -> Float64:
    """How far each map's centre moved with a shift of the images, (N,) float64: 0 = it stayed, 1 = it moved along.

    Equation:
        (after - before) . applied / applied . applied

    Args:
        before, after: (N, 2) centres of mass in cells. applied: (2,) shift in cells, as (y, x).

    Raises:
        ValueError: the shift is zero.
    """
    applied = np.asarray(applied, np.float64)
    if not applied.any():
        raise ValueError(
            "The images were not shifted, so no map can follow them. Pass the shift in cells, other than (0, 0)."
        )
    return (np.asarray(after, np.float64) - np.asarray(before, np.float64)) @ applied / (applied @ applied)


def pair_similarity(maps: ArrayLike, labels: ArrayLike, classes: int) -> tuple[Float64, Float64]:
    """Mean cosine of the maps (N, y, x) of two different images, over all pairs at once: (within, between), each (C,).

    Within: both images of the class. Between: one of the class, one of any other. NaN where there is no such pair.

    Equation:
        within_c = (|sum u|^2 - sum |u|^2) / (n (n - 1)), u the maps of c scaled to length 1
        between_c = (sum u) . (sum of all other classes' u) / (n (N - n))
    """
    maps, labels = np.asarray(maps, np.float64), np.asarray(labels, np.int64)
    cells = maps.reshape(len(maps), -1)
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    sums = class_sums(quotient(cells, length, 0), labels, classes)
    count = np.bincount(labels, minlength=classes)
    loud = np.bincount(labels, length[:, 0] > 0, classes)
    within = np.einsum("ci,ci->c", sums, sums) - loud
    between = np.einsum("ci,ci->c", sums, sums.sum(0) - sums)
    return quotient(within, count * (count - 1)), quotient(between, count * (len(maps) - count))


def _centred(values: Float64, labels: NDArray[np.int64]) -> Float64:
    """Values (N, y, x) minus the mean of their class."""
    sums = class_sums(values, labels, labels.max() + 1)
    return values - (sums / np.maximum(np.bincount(labels), 1)[:, None, None])[labels]


def _shares(pixels: int, cells: int) -> Float64:
    """Share of each cell's length that each pixel takes, (cells, pixels)."""
    edges = np.linspace(0, pixels, cells + 1)
    pixel = np.arange(pixels)
    inside = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
    return np.maximum(inside, 0) * cells / pixels


def _distribution(maps: ArrayLike) -> Float64:
    """Evidence of each map as shares of its cells, (..., y, x), summing to 1."""
    # Above the weakest cell: with its constant a CAM follows the object by 0.06 of what it could, without by 0.23.
    maps = np.asarray(maps, np.float64)
    evidence = maps - maps.min((-2, -1), keepdims=True)
    return quotient(evidence, evidence.sum((-2, -1), keepdims=True), 1 / (maps.shape[-2] * maps.shape[-1]))
