"""Opening an epoch, whether one process wrote it or several ranks did, each its own consecutive images."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.errors import DamagedFile
from store.format.hdf5_file import damaged
from store.format.schema import epoch_field
from store.read.sealed_file import EpochData, Rows, SealedFile, check_identity


def open_epoch(path: Path, run_id: str, epoch: int) -> EpochData:
    """The sealed epoch at `path`, with its parts if it has any.

    Raises:
        DamagedFile: a file cannot be opened, or is of another run, epoch or part than its place says.
        SchemaMismatch: it is of another schema version.
    """
    sealed = SealedFile(path, "epoch")
    check_identity(sealed, run_id=run_id, epoch=epoch)
    if "part" in sealed.facts:
        raise damaged(path, "it is one rank's part, put in the place of the whole epoch")
    world = sealed.facts.get("parts", 1)
    return sealed if world == 1 else JoinedEpoch(sealed, open_parts(path.parent, run_id, epoch, world))


def part_path(folder: Path, epoch: int, rank: int, world: int) -> Path:
    """Where a rank's part lies."""
    return folder / f"{epoch:04d}.part{rank}of{world}.h5"


def open_parts(folder: Path, run_id: str, epoch: int, world: int) -> list[SealedFile]:
    """All sealed parts of an epoch in the order of their images.

    Raises:
        DamagedFile: one is absent, damaged or another's, or they leave a gap.
    """
    parts = []
    for rank in range(world):
        path = part_path(folder, epoch, rank, world)
        try:
            part = SealedFile(path, "epoch")
        except FileNotFoundError as err:
            raise DamagedFile(f"{str(path)!r} is gone, so epoch {epoch} is not whole. Restore it from a copy.") from err
        check_identity(part, run_id=run_id, epoch=epoch)
        if (part.facts.get("part"), part.facts.get("parts")) != (rank, world):
            raise damaged(path, f"it holds part {part.facts.get('part')} of {part.facts.get('parts')}")
        parts.append(part)
    parts.sort(key=lambda part: part.facts["first_image"])
    for before, after in pairwise(parts):
        if before.facts["end_image"] != after.facts["first_image"]:
            raise damaged(
                after.path,
                f"images {before.facts['end_image']} to {after.facts['first_image']} are in no part or in two",
            )
    return parts


class JoinedEpoch:
    """An epoch in parts: rows come from the parts, what needs all images from the joining file."""

    def __init__(self, joint: SealedFile, parts: list[SealedFile]) -> None:
        self.joint, self.parts = joint, parts
        self._edges = np.array([parts[0].facts["first_image"], *(part.facts["end_image"] for part in parts)])

    def metrics(self) -> dict[str, float]:
        """The attributes of the group `metrics`."""
        return self.joint.metrics()

    def names(self, group: str) -> tuple[str, ...]:
        """Names inside a group."""
        return self.joint.names(group)  # it shows what the parts hold, too

    def rows(self, path: str, strip: int, rows: Rows, columns: Rows | None = None) -> NDArray:
        """Rows of a strip of a dataset, in the order asked for."""
        if epoch_field(path).joint:
            return self.joint.rows(path, strip, rows, columns)
        pieces = [(at, part.rows(path, strip, local, columns)) for at, part, local in self._split(rows)]
        if not pieces:
            return self.parts[0].rows(path, strip, rows, columns)
        out = np.empty((len(rows), *pieces[0][1].shape[1:]), pieces[0][1].dtype)
        for at, piece in pieces:
            out[at] = piece
        return out

    def strip(self, path: str, strip: int = 0) -> NDArray:
        """All rows of a strip of a dataset."""
        if epoch_field(path).joint:
            return self.joint.strip(path, strip)
        return np.concatenate([part.strip(path, strip) for part in self.parts])

    def cached_rows(self, kind: str, strip: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Codes (n, H, W) and steps (n,) of cached maps."""
        if not len(rows):
            return self.parts[0].cached_rows(kind, strip, rows)
        pieces = [(at, *part.cached_rows(kind, strip, local)) for at, part, local in self._split(rows)]
        codes = np.empty((len(rows), *pieces[0][1].shape[1:]), np.uint8)
        steps = np.empty(len(rows), np.float32)
        for at, piece_codes, piece_steps in pieces:
            codes[at], steps[at] = piece_codes, piece_steps
        return codes, steps

    def _split(self, rows: Rows) -> list[tuple[Rows, SealedFile, Rows]]:
        """Places in `rows`, the part that holds them, and their row numbers there."""
        owner = np.searchsorted(self._edges, rows, side="right") - 1
        found = []
        for number in np.unique(owner):
            at = np.flatnonzero(owner == number)
            found.append((at, self.parts[number], rows[at] - self._edges[number]))
        return found
