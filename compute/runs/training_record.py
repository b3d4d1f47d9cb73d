"""What a run keeps of its training images: the ledger of every epoch, and thumbnails of the most suspicious images."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from compute.data.dataset import image_digests
from compute.models import ClassMapNetwork
from compute.runs.prepare import PreparedRun
from compute.training.ledger import EpochLedger
from compute.training.trainer import Trainer, TrainingSet
from store import open_run
from store.format.layout import TRAINING_IMAGES
from store.queries.training_set import ORDERS, suspects, training_images
from store.write.run_writer import RunWriter

THUMBNAILS = 100  # images kept of each order: as many as anybody looks through


class TrainingRecord:
    """Writes the training ledger of a run as its setting `recording.training` says; the first process writes."""

    def __init__(self, prepared: PreparedRun, run: RunWriter) -> None:
        self.prepared, self.run = prepared, run
        self.mode = prepared.profile.recording.training

    def train(
        self,
        trainer: Trainer,
        epoch: int,
        training_set: TrainingSet,
        recorded_network: Callable[[], ClassMapNetwork],
    ) -> dict[str, float]:
        """Trains one epoch and writes its ledger; before the checkpoint, so that no trained epoch is without one.

        Returns:
            The metrics of `Trainer.train_epoch`, and ledger_seconds: of writing, and of the clean pass if there is one.
        """
        if self.mode == "off":
            return trainer.train_epoch(epoch, training_set)
        ledger = EpochLedger(len(training_set.labels), trainer.device)
        metrics = trainer.train_epoch(epoch, training_set, ledger if self.mode == "pass" else None)
        started, processes = time.perf_counter(), trainer.processes
        if self.mode == "clean":
            trainer.clean_pass(recorded_network(), training_set, ledger)
        columns = ledger.read(processes)
        if processes.first:
            if not (self.run.path / TRAINING_IMAGES).exists():
                train = self.prepared.dataset.training_images()
                digests = image_digests(train.images) if train.digests is None else train.digests
                self.run.write_training_images(train.names, train.labels, digests, train.original_labels)
            self.run.write_training_epoch(epoch, columns)
        return metrics | {"ledger_seconds": time.perf_counter() - started}

    def keep_thumbnails(self) -> None:
        """Keeps the images that are most worth a look after the last epoch, by each of the orders."""
        run = open_run(self.run.path)
        if not self.prepared.processes.first or self.mode == "off" or not run.training_ledger.epochs:
            return
        table = training_images(run)
        chosen = np.unique(np.concatenate([suspects(table, order, count=THUMBNAILS).index for order in ORDERS]))
        pixels = self.prepared.dataset.training_images().images[chosen]
        self.run.write_training_thumbnails(chosen, np.ascontiguousarray(pixels))
