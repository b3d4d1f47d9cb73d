"""Names of the files in a run's folder."""

from __future__ import annotations

import re

RUN_FILE = "run.h5"
ANALYSIS_FILE = "analysis.h5"  # derived from all epochs, not part of the record
EPOCHS = "epochs"
TRAINING = "training"
TRAINING_IMAGES = f"{TRAINING}/images.h5"
_EPOCH_NAME = re.compile(r"^(\d{4,})\.h5$")


def epoch_file(epoch: int) -> str:
    """Path of an epoch's file inside the run."""
    return f"{EPOCHS}/{epoch:04d}.h5"


def part_file(epoch: int, rank: int, world: int) -> str:
    """Path of the file that one rank writes inside the run."""
    return f"{EPOCHS}/{epoch:04d}.part{rank}of{world}.h5"


def training_file(epoch: int) -> str:
    """Path of the training ledger of an epoch inside the run."""
    return f"{TRAINING}/{epoch:04d}.h5"


def receipt_file(epoch: int | None) -> str:
    """Path of an epoch's receipt inside the run; None for that of run.h5."""
    return "run.json" if epoch is None else f"{EPOCHS}/{epoch:04d}.json"


def epoch_of(name: str) -> int | None:
    """The epoch of a file name such as 0003.h5, or None for anything else."""
    found = _EPOCH_NAME.match(name)
    return int(found.group(1)) if found else None
