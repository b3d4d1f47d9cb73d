"""Estimates before a run starts: time from a few real steps on a copy of the network, disk space from the shapes."""

from __future__ import annotations

import copy
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from compute.data.dataset import Dataset, spread
from compute.errors import DoesNotFit
from compute.recording.run_recorder import open_or_create
from compute.runs.device import describe_device
from compute.runs.prepare import PreparedRun
from compute.training.augment import RandomNumbers
from compute.training.distributed import Processes
from compute.training.metrics import RunningMetrics
from compute.training.trainer import Trainer
from store.format.memory import free_memory

MAP_BYTES_PER_CELL = 0.62  # Zstandard over 8-bit real maps took 0.36 (74 % zero cells) to 0.65 (39 %)
PROBABILITY_BYTES = 3.6  # per class, of 4: float32 hardly compresses
COLUMN_BYTES = 160  # per image and variant, before compression
LEDGER_BYTES = 16  # per training image and epoch, of 18 before compression
IMAGE_BYTES = 0.95  # per channel value: photographs hardly compress losslessly
RESERVE = 200_000_000  # bytes of disk that a run leaves free

# Whole steps, since the first ones allocate, choose kernels and fill caches, and take up to ten times as long.
WARM_UP_STEPS = 4
STEPS = 9
PROBE_IMAGES = 100  # recorded for real, under all variants: forward passes alone say nothing of the writer
PROBE_SECONDS = 10.0  # after which no further step is measured


@dataclass(frozen=True)
class Speed:
    """Measured images per second, all processes together; recording counts every variant of an image."""

    training: float
    recording: float


@dataclass(frozen=True)
class Plan:
    """The work as printed, and its size in bytes."""

    text: str
    new_bytes: int
    free_bytes: int

    def check(self, path: Path) -> None:
        """Returns if the run fits on the disk.

        Raises:
            DoesNotFit: it does not.
        """
        if self.new_bytes + RESERVE > self.free_bytes:
            raise DoesNotFit(
                f"The run '{path}' needs about {_size(self.new_bytes)}, and {_size(RESERVE)} must stay free on its "
                f"disk, but only {_size(self.free_bytes)} are free there. "
                "Choose another --runs-dir, fewer epochs or variants."
            )


def make_plan(prepared: PreparedRun, path: Path, *, epochs_left: int, is_new: bool, speed: Speed) -> Plan:
    """The plan of the epochs that a run at `path` still has to be trained and recorded."""
    train, validation = len(prepared.dataset.training_images()), len(prepared.dataset.validation)
    training = prepared.profile.training
    trained_left = min(epochs_left, training.epochs)  # one more is recorded: epoch 0, before the first step
    seconds = trained_left * train / speed.training
    seconds += epochs_left * validation * len(prepared.variants) / speed.recording
    duration = (
        f"about {_duration(seconds)} ({speed.training:.0f} images/s training, {speed.recording:.0f} images/s "
        "recording, from a few measured steps)"
    )
    work = (
        f"weights   {prepared.weights.summary()}",
        f"training  epochs left: {trained_left} of {training.epochs}; {training.optimizer}, "
        f"batches of {training.batch}",
    )
    new_bytes = epochs_left * (epoch_bytes(prepared) + _checkpoint_bytes(prepared)) + 3 * 4 * prepared.parameters
    new_bytes += is_new * _run_file_bytes(prepared)
    if prepared.profile.recording.training != "off":
        new_bytes += trained_left * train * LEDGER_BYTES
    return _plan(prepared, path, is_new, work, duration, new_bytes)


def make_recording_plan(prepared: PreparedRun, path: Path, *, left: int, is_new: bool, work: Sequence[str]) -> Plan:
    """The plan of `left` checkpoints that are to be recorded; `work` are lines about them."""
    speed = recording_speed(prepared)
    seconds = left * len(prepared.dataset.validation.labels) * len(prepared.variants) / speed
    duration = f"about {_duration(seconds)} ({speed:.0f} images/s recording, from a few measured passes)"
    new_bytes = left * (epoch_bytes(prepared) + 4 * prepared.parameters) + is_new * _run_file_bytes(prepared)
    work = (f"input     {prepared.dataset.preparation or 'as the data set gives them'}", *work)
    return _plan(prepared, path, is_new, work, duration, new_bytes)


def _plan(prepared: PreparedRun, path: Path, is_new: bool, work: Sequence[str], duration: str, new_bytes: int) -> Plan:
    """A plan, with what every one says."""
    target = Path(os.path.realpath(path))
    existing = next(each for each in (target, *target.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    cells, dataset = f"{prepared.shapes.maps[0]} x {prepared.shapes.maps[1]}", prepared.dataset
    training = "" if dataset.train is None else f"{len(dataset.train.labels):,} training and "
    precision = prepared.profile.training.precision
    lines = (
        f"run       {path}" + ("" if is_new else "  (resumed)"),
        f"device    {describe_device(prepared.device)}, {precision}, processes: {prepared.processes.count}",
        f"data      {dataset.name}: {training}{len(dataset.validation.labels):,} validation images, "
        f"{len(dataset.classes)} classes",
        f"images    {_images_text(prepared)}",
        f"network   {prepared.profile.model.name}: {prepared.parameters / 1e6:.2f} M parameters, "
        f"a map of {cells} cells per class",
        *work,
        f"record    every epoch in variants: {', '.join(each.name for each in prepared.variants)}",
        f"time      {duration}",
        f"disk      about {_size(new_bytes)} of {_size(free)} free",
        *(f"note      {note}" for note in prepared.notes),
    )
    return Plan("\n".join(lines), new_bytes, free)


def _images_text(prepared: PreparedRun) -> str:
    """How much room the images take, and where."""
    splits = [split for split in (prepared.dataset.train, prepared.dataset.validation) if split is not None]
    where = "read from the cache as needed" if isinstance(splits[0].images, np.memmap) else "in memory"
    if prepared.device.type == "cuda":
        where += ", batch by batch: the GPU has no room for all" if prepared.reads_batches else ", copied to the GPU"
    size = sum(split.images.nbytes for split in splits)
    return f"{_size(size)} of pixels, {where}; memory free: {_size(free_memory())}"


def epoch_bytes(prepared: PreparedRun) -> int:
    """Estimated size of one epoch file."""
    shapes, variants = prepared.shapes, len(prepared.variants)
    images, classes = len(prepared.dataset.validation.labels), len(prepared.dataset.classes)
    cells = shapes.maps[0] * shapes.maps[1]
    kept = min(prepared.kept_maps + 1, classes) if prepared.kept_maps else classes
    per_variant = kept * cells * MAP_BYTES_PER_CELL + classes * PROBABILITY_BYTES + 2 * cells + COLUMN_BYTES
    per_variant += classes * PROBABILITY_BYTES if kept < classes else 0  # the logits, which the maps no longer give
    layers = 0.0
    if prepared.profile.recording.layers:
        layers += MAP_BYTES_PER_CELL * sum(np.prod(shape) for shape in shapes.layers.values())
        layers += 2 * sum(np.prod(shape) for shape in shapes.stages.values())
    summaries = variants * (classes * cells * 4 + classes * classes * 4 * 0.1)
    return int(images * (variants * per_variant + layers) + summaries)


def _run_file_bytes(prepared: PreparedRun) -> int:
    """Estimated size of run.h5: every variant of every image."""
    validation = prepared.dataset.validation
    return int(len(prepared.variants) * validation.images.size * IMAGE_BYTES)


def _checkpoint_bytes(prepared: PreparedRun) -> int:
    """Estimated size of the weights that an epoch leaves behind."""
    return 4 * prepared.parameters if prepared.profile.recording.checkpoints == "all" else 0


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def measure_speed(prepared: PreparedRun, *, steps: int = STEPS) -> Speed:
    """Images per second of whole training steps, and of recording into a complete epoch in a temporary folder."""
    return Speed(training=_training_speed(prepared, steps), recording=recording_speed(prepared))


def _training_speed(prepared: PreparedRun, steps: int) -> float:
    """Images per second, from the median of the steps after the warm-up, on a copy; torch.compile is left out."""
    settings, processes = replace(prepared.profile.training, compile=False), prepared.processes
    network = copy.deepcopy(prepared.network)
    trainer = Trainer(network, settings=settings, augment=prepared.augmenter, processes=processes)
    count, generator, metrics = len(trainer.part), torch.Generator().manual_seed(0), RunningMetrics(prepared.device)
    train = prepared.dataset.training_images()
    images = torch.as_tensor(np.ascontiguousarray(train.images[:count])).to(prepared.device)
    labels = torch.as_tensor(np.ascontiguousarray(train.labels[:count])).to(prepared.device)
    trainer.network.train()  # a copy: the steps must not change the run's own network

    def step() -> None:
        random = RandomNumbers(generator, settings.batch, trainer.part)
        trainer.step(images, labels, settings.learning_rate * 1e-3, random, metrics)

    return settings.batch / median_seconds(step, steps, prepared.device, processes)


def median_seconds(step: Callable[[], None], steps: int, device: torch.device, processes: Processes) -> float:
    """Seconds that a step takes: the median after the warm-up, over a limited number of steps and a limited time."""
    times: list[float] = []
    started = time.perf_counter()
    for number in range(WARM_UP_STEPS + steps):
        step_started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= WARM_UP_STEPS:
            times.append(time.perf_counter() - step_started)
        # all processes stop at the same step
        if processes.any(bool(times) and time.perf_counter() - started > PROBE_SECONDS):
            break
    return statistics.median(times)  # a single slow step, of a busy machine, does not count


def recording_speed(prepared: PreparedRun) -> float:
    """Images per second through network and store; the second of two small recordings counts."""
    network, processes = copy.deepcopy(prepared.network), prepared.processes
    alone = replace(prepared, dataset=probe_sample(prepared), processes=Processes())
    with tempfile.TemporaryDirectory(prefix="classprint-probe-") as folder:
        path = Path(folder) / "probe"
        run = open_or_create(path, alone.material("probe"), alone.processes, quiet=True)
        recorder = alone.epoch_recorder(path, quiet=True)
        for epoch in (1, 2):  # the first one warms up
            processes.wait()
            started = time.perf_counter()
            with run.epoch(epoch) as writer:
                recorder.record(network, writer, title="probe")
            seconds = time.perf_counter() - started
    passes = len(alone.dataset.validation.labels) * len(prepared.variants)
    return processes.count * passes / seconds


def probe_sample(prepared: PreparedRun) -> Dataset:
    """The data set with PROBE_IMAGES validation images, spread evenly over all of them."""
    whole = prepared.dataset.validation
    return replace(prepared.dataset, validation=whole.taken(spread(len(whole), PROBE_IMAGES)))
