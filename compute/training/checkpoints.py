"""Checkpoints: `0007.pt` holds the recorded weights of epoch 7, `0007.state.pt` what resuming needs besides.

Both hold tensors and plain values only (loadable with `weights_only=True`) and are written beside their place and then
renamed, so there is never half a checkpoint. The `.state.pt` of older epochs is removed: only the last can be resumed.
"""

from __future__ import annotations

import os
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compute.errors import BadCheckpoint
from compute.models import ClassMapNetwork
from compute.training.tensor_file import load_tensors
from compute.training.trainer import Trainer

_UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, struct.error)
CHECKPOINTS = "checkpoints"  # the folder inside a run
_REMEDY = (
    f"Restore it from a copy, or move the run's folder '{CHECKPOINTS}' away: training then begins anew, and the epochs "
    "that are sealed stay as they are."
)


@dataclass(frozen=True)
class Checkpoint:
    """The recorded weights of one epoch and its training metrics."""

    epoch: int
    weights: dict[str, Tensor]
    metrics: dict[str, float]
    run_id: str


class CheckpointFolder:
    """The checkpoints of one run; `keep` is `all` or `last`."""

    def __init__(self, folder: Path, *, run_id: str, keep: str = "all") -> None:
        self.folder = folder
        self.run_id = run_id
        self.keep = keep

    def epochs(self) -> tuple[int, ...]:
        """The epochs whose weights are here, ascending."""
        return tuple(sorted(int(path.stem) for path in self.folder.glob("[0-9]*.pt") if path.stem.isdigit()))

    def save(self, epoch: int, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Writes the epoch's two files, first what resuming needs, then the weights that make it count."""
        self.folder.mkdir(parents=True, exist_ok=True)
        averaged = trainer.averaged
        state = {
            "epoch": epoch,
            "run_id": self.run_id,
            "optimizer": trainer.optimizer.state_dict(),
            "network": trainer.network.state_dict() if averaged else {},
            "updates": averaged.updates if averaged else 0,
        }
        _write(self.folder / f"{epoch:04d}.state.pt", state)
        weights = {name: value.detach().cpu() for name, value in trainer.recorded_state().items()}
        document = {"epoch": epoch, "run_id": self.run_id, "weights": weights, "metrics": metrics}
        _write(self.folder / f"{epoch:04d}.pt", document)
        for path in self.folder.glob("*.state.pt"):
            if path.name < f"{epoch:04d}":
                path.unlink()

    def thin(self, epoch: int) -> None:
        """Removes weights older than `epoch`, whose record is sealed, when only the last are to be kept."""
        if self.keep == "last":
            for older in self.epochs():
                if older < epoch:
                    (self.folder / f"{older:04d}.pt").unlink(missing_ok=True)

    def load(self, epoch: int) -> Checkpoint:
        """The weights of an epoch.

        Raises:
            BadCheckpoint: the file is absent, damaged or of another run.
        """
        document = self._read(self.folder / f"{epoch:04d}.pt", epoch, {"weights", "metrics"})
        return Checkpoint(epoch, document["weights"], document["metrics"], document["run_id"])

    def fill(self, epoch: int, network: ClassMapNetwork) -> Checkpoint:
        """The checkpoint of an epoch, after its weights were put into the network.

        Raises:
            BadCheckpoint: the file is absent, damaged or of another run or network.
        """
        checkpoint = self.load(epoch)
        try:
            network.load_state_dict(checkpoint.weights)
        except _UNREADABLE as err:
            raise self._unfit(self.folder / f"{epoch:04d}.pt", err) from err
        return checkpoint

    def restore(self, epoch: int, trainer: Trainer) -> None:
        """Puts the trainer where it was after `epoch`, in place.

        Raises:
            BadCheckpoint: a file is absent, damaged or of another run or network.
        """
        checkpoint = self.load(epoch)
        path = self.folder / f"{epoch:04d}.state.pt"
        state = self._read(path, epoch, {"optimizer", "network", "updates"})
        try:
            trainer.network.load_state_dict(state["network"] or checkpoint.weights)
            trainer.optimizer.load_state_dict(state["optimizer"])
        except _UNREADABLE as err:
            raise self._unfit(path, err) from err
        if trainer.averaged:
            trainer.averaged.updates = state["updates"]
            for name, value in checkpoint.weights.items():
                trainer.averaged.state[name].copy_(value)

    def _unfit(self, path: Path, err: Exception) -> BadCheckpoint:
        return BadCheckpoint(f"The checkpoint '{path}' does not fit this network: {err}. {_REMEDY}")

    def _read(self, path: Path, epoch: int, keys: set[str]) -> dict[str, Any]:
        keys = keys | {"epoch", "run_id"}
        if not path.is_file():
            raise BadCheckpoint(f"There is no checkpoint '{path}', so the run cannot go on from there. {_REMEDY}")
        try:
            document = load_tensors(path)
        except (pickle.UnpicklingError, *_UNREADABLE) as err:
            raise BadCheckpoint(
                f"The checkpoint '{path}' cannot be read: "
                f"{(str(err).splitlines() or [type(err).__name__])[0].rstrip('. ')}. {_REMEDY}"
            ) from err
        if not isinstance(document, dict) or not keys <= document.keys():
            there = document.keys() if isinstance(document, dict) else set()
            raise BadCheckpoint(
                f"'{path}' is not a checkpoint of Classprint: it lacks {sorted(keys - there)}. {_REMEDY}"
            )
        if document.get("run_id") != self.run_id:
            raise BadCheckpoint(
                f"The checkpoint '{path}' belongs to run {document.get('run_id')}, not to {self.run_id}. "
                "Put the right checkpoints folder back, or start a new run."
            )
        if document["epoch"] != epoch:
            raise BadCheckpoint(f"The checkpoint '{path}' is of epoch {document['epoch']}, not {epoch}. {_REMEDY}")
        return document


def _write(path: Path, document: dict[str, Any]) -> None:
    """Saves beside the place, flushes to disk, renames: a reader sees the old file or the whole new one."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            torch.save(document, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as err:
        part.unlink(missing_ok=True)
        raise BadCheckpoint(
            f"The checkpoint '{path}' could not be written: {err}. What was sealed before is kept; make room and "
            "give the same command again."
        ) from err
