"""What the training ledger says about each training image: (E, M) arrays over E epochs and M images in, (M,) out.

NaN stands where an image was in no batch of an epoch; such epochs do not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def aum(margin: Floats) -> Floats:
    """Area under the margin: the mean over the epochs of the label's logit minus the highest other one, in logits.

    Equation:
        AUM(x, y) = 1/E sum_e (z_y - max_{k != y} z_k)   (Pleiss et al. 2020, Eq. 1 and 2)

    A wrong label pulls against what the other images of its class teach: its margin stays low or negative.
    """
    return _over_epochs(margin, np.nanmean)


def aum_threshold(aum_of_threshold_samples: Floats, percentile: float = 99) -> float:
    """The AUM below which a label is suspect: a percentile of that of images put into a class of their own (Sec. 3.2).

    Raises:
        ValueError: there are no such images.
    """
    if not len(aum_of_threshold_samples):
        raise ValueError("A threshold needs the AUM of at least one threshold sample.")
    return float(np.nanpercentile(aum_of_threshold_samples, percentile))


def confidence(label_probability: Floats) -> Floats:
    """Mean over the epochs of the label's probability, 0..1: the vertical axis of a dataset map.

    Equation:
        mu = 1/E sum_e p_e(y | x)   (Swayamdipta et al. 2020, Sec. 2.1)
    """
    return _over_epochs(label_probability, np.nanmean)


def variability(label_probability: Floats) -> Floats:
    """Standard deviation over the epochs of the label's probability, 0..0.5: the horizontal axis of a dataset map.

    Equation:
        sigma = sqrt(1/E sum_e (p_e(y | x) - mu)^2)   (Swayamdipta et al. 2020, Sec. 2.1)
    """
    return _over_epochs(label_probability, np.nanstd)


def el2n(error_norm: Floats) -> Floats:
    """Mean over the epochs of the length of the error vector, 0..sqrt(2); the source takes it early in training.

    Equation:
        EL2N(x, y) = E ||p(x) - onehot(y)||_2   (Paul et al. 2021, Definition 2.2)
    """
    return _over_epochs(error_norm, np.nanmean)


def forgetting_events(correct: NDArray[np.bool_], seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How often each image went from correct to wrong between two epochs in which it was seen.

    Equation:
        sum_e [acc_e = 1 and acc_{e+1} = 0]   (Toneva et al. 2019, Definition in Sec. 3)

    Args:
        correct: (E, M), whether the prediction was the label.
        seen: (E, M), whether the image was in a batch.
    """
    events = np.zeros(correct.shape[1], np.int64)
    before = np.zeros(correct.shape[1], bool)
    for now, here in zip(correct, seen, strict=True):
        events += before & ~now & here
        before = np.where(here, now, before)
    return events


def precision_at(suspicion: Floats, wrong: NDArray[np.bool_], k: int) -> float:
    """Share of the k most suspicious images whose label is wrong, 0..1; equal suspicions in the order given."""
    return float(wrong[np.argsort(-suspicion, kind="stable")[:k]].mean())


def _over_epochs(values: Floats, figure: np.ufunc | object) -> Floats:
    """A figure over the epochs in which an image was seen, (M,) float64; NaN for an image that never was."""
    result = np.full(values.shape[1], np.nan)
    seen = ~np.isnan(values).all(0)
    result[seen] = figure(values[:, seen].astype(np.float64), axis=0)  # type: ignore[operator]
    return result
