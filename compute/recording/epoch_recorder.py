"""One epoch's record: every validation image, clean and perturbed, through the network and into the epoch file.

The clean pass also gives the validation metrics and the layers, so no image runs twice; the writer compresses on
threads of its own. A pass is queued on the device before the maps of the previous one are waited for: a GPU is never
idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from compute.config.settings import RecordingSettings
from compute.models import ClassMapNetwork, Trace
from compute.models.network import evaluation_mode
from compute.recording.recorded_images import RecordedImages
from compute.runs.device import HostCopy, autocast
from compute.runs.interrupt import StopRequest
from compute.training.augment import Normaliser
from compute.training.distributed import Processes
from compute.training.metrics import RunningMetrics
from store.terminal import ProgressBar

SPARE = 2  # maps more than are kept: the runner-up of a single one, and where rounding decides between equal logits


@dataclass(frozen=True)
class _Result:
    """The maps of one variant of one batch, on their way to the CPU."""

    variant: str
    start: int  # absolute number of the first image
    maps: HostCopy
    layers: Mapping[str, HostCopy] = field(default_factory=dict)
    stages: Mapping[str, HostCopy] = field(default_factory=dict)


class EpochRecorder:
    """Runs a network over the validation images and hands its maps to an epoch writer.

    Args:
        images: this process's part of them.
        settings: images per pass, and whether layers are recorded.
        normalise: makes the network's input of them.
        precision: "bfloat16" or "float32".
        stop: asked between passes.
        quiet: no progress bars.
    """

    def __init__(
        self,
        images: RecordedImages,
        *,
        settings: RecordingSettings,
        normalise: Normaliser,
        precision: str = "float32",
        stop: StopRequest | None = None,
        quiet: bool = False,
    ) -> None:
        self.images = images
        self.settings = settings
        self.normalise = normalise
        self.precision = precision
        self.stop = stop or StopRequest()
        self.quiet = quiet
        self._waited = 0.0
        self._prediction = torch.empty(0)  # of the clean images of the batch

    def record(
        self, network: ClassMapNetwork, writer: Any, *, title: str, processes: Processes = Processes()
    ) -> dict[str, float]:
        """Writes all maps of all variants and returns the metrics of the clean images.

        Returns:
            validation_loss (nats), validation_top1, validation_top5 (fractions) of all processes; record_seconds, and
            of these write_wait_seconds, in which the network waited because the writer's queue was full.

        Raises:
            Interrupted: a stop was requested; the caller aborts the writer.
            StoreError: the maps cannot be written, for instance because they are not finite.
        """
        started, self._waited = time.perf_counter(), 0.0
        variants, total = self.images.variants, len(self.images)
        metrics = RunningMetrics(self.images.device)
        bar = ProgressBar(
            total=total * len(variants),
            desc=title,
            unit=" images",
            disable=self.quiet or not processes.first,
            dynamic_ncols=True,
        )
        queued: _Result | None = None
        # In evaluation mode BatchNorm uses its running statistics: a map does not depend on the rest of its batch. No
        # inference_mode: where a network's maps need a gradient of their own, its tensors could not be differentiated.
        with bar, evaluation_mode(network), torch.no_grad():
            batches = list(_slices(total, self.settings.batch))
            for number in range(processes.largest(len(batches))):
                for variant in variants:
                    self.stop.check()  # a collective call: every process makes equally many, even one with a batch less
                    if number < len(batches):
                        result = self._run(network, variant, batches[number], metrics)
                        self._write_result(writer, queued)  # waits, while the device works on the pass just queued
                        queued = result
                        bar.update(batches[number].stop - batches[number].start)
            self._write_result(writer, queued)
        results = {f"validation_{name}": value for name, value in metrics.read(processes).items()}
        return results | {"record_seconds": time.perf_counter() - started, "write_wait_seconds": self._waited}

    def _run(self, network: ClassMapNetwork, variant: str, batch: slice, metrics: RunningMetrics) -> _Result:
        """Queues one variant of one batch on the device: perturb, run, copy back."""
        x, start = self.normalise(self.images.batch(variant, batch)), self.images.part.start + batch.start
        run, labels, is_clean = self.images.run, self.images.labels[batch], variant == "clean"
        # the stages are a fifth of a pass: only the clean one, which is recorded, computes them
        if is_clean and self.settings.layers and (run.description.layers or run.description.stages):
            trace = forward(network, x, self.precision)
        else:
            needed = [labels.long()] if is_clean else [labels.long(), self._prediction]
            trace = Trace(class_maps(network, x, self.precision, kept=run.kept_maps, also=torch.stack(needed, 1)))
        if is_clean:
            logits = trace.maps.mean((-1, -2))
            metrics.add(logits, labels)
            self._prediction = logits.argmax(1)
        layers, stages = (
            {name: HostCopy(value) for name, value in each.items()} for each in (trace.layers, trace.stages)
        )
        return _Result(variant, start, HostCopy(trace.maps), layers, stages)

    def _write_result(self, writer: Any, result: _Result | None) -> None:
        """Waits for the maps to arrive and passes them to the writer."""
        if result is None:
            return
        self._timed(writer.write, result.variant, result.start, result.maps.array())
        if result.layers or result.stages:
            arrays = ({name: copy.array() for name, copy in each.items()} for each in (result.layers, result.stages))
            self._timed(writer.write_layers, result.start, *arrays)

    def _timed(self, write: Callable[..., None], *arguments: Any) -> None:
        """Calls the writer, which returns at once unless its queue is full, and adds up the waiting time."""
        started = time.perf_counter()
        write(*arguments)
        self._waited += time.perf_counter() - started


def forward(network: ClassMapNetwork, x: Tensor, precision: str) -> Trace:
    """The trace of the network's input x, in the run's precision; maps are float32."""
    with autocast(x.device, precision):
        return network.trace(x)


def class_maps(
    network: ClassMapNetwork, x: Tensor, precision: str, *, kept: int = 0, also: Tensor | None = None
) -> Tensor:
    """The class maps alone, float32: the same as `forward`'s, without layers and stages.

    Args:
        kept: how many maps of each image the run keeps, besides that of the true class; 0 = all.
        also: classes (n, j) whose maps are needed in any case.
    """
    with autocast(x.device, precision):
        if not kept or also is None:
            return network(x)
        return network.strongest_maps(x, kept + SPARE, also)


def _slices(total: int, size: int) -> Iterable[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
