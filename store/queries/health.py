"""Whether a network is fit to be described: what is wrong with dead, constant, exploded and one-sided ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.rates import percent
from store.read.run import Run

EXPLODED = 1e5  # a cell: the step of its map, 1/255 of it, is then so wide that every probability is 0 or 1
ONE_SIDED = 0.99  # share of the predictions that one class takes
UNDECIDED = 1e-5  # by which the largest probability exceeds 1 / C, relative to it: logits so close are rounding
FEWEST_OTHERS = 5  # images of other classes: that fewer are all wrong happens to a good network, too


@dataclass(frozen=True)
class Degeneracy:
    """Why nothing should be concluded from a state of a network: its `kind`, a sentence, and the images concerned."""

    kind: str
    text: str
    images: int


@dataclass(frozen=True)
class _State:
    """What the checks look at: columns (N,), the maps of predictions and true classes (N, H, W), names of classes."""

    labels: NDArray[np.int64]
    prediction: NDArray[np.int64]
    confidence: NDArray[np.float32]
    maps: NDArray[np.float32]
    own: NDArray[np.float32]
    names: NDArray

    @property
    def count(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> str:
        return f"all {self.count:,} images" if self.count > 1 else "the only image"


def degeneracies(run: Run, *, epoch: int, variant: str = "clean") -> list[Degeneracy]:
    """What makes an epoch of a network unfit to be described under a variant; empty where nothing does.

    "dead": all maps are 0. "constant": the cells of every map are equal. "blind": every image has the same maps.
    "undecided": half of the images or more have the same probability for each class. "exploded": cells beyond 100,000.
    "one class": (nearly) all images are predicted as one class, and the others are never predicted correctly. Dead maps
    are constant, blind and undecided, too; only the first that holds of these is named.

    >>> queries.degeneracies(run, epoch=3)
    []
    """
    if not run.has_maps:
        return prediction_degeneracies(run, epoch=epoch, variant=variant)
    state = _state(run, epoch, variant, with_maps=True)
    return [
        *_first_of(state, (_dead, _constant, _blind, _undecided)),
        *_first_of(state, (_exploded,)),
        *_first_of(state, (_one_class,)),
    ]


def prediction_degeneracies(run: Run, *, epoch: int, variant: str) -> list[Degeneracy]:
    """Those of `degeneracies` that the predictions alone show, "undecided" and "one class", without reading maps."""
    state = _state(run, epoch, variant, with_maps=False)
    return _first_of(state, (_undecided,)) + _first_of(state, (_one_class,))


def _state(run: Run, epoch: int, variant: str, *, with_maps: bool) -> _State:
    none = np.zeros((0, 1, 1), np.float32)
    return _State(
        labels=run.labels,
        prediction=run.column("prediction", epoch=epoch, variant=variant),
        confidence=run.column("confidence", epoch=epoch, variant=variant),
        maps=run.predicted_class_maps(epoch=epoch, variant=variant) if with_maps else none,
        own=run.true_class_maps(epoch=epoch, variant=variant) if with_maps else none,
        names=run.classes["name"].to_numpy(),
    )


def _first_of(state: _State, checks: Sequence[Callable[[_State], Degeneracy | None]]) -> list[Degeneracy]:
    return [problem for check in checks if (problem := check(state)) is not None][:1]


def _dead(state: _State) -> Degeneracy | None:
    if state.maps.any() or state.own.any():
        return None
    text = (
        f"The network is dead: the class maps of {state.images} are 0 in every cell, and each class has the same "
        f"probability ({percent(float(state.confidence.mean()))})."
    )
    return Degeneracy("dead", text, state.count)


def _constant(state: _State) -> Degeneracy | None:
    cells = state.maps[0].size
    if cells == 1 or np.ptp(state.maps, axis=(1, 2)).any() or np.ptp(state.own, axis=(1, 2)).any():
        return None
    low, high = state.maps.min(), state.maps.max()
    values = f"{low:.3g}" if low == high else f"from {low:.3g} to {high:.3g}"
    text = (
        f"The maps are constant: each map of {state.images} has one value in all of its {cells} cells "
        f"(of the predicted class: {values}). They have no pattern and show no place."
    )
    return Degeneracy("constant", text, state.count)


def _blind(state: _State) -> Degeneracy | None:
    if state.count < 2 or np.ptp(state.maps, axis=0).any() or (state.prediction != state.prediction[0]).any():
        return None
    if len(np.unique(state.labels)) < 2:
        return None
    text = (
        f"The network does not see the images: {state.images} have the same map of the predicted class, "
        f"with a mean of {state.maps[0].mean():.3g}."
    )
    return Degeneracy("blind", text, state.count)


def _undecided(state: _State) -> Degeneracy | None:
    equal = 1 / len(state.names)
    flat = int((state.confidence <= equal * (1 + UNDECIDED)).sum())
    if len(state.names) < 2 or 2 * flat < state.count:
        return None
    text = (
        f"The network does not decide: for {flat:,} of {state.count:,} images each class has the same probability "
        f"({percent(equal)}), and rounding errors choose the class that is predicted."
    )
    return Degeneracy("undecided", text, flat)


def _exploded(state: _State) -> Degeneracy | None:
    peaks = np.maximum(np.abs(state.maps).max((1, 2)), np.abs(state.own).max((1, 2)))
    over = int((peaks > EXPLODED).sum())
    if 2 * over < state.count:
        return None
    text = (
        f"The network has exploded: cells of its maps reach {peaks.max():.3g}, and those of {over:,} of "
        f"{state.count:,} images are beyond {EXPLODED:,.0f}. Probabilities mean nothing then: "
        f"{int((state.confidence == 1).sum()):,} predictions have a probability of exactly 1."
    )
    return Degeneracy("exploded", text, over)


def _one_class(state: _State) -> Degeneracy | None:
    counts = np.bincount(state.prediction, minlength=len(state.names))
    winner = int(counts.argmax())
    others = state.labels != winner
    if counts[winner] < ONE_SIDED * state.count or others.sum() < FEWEST_OTHERS:
        return None
    if (state.prediction == state.labels)[others].any():
        return None
    share = state.images if counts[winner] == state.count else f"{counts[winner]:,} of {state.count:,} images"
    right = int((~others).sum())
    text = (
        f"One class for everything: {share} are predicted as “{state.names[winner]}”, to which {right:,} belong "
        f"({percent(right / state.count)}). No image of another class is predicted correctly."
    )
    return Degeneracy("one class", text, int(counts[winner]))
