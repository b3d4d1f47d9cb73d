"""Two states side by side: which they are, what they answer, and where their classes differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.theme import variant_name
from store import Run


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

    def label(self, other: State) -> str:
        """The state in words, naming only what differs from the other side (or all, where nothing does)."""
        parts = []
        if self.run.path != other.run.path:
            parts.append(self.run.path.name)
        if self.epoch != other.epoch or self.run.path != other.run.path:
            parts.append(f"epoch {self.epoch}")
        if self.variant != other.variant:
            parts.append(variant_name(self.variant))
        return ", ".join(parts) or f"epoch {self.epoch}, {variant_name(self.variant)}"


def comparable(first: Run, second: Run) -> str:
    """Why two runs cannot be compared picture by picture; empty where they can."""
    if first.path == second.path:
        return ""
    if data.class_ids(first) != data.class_ids(second):
        return f"“{first.path.name}” and “{second.path.name}” do not have the same classes."
    if not np.array_equal(first.labels, second.labels) or first.image_names != second.image_names:
        return f"“{first.path.name}” and “{second.path.name}” were not recorded on the same pictures."
    return ""


def flips(before: State, after: State) -> pd.DataFrame:
    """A row per picture whose answer differs: image, truth, both answers and confidences, outcome.

    outcome is lost (right, then wrong), gained (wrong, then right) or still wrong; the most confident new answers
    first.
    """
    first, second = data.predictions(*before.key), data.predictions(*after.key)
    rows = np.flatnonzero((first["prediction"] != second["prediction"]).to_numpy())
    was, now = first["correct"].to_numpy()[rows], second["correct"].to_numpy()[rows]
    table = pd.DataFrame(
        {
            "image": rows,
            "truth": first["truth"].to_numpy()[rows],
            "before": first["predicted"].to_numpy()[rows],
            "before_confidence": first["confidence"].to_numpy()[rows],
            "after": second["predicted"].to_numpy()[rows],
            "after_confidence": second["confidence"].to_numpy()[rows],
            "outcome": np.where(was, "lost", np.where(now, "gained", "still wrong")),
        }
    )
    return table.sort_values("after_confidence", ascending=False, kind="stable", ignore_index=True)


def class_changes(before: State, after: State) -> pd.DataFrame:
    """A row per class: class_index, name, group, before, after (accuracy), change, likeness of the two patterns."""
    first, second = data.class_table(*before.key), data.class_table(*after.key)
    one, two = data.patterns(*before.key), data.patterns(*after.key)
    if one.shape == two.shape:
        dots = (one * two).sum((1, 2))
        norms = np.sqrt((one**2).sum((1, 2)) * (two**2).sum((1, 2)))
        likeness = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    else:
        likeness = np.full(len(one), np.nan)
    return pd.DataFrame(
        {
            "class_index": np.arange(len(first)),
            "name": first["name"].to_numpy(),
            "group": first["group"].to_numpy(),
            "before": first["accuracy"].to_numpy(),
            "after": second["accuracy"].to_numpy(),
            "change": second["accuracy"].to_numpy() - first["accuracy"].to_numpy(),
            "likeness": likeness,
        }
    )
