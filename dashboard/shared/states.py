"""Two or three states side by side: which they are, what they prediction, and where their classes differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.shared.theme import variant_name
from store import Run
from store.metrics.maps import cosine

OUTCOMES = ("gained", "lost", "still wrong")


@dataclass(frozen=True)
class State:
    """One side of a comparison: a run at an epoch under a variant."""

    run: Run
    epoch: int
    variant: str

    @property
    def key(self) -> tuple[Run, int, str]:
        """The state as the arguments of the cached queries."""
        return self.run, self.epoch, self.variant

    @property
    def parameters(self) -> dict[str, str | int]:
        """The state as parameters of a link."""
        return {"run": self.run.path.name, "epoch": self.epoch, "variant": self.variant}


def state_names(states: Sequence[State]) -> list[str]:
    """The states in words, naming only what differs between them (or epoch and variant, where nothing does)."""
    runs = len({state.run.path for state in states}) > 1
    epochs = runs or len({state.epoch for state in states}) > 1
    variants = len({state.variant for state in states}) > 1
    names = []
    for state in states:
        parts = [state.run.path.name] if runs else []
        parts += [f"epoch {state.epoch}"] if epochs or not variants else []
        parts += [variant_name(state.variant)] if variants or not epochs else []
        names.append(", ".join(parts))
    return names


def same_classes(first: Run, second: Run) -> bool:
    """Whether two runs tell the same classes apart, in the same order."""
    return first.path == second.path or data.class_ids(first) == data.class_ids(second)


def same_images(first: Run, second: Run) -> bool:
    """Whether two runs were recorded on the same images, so that predictions can be compared one by one."""
    if first.path == second.path:
        return True
    return (
        same_classes(first, second)
        and np.array_equal(first.labels, second.labels)
        and first.image_names == second.image_names
    )


def on_one_grid(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Maps of several states with as many cells each, (S, ..., H, W): coarse ones repeat their cells, means stay."""
    height, width = (int(np.lcm.reduce([part.shape[axis] for part in parts])) for axis in (-2, -1))
    return np.stack([part.repeat(height // part.shape[-2], -2).repeat(width // part.shape[-1], -1) for part in parts])


def flips(before: State, after: State) -> pd.DataFrame:
    """A row per image whose prediction differs: image, true class, both predictions and confidences, outcome.

    outcome is lost (right, then wrong), gained (wrong, then right) or still wrong; the most confident new predictions
    first.
    """
    first, second = data.predictions(*before.key), data.predictions(*after.key)
    rows = np.flatnonzero(first["prediction"].to_numpy() != second["prediction"].to_numpy())
    was, now = first["correct"].to_numpy()[rows], second["correct"].to_numpy()[rows]
    table = pd.DataFrame(
        {
            "image": rows,
            "true_class": first["true_class"].to_numpy()[rows],
            "before": first["predicted_class"].to_numpy()[rows],
            "before_confidence": first["confidence"].to_numpy()[rows],
            "after": second["predicted_class"].to_numpy()[rows],
            "after_confidence": second["confidence"].to_numpy()[rows],
            "outcome": np.where(was, "lost", np.where(now, "gained", "still wrong")),
        }
    )
    return table.sort_values("after_confidence", ascending=False, kind="stable", ignore_index=True)


def class_changes(before: State, after: State) -> pd.DataFrame:
    """A row per class: class_index, name, group, before, after (accuracy), change, similarity of the two patterns."""
    first, second = data.class_table(*before.key), data.class_table(*after.key)
    one, two = on_one_grid([data.patterns(*before.key), data.patterns(*after.key)])
    return pd.DataFrame(
        {
            "class_index": np.arange(len(first)),
            "name": second["name"].to_numpy(),
            "group": second["group"].to_numpy(),
            "before": first["accuracy"].to_numpy(),
            "after": second["accuracy"].to_numpy(),
            "change": second["accuracy"].to_numpy() - first["accuracy"].to_numpy(),
            "similarity": cosine(one, two),
        }
    )
