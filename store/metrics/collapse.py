"""Neural collapse: do the features of a class draw together, and the classes move as far apart as possible?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.means import quotient

Float64 = NDArray[np.float64]
RANK = 1e-10  # eigenvalues below this share of the largest count as 0, as in a pseudo-inverse


@dataclass(frozen=True)
class Collapse:
    """NC1 to NC4 of one layer; each is 0 in full collapse. Of two classes or more.

    nc1: variability within classes over that between them.
    nc2_norm: coefficient of variation of the lengths of the centred class means.
    nc2_angle: mean |cos + 1 / (C - 1)| over pairs of them: their distance from a simplex, in which all are as far apart
        as can be.
    nc3: distance between the classifier and the class means, both scaled to length 1, 0 to 2; NaN without a classifier.
    nc4: share of the images whose prediction is not the class of the nearest mean.
    """

    nc1: float
    nc2_norm: float
    nc2_angle: float
    nc3: float
    nc4: float


def collapse(
    features: ArrayLike, labels: ArrayLike, predictions: ArrayLike, *, classifier: ArrayLike | None = None
) -> Collapse:
    """The measures of Papyan, Han and Donoho 2020 (PNAS 117), on any images.

    Equation:
        NC1 = tr(S_W S_B^+) / C; S_W = mean (h - m_c)(h - m_c)^T, S_B = mean over classes of (m_c - m)(m_c - m)^T
        NC2 = sd / mean of |m_c - m|, and mean |cos(m_c - m, m_d - m) + 1 / (C - 1)|
        NC3 = | W / |W| - M / |M| |, M = the rows m_c - m
        NC4 = share with prediction != argmin_c |h - m_c|

    Args:
        features: (n, d).
        labels: (n,) class indices 0..C-1, each with an image.
        predictions: (n,), the network's.
        classifier: (C, d), weights of a linear layer on these features.
    """
    features, labels = np.asarray(features, np.float32), np.asarray(labels, np.int64)
    count = np.bincount(labels).astype(np.float64)
    if len(count) < 2 or not count.all():
        raise ValueError(f"Collapse needs images of at least two classes, numbered without gaps, got {count.tolist()}.")
    means = np.stack([features[labels == label].mean(0, dtype=np.float64) for label in range(len(count))])
    middle = means.mean(0)
    centred = means - middle
    gram = centred @ centred.T
    lengths = np.sqrt(np.diag(gram))
    # Everything follows from the products with the means: a matrix of (d, d) would not fit in memory. S_B^+ is in the
    # directions in which the means differ, where S_B is the Gram matrix divided by C.
    product = ((features - middle.astype(np.float32)) @ centred.T.astype(np.float32)).astype(np.float64)
    values, vectors = np.linalg.eigh(gram)
    kept = values > RANK * max(values.max(), 0)
    within = (product - gram[labels]) @ (vectors[:, kept] / values[kept])
    pair = ~np.eye(len(count), dtype=bool)
    cosines = quotient(gram, np.outer(lengths, lengths), 0)
    distance = np.diag(gram) - 2 * product
    return Collapse(
        nc1=float((within**2).sum(1).mean()) if kept.any() else float("nan"),
        nc2_norm=float(lengths.std() / lengths.mean()) if lengths.any() else float("nan"),
        nc2_angle=float(np.abs(cosines[pair] + 1 / (len(count) - 1)).mean()),
        nc3=float("nan") if classifier is None else _duality(np.asarray(classifier, np.float64), centred),
        nc4=float((distance.argmin(1) != np.asarray(predictions)).mean()),
    )


def _duality(classifier: Float64, centred: Float64) -> float:
    lengths = np.linalg.norm(classifier) * np.linalg.norm(centred)
    if not lengths:
        return float("nan")
    return float(np.sqrt(max(0.0, 2 - 2 * (classifier * centred).sum() / lengths)))
