"""The minimal correction of one prediction: which cells decide it, and how few of them have to be removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.errors import NotInRun
from store.metrics import correction, maps
from store.read.epoch_data import rows_of
from store.read.run import Run

_ROUNDING = 1e-5  # float32 means of the same cells in another order


@dataclass(frozen=True)
class MinimalCorrection:
    """One prediction against another class, exactly; cells are numbered y * width + x, k counts removed cells 0..cells.

    difference: (H, W) float64, map of the prediction minus map of `against`; its mean is the margin.
    order: (cells,) int64, the cells by falling difference: the first k are the best k to remove.
    cells: k*, the fewest cells whose removal lets `against` at least tie (0: it ties already), from the decoded maps;
        low, high: k* of any maps within the quantisation error of them.
    logits: (cells + 1, C) float32, all logits after k removals. winners: (cells + 1,) int64, the prediction then;
        `against` wins a tie.
    logit_error: largest |mean of the map - recorded logit| of prediction and true class. logit_bound: what quantisation
        allows; exact: whether the first is within the second, so that the result can be trusted.
    """

    image: int
    prediction: int
    true_class: int
    against: int
    difference: NDArray[np.float64]
    order: NDArray[np.int64]
    cells: int
    low: int
    high: int
    logits: NDArray[np.float32]
    winners: NDArray[np.int64]
    logit_error: float
    logit_bound: float

    @property
    def exact(self) -> bool:
        """Whether the means of the decoded maps are the recorded logits, within the quantisation error."""
        return self.logit_error <= self.logit_bound


def minimal_correction(
    run: Run, image: int, *, epoch: int, variant: str = "clean", against: int | None = None
) -> MinimalCorrection:
    """The minimal correction of one image's prediction against the true class, the runner-up if correct, or any class.

    Reads the maps of one image (a chunk) and five columns. Raises NotInRun for anything that is not in the run, such as
    a map that was not kept; winners are among the classes whose maps are kept, the others' logits NaN.

    >>> queries.minimal_correction(run, 0, epoch=3, variant="gray").cells
    9
    """
    at: dict[str, Any] = {"epoch": epoch, "variant": variant, "images": [image]}
    found = run.maps(**at)[0] + run.mean_maps(**at)[0]  # the network's own maps: their means are the logits
    bound = run.map_error(**at)[0].astype(np.float64)
    prediction, runner_up, label_logit, predicted_logit = (
        run.column(name, epoch=epoch, variant=variant)[image]
        for name in ("prediction", "runner_up", "label_logit", "predicted_logit")
    )
    prediction, true_class = int(prediction), int(run.labels[image])
    if against is None:
        against = true_class if prediction != true_class else int(runner_up)
    else:
        rows_of([against], len(run.classes), what="class")
    if np.isnan(found[against]).any():
        kept = ", ".join(str(index) for index in np.flatnonzero(~np.isnan(bound)))
        raise NotInRun(f"The map of class {against} is not kept for image {image}. Choose one of the classes {kept}.")
    difference = correction.difference(found[prediction], found[against])
    order = correction.removal_order(difference)
    low, high = correction.k_interval(difference, bound[prediction] + bound[against])
    logits = _curve(found, order)
    best = np.where(np.isnan(logits), -np.inf, logits).argmax(1)  # of the classes whose maps are kept
    steps = np.arange(len(logits))
    recorded = {prediction: float(predicted_logit), true_class: float(label_logit)}
    error, allowed = _logit_error(maps.logits(found).astype(np.float64), bound, recorded)
    return MinimalCorrection(
        image=int(image),
        prediction=prediction,
        true_class=true_class,
        against=against,
        difference=difference,
        order=order,
        cells=int(correction.correction_cells(found[prediction], found[against])),
        low=int(low),
        high=int(high),
        logits=logits,
        winners=np.where(logits[steps, best] > logits[:, against], best, against),
        logit_error=error,
        logit_bound=allowed,
    )


def _logit_error(means: NDArray, bounds: NDArray, recorded: Mapping[int, float]) -> tuple[float, float]:
    """How far a map's mean is from its recorded logit, and how far it may be, of the class where it is furthest off."""
    found = [
        (float(abs(means[index] - logit)), float(bounds[index] + _ROUNDING * max(1.0, abs(logit))))
        for index, logit in recorded.items()
    ]
    return max(found, key=lambda pair: pair[0] - pair[1])


def _curve(found: NDArray[np.float32], order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits of all classes after 0, 1, ... removals, (cells + 1, C)."""
    steps = np.arange(len(order) + 1)
    return correction.logits_after_removal(found[None], np.broadcast_to(order, (len(steps), len(order))), steps)
