"""A fitted combination of failure scores, never judged on the images that it was fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Combination:
    """Logistic regression over standardised scores: the probability of a correct prediction for each image.

    probability: (N,) float64 for all images; only those of `reported` were unseen by the fit.
    weights: (S,) float64, change of the log-odds per standard deviation of each score.
    reported: (N,) bool.
    """

    probability: NDArray[np.float64]
    weights: NDArray[np.float64]
    reported: NDArray[np.bool_]


def halves(labels: ArrayLike, *, seed: int = 0) -> NDArray[np.bool_]:
    """Mask of the half to report on, (N,) bool: a random half of each class, odd images to either half in turn."""
    labels = np.asarray(labels)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    reported = np.zeros(len(labels), bool)
    reported[grouped[1::2]] = True
    return reported


def fit_combination(scores: ArrayLike, right: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> Combination:
    """Logistic regression of `right` on the scores, fitted on one half of each class and meant for the other.

    Where the fitted half is all right or all wrong there is nothing to fit: every image gets that half's accuracy.

    Args:
        scores: (S, N) float, finite.
        right: (N,) bool.
        labels: (N,) class indices, for the stratified halves.
    """
    from sklearn.linear_model import LogisticRegression  # here, because it takes a second to import

    scores, right = np.asarray(scores, np.float64), np.asarray(right, bool)
    reported = halves(labels, seed=seed)
    fitted = scores[:, ~reported]
    spread = fitted.std(1, keepdims=True)
    features = ((scores - fitted.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)).T
    if len(np.unique(right[~reported])) < 2:
        constant = float(right[~reported].mean()) if (~reported).any() else 0.5
        return Combination(np.full(len(right), constant), np.zeros(len(scores)), reported)
    model = LogisticRegression(max_iter=1000).fit(features[~reported], right[~reported])
    return Combination(model.predict_proba(features)[:, 1], model.coef_[0].astype(np.float64), reported)
