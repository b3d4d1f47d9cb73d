"""Names of the files in a run's folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from store.errors import DamagedFile

RUN_FILE = "run.h5"
ANALYSIS_FILE = "analysis.h5"  # derived from all epochs, not part of the record
EPOCHS = "epochs"
TRAINING = "training"
CHECKPOINTS = "checkpoints"
FOLDERS = (EPOCHS, TRAINING, CHECKPOINTS)  # inside a run's own
TRAINING_IMAGES = f"{TRAINING}/images.h5"
TRAINING_THUMBNAILS = f"{TRAINING}/thumbnails.h5"
MOST_EPOCHS = 10**9  # numbers of epochs have at most nine digits
_EPOCH_NAME = re.compile(r"([0-9]{4,9})\.(h5|json)")
_PART_NAME = re.compile(r"([0-9]{4,9})\.part([0-9]{1,5})of([0-9]{1,5})\.h5")
_PATH_BYTES, _NAME_BYTES = 1024, 255  # of a path inside a run and of each name in it, as file systems allow


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


@lru_cache(65536)  # of every name in the folder at every look for new epochs
def epoch_of(name: str, ending: str = "h5") -> int | None:
    """The epoch of a file name such as 0003.h5, or of a receipt's with the ending json; None for anything else."""
    found = _EPOCH_NAME.fullmatch(name)
    if found is None or found.group(2) != ending or f"{int(found.group(1)):04d}" != found.group(1):
        return None
    return int(found.group(1))


def epochs_among(names: Iterable[str]) -> tuple[int, ...]:
    """The epochs whose files are among these names, ascending."""
    return tuple(sorted(epoch for name in names if (epoch := epoch_of(name)) is not None))


@lru_cache(65536)
def part_of_name(name: str) -> tuple[int, int, int] | None:
    """Epoch, rank and world of the name of a rank's part; None for anything else."""
    found = _PART_NAME.fullmatch(name)
    return (int(found.group(1)), int(found.group(2)), int(found.group(3))) if found else None


def inside(name: str, where: str) -> str:
    """A path that came from outside (a receipt, a listing of object storage), where it stays inside the run.

    Every such name goes through here before it becomes a path: others could name any file of the machine.

    Raises:
        DamagedFile: it is absolute, leads up, or is no name of a file.
    """
    parts = name.split("/")
    if (
        len(name.encode(errors="replace")) > _PATH_BYTES
        or any(part in ("", ".", "..") or len(part.encode(errors="replace")) > _NAME_BYTES for part in parts)
        or not name.isprintable()
        or "\\" in name
        or ":" in parts[0]
    ):
        raise DamagedFile(
            f"{where} names the file {name[:100]!r}, which is no path inside a run. "
            "Do not use this run, or ask for a copy of it from who recorded it."
        )
    return name
