"""Parts that ranks wrote, joined into one epoch."""

from __future__ import annotations

from pathlib import Path

from store.layout import RunFacts


def join_parts(run: Path, facts: RunFacts, epoch: int, *, world: int) -> bool:
    """Join an epoch's parts once all are sealed; returns whether the epoch is visible now."""
    raise NotImplementedError
