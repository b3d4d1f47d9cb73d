"""Failure detection: does a confidence score separate correct predictions from wrong ones?

A confidence score is any number per image that is meant to be high for correct predictions. Equal scores are ties
everywhere: curves have one point per distinct score, and areas are means over all orders in which tied images could
be accepted. So nothing here depends on the order of the images, and a constant score is worth exactly chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.means import quotient

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


DETECTION_METRICS = ("auroc", "fpr95", "aurc", "e_aurc", "augrc")


def risk_coverage(score: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Error rate among the accepted images against the share accepted, at every distinct threshold.

    Source:
        El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.
    """
    score, correct = _columns(score, correct)
    hits, errors = _tally(score, correct, np.ones((1, len(score)), np.int32))
    accepted = np.cumsum(hits + errors, axis=-1)[0]
    return RiskCoverage(np.unique(score)[::-1], accepted / len(score), np.cumsum(errors, axis=-1)[0] / accepted)


def detection(score: ArrayLike, correct: ArrayLike, weights: ArrayLike | None = None) -> Detection:
    """Failure detection figures of a score; lower is better but for the AUROC.

    auroc: P(score of a correct prediction > score of a wrong one) + P(equal) / 2; NaN if all are correct or all wrong.
    fpr95: share of wrong predictions accepted where at least 95 % of the correct ones are; NaN as above.
    aurc: mean error rate among the n most trusted images, n = 1..N (Geifman and El-Yaniv 2017).
    e_aurc: aurc minus that of a perfect ranking with as many errors (Geifman et al. 2019; exact, not their limit
        e + (1 - e) ln(1 - e)).
    augrc: area under P(accepted and wrong) over coverage (Traub et al. 2024), which is
        (1 - AUROC) a (1 - a) + (1 - a)^2 / 2 with the accuracy a.

    Args:
        score: (N,) float, finite.
        correct: (N,) bool.
        weights: (resamples, N) how often each image counts; None = once. See `resamples`.
    """
    score, correct = _columns(score, correct)
    single = weights is None
    counts = np.ones((1, len(score)), np.int32) if weights is None else np.asarray(weights)
    figures = _figures(*_tally(score, correct, counts))
    return Detection(*(np.asarray(figure[0] if single else figure) for figure in figures))


def resamples(images: int, *, count: int = 500, seed: int = 0) -> NDArray[np.int32]:
    """Bootstrap weights (count, images) int32: how often each image was drawn, with replacement (Efron 1979).

    Use the same weights for all scores: their differences are then paired, and much less noisy than the scores.
    """
    draws = np.random.default_rng(seed).integers(images, size=(count, images))
    return np.stack([np.bincount(draw, minlength=images) for draw in draws]).astype(np.int32)


def coarse(score: ArrayLike, *, levels: int = 1000) -> Float64:
    """The score rounded to about `levels` steps of equally many images, (N,) float64, for a fast bootstrap.

    Ties within a step count as ties, so areas move by less than a step's share; use the exact score for estimates.
    """
    score = np.asarray(score, np.float64)
    if len(score) <= levels:
        return score
    steps = np.unique(np.quantile(score, np.linspace(0, 1, levels + 1)[1:], method="inverted_cdf"))
    return steps[np.searchsorted(steps, score, side="left")]


def interval(values: ArrayLike) -> tuple[float, float]:
    """95 % percentile interval (low, high) of bootstrap values, NaN resamples left out (all of them: NaN)."""
    values = np.asarray(values, np.float64)
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def joint_intervals(estimates: ArrayLike, samples: ArrayLike) -> tuple[Float64, Float64]:
    """Intervals (low, high), each (S,), that hold for all S estimates at once with a probability of 95 %.

    Narrower than Bonferroni's where estimates are correlated, and needs no more resamples than a single interval.

    Equation:
        estimate_s -+ q sd_s, q the 0.95 quantile over resamples b of max_s |sample_sb - mean_s| / sd_s
        (studentised maximum, Romano and Wolf 2005)

    Args:
        estimates: (S,). samples: (S, B) paired bootstrap values; resamples with a NaN are left out (all: NaN).
    """
    estimates, samples = np.asarray(estimates, np.float64), np.asarray(samples, np.float64)
    known = samples[:, ~np.isnan(samples).any(0)]
    if known.shape[1] < 2:
        return np.full(len(estimates), np.nan), np.full(len(estimates), np.nan)
    # Not Bonferroni's percentiles: with 16 scores they are beyond the last of 400 resamples.
    spread = known.std(1, ddof=1)
    away = np.abs(known - known.mean(1, keepdims=True))
    furthest = quotient(away, spread[:, None], 0).max(0)
    reach = np.quantile(furthest, 0.95) * spread
    return estimates - reach, estimates + reach


def gain_p(scores: ArrayLike, reference: ArrayLike, correct: ArrayLike, *, flips: int = 999, seed: int = 0) -> Float64:
    """P-values (S,) of each score detecting errors as well as the reference does, two-sided, for all scores jointly.

    If it does, score and reference may change roles on any image, so that the difference of an image's two ranks may
    as well have the other sign. Unlike a bootstrap with five errors it does not mistake ties for certainty.

    Equation:
        T_s = |sum_i w_i| / sqrt(sum_i w_i^2), w_i = (correct_i - accuracy) (rank of score_i - rank of reference_i)
        p_s = (1 + #{max_s T* >= T_s}) / (1 + flips), T* with random signs of w_i
        (paired permutation of ranks, Bandos et al. 2005; maximum over scores, Westfall and Young 1993)

    Args:
        scores: (S, N) float. reference: (N,) float. correct: (N,) bool.
    """
    from scipy.stats import rankdata

    correct = np.asarray(correct, np.float64)
    apart = rankdata(scores, axis=1) - rankdata(reference)
    weights = (correct - correct.mean()) * apart
    size = np.sqrt((weights**2).sum(1))
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), (flips, len(correct)))

    chance = quotient(np.abs(signs @ weights.T), size, 0).max(1)
    observed = quotient(np.abs(weights.sum(1)), size, 0)
    return (1 + (chance >= observed[:, None] - 1e-9).sum(1)) / (1 + flips)


@dataclass(frozen=True)
class Combination:
    """Logistic regression over standardised scores, never evaluated on the images that it was fitted on.

    probability: (N,) float64, of a correct prediction, for all images. reported: (N,) bool, those unseen by the fit.
    """

    probability: Float64
    reported: NDArray[np.bool_]


def reported_half(labels: ArrayLike, *, seed: int = 0) -> NDArray[np.bool_]:
    """The half to report on, (N,) bool: a random half of each class, odd images to either half in turn."""
    labels = np.asarray(labels)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    reported = np.zeros(len(labels), bool)
    reported[grouped[1::2]] = True
    return reported


def fit_combination(scores: ArrayLike, correct: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> Combination:
    """Logistic regression of `correct` on the scores, fitted on one half of each class and evaluated on the other.

    Where all predictions of the fitted half are correct, or all wrong, every image gets that half's accuracy.

    Args:
        scores: (S, N) float, finite.
        correct: (N,) bool.
        labels: (N,) class indices, for the stratified halves.
    """
    from sklearn.linear_model import LogisticRegression  # here, because it takes a second to import

    scores, correct = np.asarray(scores, np.float64), np.asarray(correct, bool)
    reported = reported_half(labels, seed=seed)
    fitted = scores[:, ~reported]
    spread = fitted.std(1, keepdims=True)
    features = ((scores - fitted.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)).T
    if len(np.unique(correct[~reported])) < 2:
        constant = float(correct[~reported].mean()) if (~reported).any() else 0.5
        return Combination(np.full(len(correct), constant), reported)
    model = LogisticRegression(max_iter=1000).fit(features[~reported], correct[~reported])
    return Combination(model.predict_proba(features)[:, 1], reported)


def _columns(score: ArrayLike, correct: ArrayLike) -> tuple[Float64, NDArray[np.bool_]]:
    score, correct = np.asarray(score, np.float64), np.asarray(correct, bool)
    if score.ndim != 1 or score.shape != correct.shape or not len(score):
        raise ValueError(
            f"score and correct must be two columns of the same length, at least 1, got shapes {score.shape} "
            f"and {correct.shape}."
        )
    if not np.isfinite(score).all():
        raise ValueError(f"A score must be finite, but that of image {int(np.argmin(np.isfinite(score)))} is not.")
    return score, correct


def _tally(score: Float64, correct: NDArray[np.bool_], weights: NDArray) -> tuple[Float64, Float64]:
    """Correct and wrong predictions at each distinct score, best score first, two (resamples, distinct)."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    weights = weights[:, order]
    both = np.add.reduceat(weights, starts, axis=1).astype(np.float64)
    hits = np.add.reduceat(weights * correct[order], starts, axis=1).astype(np.float64)
    return hits, both - hits


def _figures(hits: Float64, errors: Float64) -> tuple[Float64, ...]:
    accepted_correct, accepted_wrong = np.cumsum(hits, axis=1), np.cumsum(errors, axis=1)
    correct, wrong = accepted_correct[:, -1], accepted_wrong[:, -1]
    mixed = (correct > 0) & (wrong > 0)
    pairs = np.where(mixed, correct * wrong, np.nan)
    auroc = np.einsum("rg,rg->r", errors, accepted_correct - hits / 2) / pairs
    strict = np.argmax(100 * accepted_correct >= 95 * correct[:, None], axis=1)
    fpr95 = np.take_along_axis(accepted_wrong, strict[:, None], axis=1)[:, 0] / np.where(mixed, wrong, np.nan)
    aurc = _aurc(hits, errors, accepted_correct + accepted_wrong, accepted_wrong)
    perfect = _perfect_aurc(correct, wrong)
    error_rate = wrong / (correct + wrong)
    lost_pairs = np.where(mixed, 1 - np.nan_to_num(auroc), 0.0)
    augrc = lost_pairs * error_rate * (1 - error_rate) + error_rate**2 / 2
    return auroc, fpr95, aurc, np.maximum(aurc - perfect, 0), augrc


def _aurc(hits: Float64, errors: Float64, accepted: Float64, accepted_wrong: Float64) -> Float64:
    """Mean selective risk over all coverages; within a tie errors are spread evenly, which harmonic numbers sum."""
    size = hits + errors
    rate = quotient(errors, size, 0)
    before, errors_before = accepted - size, accepted_wrong - errors
    harmonic = _harmonic(int(accepted.max()))
    steps = harmonic[accepted.astype(np.int64)] - harmonic[before.astype(np.int64)]
    return (errors + (errors_before - before * rate) * steps).sum(1) / accepted[:, -1]


def _perfect_aurc(correct: Float64, wrong: Float64) -> Float64:
    harmonic = _harmonic(int((correct + wrong).max()))
    steps = harmonic[(correct + wrong).astype(np.int64)] - harmonic[correct.astype(np.int64)]
    return (wrong - correct * steps) / (correct + wrong)


def _harmonic(most: int) -> Float64:
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, most + 1))])
