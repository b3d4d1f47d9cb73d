"""Checkpoints: `0007.pt` has the recorded weights of epoch 7, `0007.state.pt` what else resuming needs.

Both contain tensors and plain values only (loadable with `weights_only=True`) and are written to a temporary file and
renamed, so no checkpoint is ever incomplete. Older `.state.pt` are removed: only the last epoch can be resumed.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compute.errors import BadCheckpoint
from compute.models import ClassMapNetwork
from compute.training.trainer import Trainer
from compute.training.weights_file import UNREADABLE, first_line, is_plain, load_tensors
from store.format.hdf5_file import atomic_path
from store.format.layout import CHECKPOINTS

# A damaged checkpoint ends the run: without it the epochs after it could not be repeated bit for bit.
_REMEDY = (
    f"Restore it from a copy, or move the run's folder '{CHECKPOINTS}' away: training then starts from the first epoch "
    "again, and complete epochs stay as they are."
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
        """Writes the epoch's two files; the weights come last, because their file makes the checkpoint count.

        Raises:
            WriteFailed: the disk refuses to write; earlier checkpoints stay as they are.
        """
        averaged = trainer.averaged
        state = {
            "epoch": epoch,
            "run_id": self.run_id,
            "optimizer": trainer.optimizer.state_dict(),
            "network": trainer.network.state_dict() if averaged else {},  # else the recorded weights are the network's
            "updates": averaged.updates if averaged else 0,
        }
        with atomic_path(self._state_path(epoch)) as part:  # first: an epoch whose weights exist can always be resumed
            torch.save(state, part)
        self.save_weights(epoch, trainer.recorded_state(), metrics)
        for path in self.folder.glob("*.state.pt"):
            if path.name < self._path(epoch).stem:
                path.unlink()

    def save_weights(self, epoch: int, weights: Mapping[str, Tensor], metrics: Mapping[str, float]) -> None:
        """Writes the epoch's weights alone: enough to look at them, not to resume a training.

        Raises:
            WriteFailed: the disk refuses to write.
        """
        on_cpu = {name: value.detach().cpu() for name, value in weights.items()}
        document = {"epoch": epoch, "run_id": self.run_id, "weights": on_cpu, "metrics": dict(metrics)}
        with atomic_path(self._path(epoch)) as part:
            torch.save(document, part)

    def remove_before(self, epoch: int) -> None:
        """Removes the weights of epochs before `epoch`, whose record is complete, if only the last are to be kept."""
        if self.keep == "last":
            for older in self.epochs():
                if older < epoch:
                    self._path(older).unlink(missing_ok=True)

    def load(self, epoch: int) -> Checkpoint:
        """The weights of an epoch.

        Raises:
            BadCheckpoint: the file is absent, damaged or of another run.
        """
        document = self._read(self._path(epoch), epoch, {"weights", "metrics"})
        weights = document["weights"]
        if not isinstance(weights, dict) or not all(is_plain(*each) for each in weights.items()):
            raise BadCheckpoint(f"The weights in '{self._path(epoch)}' are not named tensors. {_REMEDY}")
        return Checkpoint(epoch, document["weights"], document["metrics"], document["run_id"])

    def load_into(self, network: ClassMapNetwork, epoch: int) -> Checkpoint:
        """Loads an epoch's weights into the network and returns the checkpoint.

        Raises:
            BadCheckpoint: the file is absent, damaged or of another run or network.
        """
        checkpoint = self.load(epoch)
        try:
            network.load_state_dict(checkpoint.weights)
        except UNREADABLE as err:
            raise _does_not_fit(self._path(epoch), err) from err
        return checkpoint

    def restore(self, epoch: int, trainer: Trainer) -> None:
        """Sets the trainer to its state after `epoch`, in place.

        Raises:
            BadCheckpoint: a file is absent, damaged or of another run or network.
        """
        checkpoint = self.load(epoch)
        path = self._state_path(epoch)
        state = self._read(path, epoch, {"optimizer", "network", "updates"})
        try:
            trainer.network.load_state_dict(state["network"] or checkpoint.weights)
            trainer.optimizer.load_state_dict(state["optimizer"])
        except UNREADABLE as err:
            raise _does_not_fit(path, err) from err
        if trainer.averaged:
            trainer.averaged.updates = state["updates"]
            for name, value in checkpoint.weights.items():
                trainer.averaged.state[name].copy_(value)

    def _path(self, epoch: int) -> Path:
        return self.folder / f"{epoch:04d}.pt"

    def _state_path(self, epoch: int) -> Path:
        return self.folder / f"{epoch:04d}.state.pt"

    def _read(self, path: Path, epoch: int, keys: set[str]) -> dict[str, Any]:
        keys = keys | {"epoch", "run_id"}
        if not path.is_file():
            raise BadCheckpoint(f"There is no checkpoint '{path}', so the run cannot be resumed there. {_REMEDY}")
        try:
            document = load_tensors(path, archive_only=True)
        except (pickle.UnpicklingError, *UNREADABLE) as err:
            raise BadCheckpoint(f"The checkpoint '{path}' cannot be read: {first_line(err)}. {_REMEDY}") from err
        if not isinstance(document, dict) or not keys <= document.keys():
            missing = sorted(keys - (document.keys() if isinstance(document, dict) else set()))
            raise BadCheckpoint(f"'{path}' is not a checkpoint of Classprint: it lacks {missing}. {_REMEDY}")
        if document["run_id"] != self.run_id:
            raise BadCheckpoint(
                f"The checkpoint '{path}' belongs to run {document['run_id']}, not to {self.run_id}. "
                "Put this run's own checkpoints folder back, or start a new run."
            )
        if document["epoch"] != epoch:
            raise BadCheckpoint(f"The checkpoint '{path}' is of epoch {document['epoch']}, not {epoch}. {_REMEDY}")
        return document


def _does_not_fit(path: Path, err: Exception) -> BadCheckpoint:
    return BadCheckpoint(f"The checkpoint '{path}' does not fit this network: {err}. {_REMEDY}")
