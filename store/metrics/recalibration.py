"""What half of the labelled images teaches about confidences: a temperature for the logits, and sets of classes that
contain the true one as often as promised. Fit on one half of the images, report on the other.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.metrics.maps import softmax

Float64 = NDArray[np.float64]
TEMPERATURES = (0.02, 50.0)  # a network that is always correct, or that knows nothing, would have no best one


def at_temperature(logits: ArrayLike, temperature: float) -> Float64:
    """Probabilities (n, C) float64 of logits divided by a temperature: softmax(S / T); T > 1 is less confident."""
    return softmax(np.asarray(logits, np.float64) / temperature, np.float64)


def fit_temperature(logits: ArrayLike, true_class: ArrayLike) -> float:
    """The temperature of least negative log-likelihood, between 0.02 and 50; no prediction changes by it.

    Equation:
        T = argmin_T mean over images of ln sum_k exp(S_k / T) - S_true / T   (Guo et al. 2017, Sec. 4.2)

    Args:
        logits: (n, C), at least one image.
        true_class: (n,).
    """
    from scipy.optimize import minimize_scalar  # here: slow to import, and most pages do without

    logits = np.asarray(logits, np.float64)
    # relative to the largest, so that nothing overflows at a low temperature
    below = logits - logits.max(-1, keepdims=True)
    true = np.take_along_axis(below, np.asarray(true_class, np.int64)[:, None], axis=1)[:, 0]

    def loss(log_temperature: float) -> float:
        inverse = math.exp(-log_temperature)
        return float((np.log(np.exp(below * inverse).sum(-1)) - true * inverse).mean())

    low, high = map(math.log, TEMPERATURES)
    return math.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)


def set_threshold(label_probability: ArrayLike, *, miss: float) -> float:
    """The probability from which a class belongs to the prediction set, so that the true one is missed rarely enough.

    Of a new image like these, the set {k : P_k >= threshold} misses the true class with a probability of `miss` at
    most, whatever the network (if images are exchangeable). 0, the set of all classes, with too few images.

    Equation:
        the ceil((n + 1)(1 - miss))-th largest P_true of n images
        (split conformal prediction, Vovk et al. 2005; with this score, Sadinle et al. 2019)

    Args:
        label_probability: (n,) of images that nothing was fitted on.
        miss: above 0, below 1.
    """
    probabilities = np.sort(np.asarray(label_probability, np.float64))[::-1]
    place = math.ceil((len(probabilities) + 1) * (1 - miss) - 1e-9)  # 0.9 * 10 is 9.000000000000002 at times
    return float(probabilities[place - 1]) if place <= len(probabilities) else 0.0
