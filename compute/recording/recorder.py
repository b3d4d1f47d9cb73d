"""One epoch's record: every validation image, clean and perturbed, through the network and into the epoch file.

The clean pass also gives the validation metrics and the layers, so nothing runs twice; the writer compresses on its own
threads meanwhile, and sealing overlaps the next epoch's training. A pass is queued on the device before the maps of the
one before it are waited for, so that a GPU has always something to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from compute.config.settings import RecordingSettings
from compute.models import ClassMapNetwork, Trace
from compute.recording.perturbations_device import perturb_on_device
from compute.runs.device import HostCopy, autocast, has_room
from compute.runs.interrupt import StopRequest
from compute.training.augment import Normaliser
from compute.training.distributed import Processes
from compute.training.metrics import Scores


@dataclass(frozen=True)
class Validation:
    """The validation images on the device, this process's part of them, and what perturbs them."""

    images: Tensor  # uint8 (n, h, w, 3), images first .. first + n - 1
    labels: Tensor  # int64 (n,)
    first: int  # absolute number of the first of them
    seed: int  # of the random variants


@dataclass(frozen=True)
class _Passed:
    """What one variant of one batch gave, on its way to the CPU."""

    variant: str
    start: int  # absolute number of the first image
    maps: HostCopy
    layers: Mapping[str, HostCopy] = field(default_factory=dict)
    stages: Mapping[str, HostCopy] = field(default_factory=dict)


class Recorder:
    """Runs a network over the validation images and hands its maps to an epoch writer."""

    def __init__(
        self,
        validation: Validation,
        *,
        settings: RecordingSettings,
        normalise: Normaliser,
        precision: str,
        stop: StopRequest | None = None,
        quiet: bool = False,
    ) -> None:
        self.validation = validation
        self.settings = settings
        self.normalise = normalise
        self.precision = precision
        self.stop = stop or StopRequest()
        self.quiet = quiet  # no progress bars
        self._waited = 0.0
        self._keeps = has_room(validation.images.device, len(settings.variants) * validation.images.nbytes)
        self._kept: dict[tuple[str, int], Tensor] = {}  # perturbed images on a GPU: they are the same every epoch

    def record(
        self, network: ClassMapNetwork, writer: Any, *, title: str, processes: Processes | None = None
    ) -> dict[str, float]:
        """Writes all maps of all variants and returns the metrics of the clean images.

        Returns:
            validation_loss (nats), validation_top1, validation_top5 (fractions) of all processes; record_seconds, and
            of these write_wait_seconds, in which the network stood still because the writer's queue was full.

        Raises:
            Interrupted: a stop was asked for; the caller aborts the writer.
            StoreError: the maps cannot be written, for instance because they are not numbers.
        """
        processes = processes or Processes()
        started, self._waited = time.perf_counter(), 0.0
        variants, total = self.settings.variants, len(self.validation.labels)
        scores = Scores(self.validation.images.device)
        network.eval()
        bar = tqdm(
            total=total * len(variants),
            desc=title,
            unit=" images",
            disable=self.quiet or not processes.first,
            dynamic_ncols=True,
        )
        queued: _Passed | None = None
        with bar, torch.inference_mode():
            batches = list(_slices(total, self.settings.batch))
            for number in range(processes.most(len(batches))):
                for variant in variants:
                    self.stop.check()  # as often in a process that has a batch less
                    if number < len(batches):
                        passed = self._pass(network, variant, batches[number], scores)
                        self._hand_over(writer, queued)
                        queued = passed
                        bar.update(batches[number].stop - batches[number].start)
            self._hand_over(writer, queued)
        metrics = {f"validation_{name}": value for name, value in scores.read(processes).items()}
        return metrics | {"record_seconds": time.perf_counter() - started, "write_wait_seconds": self._waited}

    def _pass(self, network: ClassMapNetwork, variant: str, batch: slice, scores: Scores) -> _Passed:
        """Queues one variant of one batch on the device: perturb, run, copy back."""
        x, start = self.normalise(self.seen(variant, batch)), self.validation.first + batch.start
        if variant != "clean":
            return _Passed(variant, start, HostCopy(class_maps(network, x, self.precision)))
        trace = forward(network, x, self.precision)
        scores.add(trace.maps.mean((-1, -2)), self.validation.labels[batch])
        opened = [trace.layers, trace.stages] if self.settings.layers else [{}, {}]
        layers, stages = ({name: HostCopy(value) for name, value in each.items()} for each in opened)
        return _Passed(variant, start, HostCopy(trace.maps), layers, stages)

    def _hand_over(self, writer: Any, passed: _Passed | None) -> None:
        """Gives the writer what has arrived."""
        if passed is None:
            return
        self._write(writer.write, passed.variant, passed.start, passed.maps.array())
        if passed.layers or passed.stages:
            opened = (passed.layers, passed.stages)
            arrays = ({name: copy.array() for name, copy in each.items()} for each in opened)
            self._write(writer.write_layers, passed.start, *arrays)

    def _write(self, write: Callable[..., None], *arguments: Any) -> None:
        """Calls the writer, which returns at once unless its queue is full, and adds the time to the waiting."""
        started = time.perf_counter()
        write(*arguments)
        self._waited += time.perf_counter() - started

    def seen(self, variant: str, batch: slice) -> Tensor:
        """The images of the batch as the network sees them: uint8 (n, h, w, 3)."""
        images = self.validation.images[batch]
        if variant == "clean":
            return images
        if (variant, batch.start) in self._kept:
            return self._kept[variant, batch.start]
        first = self.validation.first
        numbers = range(first + batch.start, first + batch.stop)
        perturbed = perturb_on_device(variant, images, images=numbers, seed=self.validation.seed)
        if self._keeps:
            self._kept[variant, batch.start] = perturbed
        return perturbed

    def write_images(self, new_run: Any) -> None:
        """Writes every variant of every image into a run that is being made."""
        variants = self.settings.variants
        for variant in tqdm(variants, desc="perturbing the validation images", unit=" variants", disable=self.quiet):
            for batch in _slices(len(self.validation.labels), self.settings.batch):
                new_run.write_images(
                    variant, self.validation.first + batch.start, self.seen(variant, batch).cpu().numpy()
                )


def forward(network: ClassMapNetwork, x: Tensor, precision: str) -> Trace:
    """The trace of the network's input x, in the run's precision; maps are float32."""
    with autocast(x.device, precision):
        return network.trace(x)


def class_maps(network: ClassMapNetwork, x: Tensor, precision: str) -> Tensor:
    """The class maps alone, float32: the same as `forward`'s, without what led to them."""
    with autocast(x.device, precision):
        return network(x)


def _slices(total: int, size: int) -> Iterable[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
