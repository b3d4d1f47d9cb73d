"""The anatomy of one answer: which cells made it, and how few of them undo it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.measures import anatomy, maps
from store.reader import Run
from store.selection import rows_of

_ROUNDING = 1e-5  # float32 means of the same cells in another order


@dataclass(frozen=True)
class Anatomy:
    """One answer against another class, exactly; cells are numbered y * width + x, k counts removed cells 0..cells.

    difference: (H, W) float64, map of the prediction minus map of `against`; its mean is the margin.
    order: (cells,) int64, the cells by falling difference: the cheapest way to undo the answer.
    cells: k*, the fewest cells whose removal lets `against` at least tie (0: it ties already), from the decoded maps;
        low, high: k* of any maps within the codec's error of them.
    scores: (cells + 1, C) float32, all scores after k removals. winners: (cells + 1,) int64, who wins then; `against`
        wins a tie.
    score_error: largest |mean of the map - recorded score| of prediction and truth, score_bound: what the codec allows;
    exact: whether the first stays within the second, that is, whether all of this can be trusted.
    """

    image: int
    prediction: int
    truth: int
    against: int
    difference: NDArray[np.float64]
    order: NDArray[np.int64]
    cells: int
    low: int
    high: int
    scores: NDArray[np.float32]
    winners: NDArray[np.int64]
    score_error: float
    score_bound: float

    @property
    def exact(self) -> bool:
        """Whether the means of the decoded maps are the recorded scores, within the codec's stated error."""
        return self.score_error <= self.score_bound


def answer_anatomy(run: Run, image: int, *, epoch: int, variant: str = "clean", against: int | None = None) -> Anatomy:
    """The anatomy of the answer to one picture, against the truth, or the runner-up where it is right, or any class.

    Reads the maps of one picture (a chunk) and five columns. Raises NotInRun for what the run does not hold.
    """
    found = run.maps(epoch=epoch, variant=variant, images=[image])[0]
    bound = run.map_error(epoch=epoch, variant=variant, images=[image])[0].astype(np.float64)
    at = {
        name: run.column(name, epoch=epoch, variant=variant)[image]
        for name in ("prediction", "runner_up", "truth_score", "predicted_score")
    }
    prediction, truth = int(at["prediction"]), int(run.labels[image])
    if against is None:
        against = truth if prediction != truth else int(at["runner_up"])
    else:
        rows_of([against], len(run.classes), what="class")
    difference = anatomy.difference(found[prediction], found[against])
    order = anatomy.removal_order(difference)
    low, high = anatomy.k_interval(difference, bound[prediction] + bound[against])
    scores = _curve(found, order)
    best = scores.argmax(1)
    steps = np.arange(len(scores))
    means = maps.scores(found).astype(np.float64)
    sides = [(prediction, float(at["predicted_score"])), (truth, float(at["truth_score"]))]
    errors = [abs(means[side] - recorded) for side, recorded in sides]
    allowed = [bound[side] + _ROUNDING * max(1.0, abs(recorded)) for side, recorded in sides]
    worst = int(np.argmax(np.array(errors) - np.array(allowed)))
    return Anatomy(
        image=int(image),
        prediction=prediction,
        truth=truth,
        against=against,
        difference=difference,
        order=order,
        cells=int(anatomy.cells_to_fix(found[prediction], found[against])),
        low=int(low),
        high=int(high),
        scores=scores,
        winners=np.where(scores[steps, best] > scores[:, against], best, against),
        score_error=errors[worst],
        score_bound=float(allowed[worst]),
    )


def _curve(found: NDArray[np.float32], order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores of all classes after 0, 1, ... removals, (cells + 1, C)."""
    steps = np.arange(len(order) + 1)
    return anatomy.scores_after_removal(found[None], np.broadcast_to(order, (len(steps), len(order))), steps)
