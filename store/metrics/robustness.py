"""Predictions and maps under perturbation, and what they say about the cues that a class relies on.

Clean and perturbed columns are of the same images in the same order. `consistency` is the cosine between the map
of the clean prediction on the clean and on the perturbed image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.intervals import mean_interval
from store.metrics.means import class_means, quotient

Float64 = NDArray[np.float64]
MOVED_BELOW = 0.5  # cosine to the clean map, below which a map counts as moved


def flip_rate(clean: ArrayLike, perturbed: ArrayLike) -> Float64:
    """Share of images whose prediction differs from the clean one, (..., N) class indices -> (...) float64.

    Source:
        Hendrycks and Dietterich 2019, flip probability, with the clean image as the reference frame.
    """
    return (np.asarray(clean) != np.asarray(perturbed)).mean(-1)


def unchanged_consistency(clean: ArrayLike, perturbed: ArrayLike, consistency: ArrayLike) -> float:
    """Mean consistency of maps of unchanged predictions, -1..1; NaN without any. High: same prediction, same map."""
    unchanged = np.asarray(clean) == np.asarray(perturbed)
    return _mean(np.asarray(consistency, np.float64)[unchanged])


def responsiveness(clean: ArrayLike, perturbed: ArrayLike, consistency: ArrayLike) -> float:
    """Mean of 1 - consistency of flipped predictions, 0..2; NaN without any. High: the map shows the change."""
    flipped = np.asarray(clean) != np.asarray(perturbed)
    return _mean(1 - np.asarray(consistency, np.float64)[flipped])


def different_reason(
    clean_correct: ArrayLike, perturbed_correct: ArrayLike, consistency: ArrayLike
) -> NDArray[np.bool_]:
    """Images predicted correctly before and after with a map that moved (consistency below 0.5), (N,) bool."""
    both = np.asarray(clean_correct, bool) & np.asarray(perturbed_correct, bool)
    return both & (np.asarray(consistency) < MOVED_BELOW)


def different_reason_share(clean_correct: ArrayLike, perturbed_correct: ArrayLike, consistency: ArrayLike) -> float:
    """Share of `different_reason` among the images correct before and after, 0..1; NaN where there are none."""
    both = np.asarray(clean_correct, bool) & np.asarray(perturbed_correct, bool)
    return _mean((np.asarray(consistency)[both] < MOVED_BELOW).astype(np.float64))


def mean_corruption_error(
    errors: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]] | None = None
) -> float:
    """Mean corruption error: of each kind of corruption the mean over its strengths, of these the mean.

    With a reference network's errors, each kind counts relative to them: 1 = as many errors as the reference, and what
    is hard for every network does not outweigh the rest. NaN without a corruption, or where the reference errs never.

    Equation:
        CE_c = sum_s E_c,s / sum_s E_c,s of the reference; mCE = mean_c CE_c
        (Hendrycks and Dietterich 2019, Sec. 4; without a reference, the mean of the errors themselves)

    Args:
        errors: share of wrong predictions by kind of corruption, at one strength or more.
        reference: the same of the reference network, with the same kinds and strengths.
    """
    if reference is None:
        return _mean(np.array([np.mean(of_kind) for of_kind in errors.values()]))
    ratios = [np.sum(of_kind) / (np.sum(reference[kind]) or math.nan) for kind, of_kind in errors.items()]
    return _mean(np.array(ratios))


@dataclass(frozen=True)
class CueProfile:
    """How much the true class's logit falls under each variant, per class; see `cue_profile`.

    drop: (V, C) float64 in standard deviations of the clean logit; 0 = the cue does not matter. All NaN where the
        deviation is not defined, as with one image per class.
    error: (V, C) float64, standard error of `drop`; NaN for classes of one image.
    count: (C,) int64, images.
    deviation: of the clean logit within its class, the unit of `drop`; 0 where it is not defined.
    """

    drop: Float64
    error: Float64
    count: NDArray[np.int64]
    deviation: float


def cue_profile(label_logits: ArrayLike, labels: ArrayLike, classes: int) -> CueProfile:
    """How far each class relies on what each variant removes (colour, fine detail, clean pixels).

    Equation:
        f_v,c = mean_{x in c} (S_y(x, clean) - S_y(x, v)) / sd
        sd: within-class standard deviation of S_y(x, clean), pooled over all classes, so that classes compare

    Args:
        label_logits: (V, N) logit of the true class, variant 0 clean.
        labels: (N,) class indices.
        classes: C; a class without images gets NaN.
    """
    label_logits, labels = np.asarray(label_logits, np.float64), np.asarray(labels)
    count = np.bincount(labels, minlength=classes)
    centred = label_logits[0] - class_means(label_logits[0], labels, classes)[labels]
    freedom = len(labels) - np.count_nonzero(count)
    deviation = np.sqrt((centred**2).sum() / freedom) if freedom > 0 else 0.0
    drops = (label_logits[0] - label_logits) / deviation if deviation > 0 else np.full(label_logits.shape, np.nan)
    mean = class_means(drops, labels, classes)
    variance = quotient(class_means((drops - mean[:, labels]) ** 2, labels, classes) * count, count - 1)
    return CueProfile(mean, np.sqrt(quotient(variance, count)), count, float(deviation))


@dataclass(frozen=True)
class DoseLine:
    """How straight a measure follows the strength of a perturbation; see `dose_line`.

    slope: change of the mean per unit of the strength.
    explained: share of the variation of the means that the straight line explains, 0..1; NaN where they are all equal.
    bend: how far the curve hangs above (> 0) or below (< 0) its chord, halfway between the smallest and the largest
        strength, in units of the measure; low, high: its 95 % interval over images. With 0 outside, it is no line.
    """

    slope: float
    explained: float
    bend: float
    low: float
    high: float


def dose_line(strengths: ArrayLike, values: ArrayLike) -> DoseLine:
    """A straight line through a measure at several strengths, and what a parabola adds to it.

    Every image has its own parabola, so the interval is of the same images under every strength.

    Equation:
        v_n(s) = a_n + b_n s + c_n s^2 by least squares; bend = mean_n(-c_n) (s_max - s_min)^2 / 4

    Args:
        strengths: (D,), at least three different ones.
        values: (N, D) the measure of each image under each of them.

    Raises:
        ValueError: fewer than three different strengths, which any parabola fits.
    """
    strengths, values = np.asarray(strengths, np.float64), np.asarray(values, np.float64)
    if len(np.unique(strengths)) < 3:
        raise ValueError(f"A bend needs three different strengths or more, got {np.unique(strengths).tolist()}.")
    span = np.ptp(strengths)
    places = (strengths - strengths.min()) / span  # 0..1: squares of densities of 0.0005 would lose digits
    bends = -np.polyfit(places, values.T, 2)[0] / 4
    means = values.mean(0)
    slope, start = np.polyfit(places, means, 1)
    variation = ((means - means.mean()) ** 2).sum()
    rest = ((means - start - slope * places) ** 2).sum()
    explained = 1 - rest / variation if variation > 0 else float("nan")
    return DoseLine(float(slope / span), float(explained), *mean_interval(bends))


def cue_order(drops: ArrayLike) -> NDArray[np.int64]:
    """Order of the classes that puts similar cue profiles (C, variants) side by side, (C,) int64 (Ward 1963)."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # here, because only one page needs it

    drops = np.nan_to_num(np.asarray(drops, np.float64))
    if drops.shape[0] < 3 or drops.shape[1] == 0:
        return np.arange(drops.shape[0])
    return leaves_list(linkage(drops, "ward")).astype(np.int64)


def _mean(values: Float64) -> float:
    return float(values.mean()) if values.size else float("nan")
