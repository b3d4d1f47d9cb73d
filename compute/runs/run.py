"""A run from its first epoch, or from where it stopped, to its last: train, save weights, record.

An epoch's weights are saved before its record is written, and its file is completed while the next epoch trains: a kill
at any moment costs at most the epoch in training; an epoch with weights but no complete record is recorded again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from compute.config.settings import TrainingSettings
from compute.errors import BadOption
from compute.models import ClassMapNetwork
from compute.recording.run_recorder import Material, RunRecorder, run_exists
from compute.runs.interrupt import StopRequest, TimeLimit
from compute.runs.plan import Plan, make_plan, measure_speed
from compute.runs.prepare import PreparedRun
from compute.runs.training_record import TrainingRecord
from compute.training.checkpoints import CheckpointFolder
from compute.training.trainer import Trainer
from store import open_run
from store.format.description import read_description
from store.format.layout import CHECKPOINTS, RUN_FILE
from store.rates import percent
from store.write.run_writer import RunWriter

EPOCHS = "training.epochs"  # the setting that may be raised after the start


class Job(Protocol):
    """What a command does to a run: it trains and records epochs, or records checkpoints."""

    def material(self, path: Path) -> Material:
        """What the run at `path` is or will be made of; raises ComputeError where it is another one."""

    def left(self, complete: Sequence[int]) -> int:
        """How many epochs are still to be recorded."""

    def plan(self, path: Path, left: int, *, is_new: bool) -> Plan:
        """The time and the disk space that they will take."""

    def run(self, writer: RunWriter, stop: StopRequest, limit: TimeLimit | None) -> None:
        """Records them; raises Interrupted, or ComputeError and StoreError where the run cannot continue."""


@dataclass(frozen=True)
class TrainingJob:
    """Trains the epochs that a run lacks, and records them."""

    prepared: PreparedRun

    def material(self, path: Path) -> Material:
        """See Job; a training that is continued may have more epochs than it had.

        Raises:
            BadOption: more epochs were asked for than its learning-rate schedule allows.
        """
        material = self.prepared.material(path.name)
        if run_exists(path) and _is_continued(self.prepared.profile.training, path):
            return replace(material, free=(*material.free, EPOCHS))
        return material

    def left(self, complete: Sequence[int]) -> int:
        """See Job; epoch 0, the network before its training, is one of them unless the settings leave it out."""
        wanted = range(0 if self.prepared.profile.recording.initial else 1, self.prepared.profile.training.epochs + 1)
        return len(wanted) - sum(epoch in wanted for epoch in complete)

    def plan(self, path: Path, left: int, *, is_new: bool) -> Plan:
        """See Job."""
        return make_plan(self.prepared, path, epochs_left=left, is_new=is_new, speed=measure_speed(self.prepared))

    def run(self, writer: RunWriter, stop: StopRequest, limit: TimeLimit | None) -> None:
        """See Job."""
        Experiment(self.prepared, writer, stop, limit=limit).train_and_record()


def _is_continued(settings: TrainingSettings, path: Path) -> bool:
    """Whether the run at `path` is to be trained for more epochs than it was started with.

    Raises:
        BadOption: it is, and another number of epochs would have changed the learning rate of those behind it.
    """
    recorded = read_description(path / RUN_FILE).description
    if not 0 < recorded.planned_epochs < settings.epochs:
        return False
    if settings.schedule == "constant":
        return True
    raise BadOption(
        f"{EPOCHS} is {settings.epochs}, and the run '{path}' was started with {recorded.planned_epochs}. Its schedule "
        f"{settings.schedule} spreads the learning rate over all epochs, so those already trained do not belong to a "
        f"training of {settings.epochs}. Choose another name with --run to train one; only a run that was started with "
        "training.schedule=constant can be trained further."
    )


class Experiment:
    """The epochs that a run still lacks, or as many of them as the time limit allows."""

    def __init__(
        self, prepared: PreparedRun, run: RunWriter, stop: StopRequest, *, limit: TimeLimit | None = None
    ) -> None:
        self.prepared = prepared
        self.run = run
        self.limit = limit
        self.epochs = prepared.profile.training.epochs
        keep = prepared.profile.recording.checkpoints
        self.checkpoints = CheckpointFolder(run.path / CHECKPOINTS, run_id=run.facts.id, keep=keep)
        self.trainer = Trainer(
            prepared.network,
            settings=prepared.profile.training,
            augment=prepared.augmenter,
            processes=prepared.processes,
            stop=stop,
        )
        self.recorder = RunRecorder(
            run,
            prepared.epoch_recorder(run.path, stop=stop),
            processes=prepared.processes,
            completed=self.checkpoints.remove_before if prepared.processes.first else None,
        )
        self._other_network: ClassMapNetwork | None = None
        kernel = prepared.network.last_kernel  # as it was drawn: a resumed run restores its weights later
        self._initial_kernel = None if kernel is None else kernel.detach().clone()
        self.training_images = TrainingRecord(prepared, run)
        if limit and run.complete_epochs:
            recorded = open_run(run.path).metrics()
            limit.expect(float((recorded["train_seconds"] + recorded["record_seconds"]).max()))

    def train_and_record(self) -> None:
        """Trains and records every epoch that is left.

        Raises:
            Interrupted: a stop was requested, or (OutOfTime) the time limit is near; complete epochs are kept.
            ComputeError, StoreError: the run cannot continue; complete epochs are kept.
        """
        try:
            last = self._catch_up()
            if last is None and self.prepared.profile.recording.initial:
                self._save_and_record(0, {})
            training_set = self.prepared.training_set()
            for epoch in range((last or 0) + 1, self.epochs + 1):
                if self.limit:
                    self.limit.check()
                started = time.perf_counter()
                metrics = self.training_images.train(self.trainer, epoch, training_set, self._trained_network)
                self._save_and_record(epoch, metrics)
                if self.limit:
                    self.limit.epoch_finished(time.perf_counter() - started)
            self.training_images.keep_thumbnails()
        finally:
            self.recorder.wait()

    def _save_and_record(self, epoch: int, metrics: dict[str, float]) -> None:
        """Saves the epoch's checkpoint, then its record, which can be repeated from the weights."""
        network = self._trained_network()
        if self._initial_kernel is not None and network.last_kernel is not None:
            metrics["last_kernel_similarity"] = kernel_similarity(network.last_kernel, self._initial_kernel)
        metrics |= self._save_checkpoint(epoch, metrics)
        self._record(epoch, metrics, network=network)

    def _save_checkpoint(self, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        """Saves the epoch's checkpoint and returns checkpoint_seconds."""
        started = time.perf_counter()
        if self.prepared.processes.first:
            self.checkpoints.save(epoch, self.trainer, metrics)
        self.prepared.processes.wait()
        return {"checkpoint_seconds": time.perf_counter() - started}

    def _catch_up(self) -> int | None:
        """Records epochs that have weights but no record and restores the trainer.

        Returns:
            The last epoch trained; None without any checkpoint.
        """
        known = self.checkpoints.epochs()
        # Before any of them writes a checkpoint: one that listed them later would see it and take another way.
        self.prepared.processes.wait()
        for epoch in known:
            if epoch not in self.run.complete_epochs:
                network = self._second_network()
                checkpoint = self.checkpoints.load_into(network, epoch)
                self._record(epoch, checkpoint.metrics, network=network)
        if known:
            self.checkpoints.restore(known[-1], self.trainer)
        return known[-1] if known else None

    def _record(self, epoch: int, metrics: dict[str, float], *, network: ClassMapNetwork) -> None:
        """Records one epoch, unless it is recorded already."""
        if epoch in self.run.complete_epochs:
            return
        metrics = self.recorder.record(epoch, network, metrics, title=f"epoch {epoch}/{self.epochs} recording")
        if self.prepared.processes.first:
            tqdm.write(_summary(epoch, metrics))

    def _trained_network(self) -> ClassMapNetwork:
        """The network as it is recorded: the trained one, or one with the moving average of its weights."""
        if not self.trainer.averaged:
            return self.prepared.network
        network = self._second_network()
        network.load_state_dict(self.trainer.recorded_state())
        return network

    def _second_network(self) -> ClassMapNetwork:
        """A copy for weights other than the trainer's current ones, created when first needed."""
        if self._other_network is None:
            self._other_network = copy.deepcopy(self.prepared.network)
        return self._other_network


def kernel_similarity(kernel: Tensor, initial: Tensor) -> float:
    """Mean cosine similarity (-1..1) of each class's kernel (C, ...) to its initial one; 1 = only longer or shorter."""
    now, before = kernel.detach().flatten(1), initial.to(kernel.device).flatten(1)
    return float(functional.cosine_similarity(now, before).mean())


def _summary(epoch: int, metrics: dict[str, float]) -> str:
    """One line about a recorded epoch; epoch 0 was not trained."""
    loss = f"loss {metrics['validation_loss']:.3f}"
    loss += f" (training {metrics['train_loss']:.3f})" if "train_loss" in metrics else " before training"
    training = f"{metrics['train_seconds']:.0f} s training, " if "train_seconds" in metrics else ""
    top1, top5 = (percent(metrics[f"validation_{name}"], 2) for name in ("top1", "top5"))
    return f"epoch {epoch}: top-1 {top1}, top-5 {top5}, {loss}, {training}{metrics['record_seconds']:.0f} s recording"
