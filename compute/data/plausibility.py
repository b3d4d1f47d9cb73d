"""Does a set of images look like one? What is odd about it is said in the plan, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compute.data.dataset import ImageSet
from compute.data.decode import WHITE, Preparation
from store.format.description import ClassInfo


def white_level(paths: Sequence[Path]) -> int:
    """The level of 16-bit gray files that is white."""
    return WHITE


def image_notes(
    train: ImageSet | None,
    validation: ImageSet,
    facts: np.ndarray,
    preparation: Preparation,
    classes: Sequence[ClassInfo],
) -> tuple[str, ...]:
    """Sentences."""
    return ()
