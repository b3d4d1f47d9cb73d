"""One epoch of training: batches from images that are on the device, forward, backward, step.

What an epoch does follows from (seed, epoch) alone: order, augmentation and dropout are seeded again at its start, so a
resumed run needs no saved generator state and gives the same record, bit for bit, as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from compute.config.settings import TrainingSettings
from compute.errors import TrainingDiverged
from compute.models import ClassMapNetwork
from compute.models.network import evaluation_mode
from compute.runs.device import autocast, to_device
from compute.runs.interrupt import StopRequest
from compute.training.augment import Augmenter, RandomNumbers
from compute.training.distributed import Processes, share_batch_norms
from compute.training.ledger import EpochLedger
from compute.training.metrics import RunningMetrics
from compute.training.optimizers import AveragedWeights, learning_rate, make_optimizer
from store.rates import percent
from store.terminal import ProgressBar

CHECK_INTERVAL = 20  # steps between readings of the loss: each one waits for the device


@dataclass(frozen=True)
class TrainingSet:
    """The training images on the device, or on the CPU where they are too many for a GPU."""

    images: Tensor  # uint8 (N, h, w, 3); may be mapped from a file
    labels: Tensor  # int64 (N,)

    def batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """The images and labels of some rows on the device."""
        images, labels = self.images[rows], self.labels[rows]
        if self.images.device.type == device.type:
            return images, labels
        return to_device(images, device), to_device(labels, device)


class Trainer:
    """The network with its optimiser and augmentation; `train_epoch` trains one epoch and returns its metrics.

    Args:
        network: on its device, channels last.
        augment: turns uint8 images into the network's input.
    """

    def __init__(
        self,
        network: ClassMapNetwork,
        *,
        settings: TrainingSettings,
        augment: Augmenter,
        processes: Processes = Processes(),
        stop: StopRequest | None = None,
    ) -> None:
        self.network = network
        self.settings = settings
        self.augment = augment
        self.processes = processes
        self.stop = stop or StopRequest()
        self.device = next(network.parameters()).device
        self.batch = settings.batch
        self.part = self.processes.share(self.batch)
        self.optimizer = make_optimizer(network, settings)
        self.averaged = AveragedWeights(network, settings.weight_averaging) if settings.weight_averaging else None
        self._step_network = self._module_to_step()

    def train_epoch(self, epoch: int, training_set: TrainingSet, ledger: EpochLedger | None = None) -> dict[str, float]:
        """Trains epoch number `epoch` (from 1), fills its ledger if it is to have one, and returns its metrics.

        Returns:
            train_loss (nats), train_top1, train_top5 (fractions, of augmented images, while training), learning_rate
            (of the last step), train_seconds, train_processor_seconds (of the whole process, including threads that
            still write the previous epoch), train_images_per_second.

        Raises:
            Interrupted: a stop was requested; the epoch does not count.
            TrainingDiverged: the loss is NaN or infinite.
        """
        started, worked = time.perf_counter(), time.process_time()
        generator = epoch_generator(self.settings.seed, epoch, self.processes)
        steps = steps_per_epoch(len(training_set.labels), self.batch)
        metrics, rate = RunningMetrics(self.device), 0.0
        self.network.train()
        bar = ProgressBar(
            total=steps * self.batch,
            desc=f"epoch {epoch}/{self.settings.epochs} training",
            unit=" images",
            mininterval=0.5,
            disable=not self.processes.first,
            dynamic_ncols=True,
        )
        with bar:
            for number, chosen in enumerate(self._batches(training_set, steps, generator)):
                self.stop.check()
                rate = learning_rate(self.settings, step=(epoch - 1) * steps + number, steps_per_epoch=steps)
                random = RandomNumbers(generator, self.batch, self.part)
                images, labels = training_set.batch(chosen, self.device)
                logits = self.step(images, labels, rate, random, metrics)
                if ledger is not None:
                    ledger.add(chosen, logits, labels)
                if (number + 1) % CHECK_INTERVAL == 0 or number + 1 == steps:
                    self._show(bar, metrics, epoch)
                bar.update(self.batch)
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        results = {f"train_{name}": value for name, value in metrics.read(self.processes).items()}
        results |= {"learning_rate": rate, "train_seconds": seconds, "train_processor_seconds": worked}
        return results | {"train_images_per_second": steps * self.batch / seconds}

    def recorded_state(self) -> dict[str, Tensor]:
        """The weights that are recorded and saved: the moving average if it is on, else the network's."""
        return self.averaged.state if self.averaged else self.network.state_dict()

    def _module_to_step(self) -> nn.Module:
        """The network as a step calls it: synchronised between processes, and compiled if the settings say so."""
        module: nn.Module = self.network
        if self.processes.count > 1:
            share_batch_norms(self.network)
            on_gpu = [self.device.index] if self.device.type == "cuda" else None
            module = nn.parallel.DistributedDataParallel(module, device_ids=on_gpu)
        return cast(nn.Module, torch.compile(module)) if self.settings.compile else module

    def _batches(self, training_set: TrainingSet, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
        """This process's part of each batch of a random order; a last incomplete batch is left out."""
        # drawn on the CPU: equal on every device
        order = torch.randperm(len(training_set.labels), generator=generator).to(training_set.images.device)
        for number in range(steps):
            first = number * self.batch
            yield order[first + self.part.start : first + self.part.stop]

    def step(
        self, images: Tensor, labels: Tensor, rate: float, random: RandomNumbers, metrics: RunningMetrics
    ) -> Tensor:
        """One step on this process's part of a batch: images uint8 (n, h, w, 3), labels (n,); adds to the metrics.

        Returns:
            The logits (n, C) before the step.
        """
        # Set at each step, as a function of its number: a scheduler would have a state to save and to resume.
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with autocast(self.device, self.settings.precision):
            maps = self._step_network(self.augment(images, random))
        logits = maps.mean((-1, -2))  # S_k, Eq. 8; maps are float32, so the logit is exactly their mean
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        loss = loss * (len(labels) * self.processes.count / self.batch)  # parts of a batch may differ by an image
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.averaged:
            self.averaged.update(self.network)
        metrics.add(logits, labels)
        return logits.detach()

    def clean_pass(self, network: ClassMapNetwork, training_set: TrainingSet, ledger: EpochLedger) -> None:
        """Fills a ledger from one pass in evaluation mode over this process's images, without augmentation."""
        part = self.processes.share(len(training_set.labels))
        longest = self.processes.largest(len(part))  # asking for a stop is collective: equally often in each process
        with evaluation_mode(network), torch.no_grad():
            for start in range(0, longest, self.batch):
                self.stop.check()
                rows = torch.arange(len(training_set.labels), device=training_set.images.device)
                rows = rows[part.start + start : min(part.start + start + self.batch, part.stop)]
                if len(rows):
                    images, labels = training_set.batch(rows, self.device)
                    with autocast(self.device, self.settings.precision):
                        maps = network(self.augment.normaliser(images))
                    ledger.add(rows, maps.mean((-1, -2)), labels)

    def _show(self, bar: ProgressBar, metrics: RunningMetrics, epoch: int) -> None:
        """Shows loss and accuracy on the bar, and stops a training whose loss is no longer finite."""
        current = metrics.read()
        if not math.isfinite(current["loss"]):
            raise TrainingDiverged(
                f"The training loss of epoch {epoch} is {current['loss']}: it diverged. Complete epochs are kept. "
                "Start a new run with a lower training.learning_rate, or training.precision=float32."
            )
        bar.set_postfix(loss=f"{current['loss']:.3f}", top1=percent(current["top1"]), refresh=False)


def steps_per_epoch(images: int, batch: int) -> int:
    """Whole batches in the images, at least one."""
    return max(1, images // batch)


def epoch_generator(seed: int, epoch: int, processes: Processes) -> torch.Generator:
    """A generator for the epoch's order and augmentation, the same in every process.

    Also seeds torch's own, which dropout uses, differently in each: ((seed * 2^20 + epoch) * 2^8 + rank).
    """
    # Seeds instead of saved generator state: a resumed epoch starts where an uninterrupted one does, bit for bit.
    mixed = ((seed << 20) + epoch) << 8
    torch.manual_seed(mixed + processes.rank)
    return torch.Generator().manual_seed(mixed)
