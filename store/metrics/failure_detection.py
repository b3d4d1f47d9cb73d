"""Failure detection: does a score tell correct predictions from wrong ones?

A score is any number per image that is meant to be high for correct predictions. Equal scores are ties everywhere: curves
hold one point per distinct score, and areas are the mean over all orders in which tied images could be accepted. So
no figure here depends on the order of the images, and a constant score is worth exactly chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class RiskCoverage:
    """Operating points from the strictest threshold to none, each array (points,); accepted is score >= threshold."""

    threshold: Float64
    coverage: Float64
    risk: Float64


@dataclass(frozen=True)
class Detection:
    """Figures of one score, each () for the images as they are or (resamples,) for a bootstrap; see `detection`."""

    auroc: Float64
    fpr95: Float64
    aurc: Float64
    e_aurc: Float64
    augrc: Float64


VARIANT_METRICS = ("auroc", "fpr95", "aurc", "e_aurc", "augrc")


def risk_coverage(score: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """Error rate among the accepted images against the share accepted, at every distinct threshold.

    Source:
        El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.
    """
    score, right = _columns(score, right)
    rights, wrongs = _tally(score, right, np.ones((1, len(score)), np.int32))
    accepted = np.cumsum(rights + wrongs, axis=-1)[0]
    return RiskCoverage(np.unique(score)[::-1], accepted / len(score), np.cumsum(wrongs, axis=-1)[0] / accepted)


def detection(score: ArrayLike, right: ArrayLike, weights: ArrayLike | None = None) -> Detection:
    """Failure detection figures of a score; lower is better but for the AUROC.

    auroc: P(score of a correct prediction > score of a wrong one) + P(equal) / 2; NaN if all are right or all wrong.
    fpr95: share of wrong predictions accepted where at least 95 % of the correct ones are; NaN as above.
    aurc: mean error rate among the n most trusted images, n = 1..N (Geifman and El-Yaniv 2017).
    e_aurc: aurc minus that of a perfect ranking with as many errors (Geifman et al. 2019; exact, not their limit
        e + (1 - e) ln(1 - e)).
    augrc: area under P(accepted and wrong) over coverage (Traub et al. 2024), which is
        (1 - AUROC) a (1 - a) + (1 - a)^2 / 2 with the accuracy a.

    Args:
        score: (N,) float, finite.
        right: (N,) bool.
        weights: (resamples, N) how often each image counts; None = once. See `resamples`.
    """
    score, right = _columns(score, right)
    single = weights is None
    counts = np.ones((1, len(score)), np.int32) if weights is None else np.asarray(weights)
    figures = _figures(*_tally(score, right, counts))
    return Detection(*(np.asarray(figure[0] if single else figure) for figure in figures))


def resamples(images: int, *, count: int = 500, seed: int = 0) -> NDArray[np.int32]:
    """Bootstrap weights (count, images) int32: how often each image was drawn, with replacement (Efron 1979).

    Use the same weights for all scores: their differences are then paired, and much less noisy than the scores.
    """
    draws = np.random.default_rng(seed).integers(images, size=(count, images))
    return np.stack([np.bincount(draw, minlength=images) for draw in draws]).astype(np.int32)


def coarse(score: ArrayLike, *, levels: int = 1000) -> Float64:
    """The score rounded to about `levels` steps that hold equally many images, (N,) float64, for a fast bootstrap.

    Ties within a step count as ties, so areas move by less than a step's share; use the exact score for estimates.
    """
    score = np.asarray(score, np.float64)
    if len(score) <= levels:
        return score
    steps = np.unique(np.quantile(score, np.linspace(0, 1, levels + 1)[1:], method="inverted_cdf"))
    return steps[np.searchsorted(steps, score, side="left")]


def interval(values: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval (low, high) of bootstrap values, NaN resamples left out (all of them: NaN)."""
    tail = (1 - level) / 2
    values = np.asarray(values, np.float64)
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def joint_intervals(estimates: ArrayLike, samples: ArrayLike, *, level: float = 0.95) -> tuple[Float64, Float64]:
    """Intervals (low, high), each (S,), that hold for all S estimates at once with the probability `level`.

    Narrower than Bonferroni's where estimates go together, and settled by as few resamples as a single interval is.

    Equation:
        estimate_s -+ q sd_s, q the `level` quantile over resamples b of max_s |sample_sb - mean_s| / sd_s
        (studentised maximum, Romano and Wolf 2005)

    Args:
        estimates: (S,). samples: (S, B) paired bootstrap values; resamples with a NaN are left out (all: NaN).
    """
    estimates, samples = np.asarray(estimates, np.float64), np.asarray(samples, np.float64)
    known = samples[:, ~np.isnan(samples).any(0)]
    if known.shape[1] < 2:
        return np.full(len(estimates), np.nan), np.full(len(estimates), np.nan)
    spread = known.std(1, ddof=1)
    away = np.abs(known - known.mean(1, keepdims=True))
    furthest = np.divide(away, spread[:, None], out=np.zeros_like(away), where=spread[:, None] > 0).max(0)
    reach = np.quantile(furthest, level) * spread
    return estimates - reach, estimates + reach


def _columns(score: ArrayLike, right: ArrayLike) -> tuple[Float64, NDArray[np.bool_]]:
    score, right = np.asarray(score, np.float64), np.asarray(right, bool)
    if score.ndim != 1 or score.shape != right.shape or not len(score):
        raise ValueError(
            f"score and right must be two columns of the same length, at least 1, got shapes {score.shape} "
            f"and {right.shape}."
        )
    if not np.isfinite(score).all():
        raise ValueError(f"A score must be finite, but that of image {int(np.argmin(np.isfinite(score)))} is not.")
    return score, right


def _tally(score: Float64, right: NDArray[np.bool_], weights: NDArray) -> tuple[Float64, Float64]:
    """Right and wrong predictions at each distinct score, best score first, two (resamples, distinct)."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    weights = weights[:, order]
    both = np.add.reduceat(weights, starts, axis=1).astype(np.float64)
    rights = np.add.reduceat(weights * right[order], starts, axis=1).astype(np.float64)
    return rights, both - rights


def _figures(rights: Float64, wrongs: Float64) -> tuple[Float64, ...]:
    accepted_right, accepted_wrong = np.cumsum(rights, axis=1), np.cumsum(wrongs, axis=1)
    right, wrong = accepted_right[:, -1], accepted_wrong[:, -1]
    mixed = (right > 0) & (wrong > 0)
    pairs = np.where(mixed, right * wrong, np.nan)
    auroc = np.einsum("rg,rg->r", wrongs, accepted_right - rights / 2) / pairs
    strict = np.argmax(100 * accepted_right >= 95 * right[:, None], axis=1)
    fpr95 = np.take_along_axis(accepted_wrong, strict[:, None], axis=1)[:, 0] / np.where(mixed, wrong, np.nan)
    aurc = _aurc(rights, wrongs, accepted_right + accepted_wrong, accepted_wrong)
    perfect = _perfect_aurc(right, wrong)
    error = wrong / (right + wrong)
    lost_pairs = np.where(mixed, 1 - np.nan_to_num(auroc), 0.0)
    augrc = lost_pairs * error * (1 - error) + error**2 / 2
    return auroc, fpr95, aurc, np.maximum(aurc - perfect, 0), augrc


def _aurc(rights: Float64, wrongs: Float64, accepted: Float64, accepted_wrong: Float64) -> Float64:
    """Mean selective risk over all coverages; within a tie the errors come evenly, so that harmonic numbers sum it."""
    size = rights + wrongs
    rate = np.divide(wrongs, size, out=np.zeros_like(size), where=size > 0)
    before, errors_before = accepted - size, accepted_wrong - wrongs
    harmonic = _harmonic(int(accepted.max()))
    steps = harmonic[accepted.astype(np.int64)] - harmonic[before.astype(np.int64)]
    return (wrongs + (errors_before - before * rate) * steps).sum(1) / accepted[:, -1]


def _perfect_aurc(right: Float64, wrong: Float64) -> Float64:
    harmonic = _harmonic(int((right + wrong).max()))
    steps = harmonic[(right + wrong).astype(np.int64)] - harmonic[right.astype(np.int64)]
    return (wrong - right * steps) / (right + wrong)


def _harmonic(most: int) -> Float64:
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, most + 1))])
