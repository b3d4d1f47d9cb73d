"""A run from its first epoch, or from where it stopped, to its last: train, keep the weights, record, seal.

An epoch's weights are kept before its record is made, and its record is sealed while the next epoch trains: a kill at
any moment costs at most the epoch in training; an epoch with weights but without a sealed record is recorded again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from compute.errors import RunInUse
from compute.models import ClassMapNetwork
from compute.recording.recorder import Recorder, Validation
from compute.runs.interrupt import StopRequest, TimeLimit, stop_on_signals
from compute.runs.prepare import NAMES_OF_SOURCES, PreparedRun
from compute.training.checkpoints import CHECKPOINTS, CheckpointFolder
from compute.training.distributed import Processes
from compute.training.trainer import Trainer
from store import create_run, open_run, resume_run
from store.format.hdf5_file import PART, claim
from store.write.run_writer import RunWriter


def open_run_writer(prepared: PreparedRun, path: Path) -> RunWriter:
    """The writer of the run at `path`; the first process tidies up after an interrupted one before the others look.

    Raises:
        RunMismatch: the run has another configuration.
    """
    if prepared.processes.first:
        resume_run(path, configuration=prepared.configuration(), free=NAMES_OF_SOURCES)
    prepared.processes.wait()
    run = resume_run(path, configuration=prepared.configuration(), free=NAMES_OF_SOURCES)
    prepared.processes.wait()
    return run


def open_or_create(prepared: PreparedRun, path: Path) -> RunWriter:
    """The writer of the run at `path`, made with its images when it is not there yet.

    Raises:
        RunMismatch: the run there has another configuration.
        WriteFailed: the disk refuses; nothing is left behind.
    """
    if prepared.processes.first and not run_exists(path):
        alone = replace(prepared, processes=Processes())  # run.h5 holds the images of all processes
        with create_run(path, prepared.description(path.name)) as new_run:
            _recorder(prepared, alone.validation(), StopRequest()).write_images(new_run)
    prepared.processes.wait()
    return open_run_writer(prepared, path)


@contextmanager
def lock_run(path: Path, processes: Processes) -> Iterator[None]:
    """Holds the run at `path`, there or not yet, against other commands that would train it at the same time.

    Raises:
        RunInUse: another command holds it; in each of the processes.
    """
    with ExitStack() as stack:
        refused = False
        if processes.first:
            part = path / f"training{PART}"
            refused = not stack.enter_context(claim(part, wait=False))
            if not refused:
                stack.callback(part.unlink, missing_ok=True)
        if processes.any(refused):
            raise RunInUse(
                f"The run '{path}' is being trained by another command. Wait for it or stop it; "
                "to train something else beside it, give that another name with --run."
            )
        yield


def run_exists(path: Path) -> bool:
    """Whether there is a run at `path`, finished or not."""
    return (path / "run.h5").exists()


class Experiment:
    """The epochs that a run still lacks, or as many of them as the time limit allows."""

    def __init__(
        self, prepared: PreparedRun, run: RunWriter, stop: StopRequest, *, limit: TimeLimit | None = None
    ) -> None:
        self.prepared = prepared
        self.run = run
        self.stop = stop
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
        self.recorder = _recorder(prepared, prepared.validation(), stop)
        self._recorded_network: ClassMapNetwork | None = None
        self._sealing: tuple[int, Future[None]] | None = None

    def go(self) -> None:
        """Does all that is left.

        Raises:
            Interrupted: a stop was asked for, or (OutOfTime) the time limit is near; everything sealed is kept.
            ComputeError, StoreError: the work cannot go on; everything sealed is kept.
        """
        try:
            last = self._catch_up()
            material = self.prepared.material()
            for epoch in range(last + 1, self.epochs + 1):
                if self.limit:
                    self.limit.check()
                started = time.perf_counter()
                metrics = self.trainer.train_epoch(epoch, material)
                self._record(epoch, metrics | self._keep_weights(epoch, metrics))
                if self.limit:
                    self.limit.done(time.perf_counter() - started)
        finally:
            self._finish_sealing()

    def _keep_weights(self, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        """Saves the epoch's checkpoint and returns checkpoint_seconds."""
        started = time.perf_counter()
        if self.prepared.processes.first:
            self.checkpoints.save(epoch, self.trainer, metrics)
        self.prepared.processes.wait()
        return {"checkpoint_seconds": time.perf_counter() - started}

    def _catch_up(self) -> int:
        """Records what has weights but no record, restores the trainer, and returns the last epoch trained."""
        known = self.checkpoints.epochs()
        for epoch in known:
            if epoch not in self.run.sealed_epochs:
                checkpoint = self.checkpoints.fill(epoch, self._network_to_record())
                self._record(epoch, checkpoint.metrics, loaded=True)
        if known:
            self.checkpoints.restore(known[-1], self.trainer)
        return known[-1] if known else 0

    def _record(self, epoch: int, metrics: dict[str, float], *, loaded: bool = False) -> None:
        """Records one epoch and leaves its sealing to a thread."""
        if epoch in self.run.sealed_epochs:
            return
        if not loaded and self.trainer.averaged:
            self._network_to_record().load_state_dict(self.trainer.recorded_state())
        network = self._network_to_record() if loaded or self.trainer.averaged else self.prepared.network
        started = time.perf_counter()
        self._finish_sealing()
        metrics = metrics | {"seal_wait_seconds": time.perf_counter() - started}
        processes, part = self.prepared.processes, self.recorder.validation
        images = range(part.first, part.first + len(part.labels))
        writer = self.run.epoch(epoch, part=(processes.rank, processes.count), images=images)
        try:
            title = f"epoch {epoch}/{self.epochs} recording"
            metrics = metrics | self.recorder.record(network, writer, title=title, processes=processes)
        except BaseException:
            writer.abort()
            raise
        writer.set_metrics(metrics)
        self._sealing = epoch, writer.seal(wait=False)
        if processes.first:
            tqdm.write(_report(epoch, metrics))

    def _network_to_record(self) -> ClassMapNetwork:
        """A second network for weights that are not the trainer's present ones, made when first needed."""
        if self._recorded_network is None:
            self._recorded_network = copy.deepcopy(self.prepared.network)
        return self._recorded_network

    def _finish_sealing(self) -> None:
        """Waits for the epoch being sealed, and then lets go of weights that are no longer kept."""
        if self._sealing is None:
            return
        (epoch, future), self._sealing = self._sealing, None
        future.result()
        if self.prepared.processes.first:
            self.checkpoints.thin(epoch)


@contextmanager
def experiment(prepared: PreparedRun, run: RunWriter, *, limit: TimeLimit | None = None) -> Iterator[Experiment]:
    """An Experiment that Ctrl-C and SIGTERM stop between batches, and the time limit between epochs."""
    if limit and run.sealed_epochs:
        recorded = open_run(run.path).metrics()
        limit.expect(float((recorded["train_seconds"] + recorded["record_seconds"]).max()))
    with stop_on_signals(prepared.processes) as stop:
        yield Experiment(prepared, run, stop, limit=limit)


def _recorder(prepared: PreparedRun, validation: Validation, stop: StopRequest) -> Recorder:
    return Recorder(
        validation,
        settings=prepared.profile.recording,
        normalise=prepared.normaliser,
        precision=prepared.profile.training.precision,
        stop=stop,
    )


def _report(epoch: int, metrics: dict[str, float]) -> str:
    """One line about a finished epoch."""
    return (
        f"epoch {epoch}: top-1 {metrics['validation_top1']:.2%}, top-5 {metrics['validation_top5']:.2%}, "
        f"loss {metrics['validation_loss']:.3f} (training {metrics['train_loss']:.3f}), "
        f"{metrics['train_seconds']:.0f} s training, {metrics['record_seconds']:.0f} s recording"
    )
