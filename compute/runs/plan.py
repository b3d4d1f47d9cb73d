"""What a run will take, before it takes it: time from a short probe, disk from the shapes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compute.errors import DoesNotFit
from compute.runs.device import describe_device
from compute.runs.prepare import PreparedRun
from compute.runs.probe import Speed

MAP_BYTES_PER_CELL = 0.62  # Zstandard over 8-bit codes of real maps took 0.36 (74 % zero cells) to 0.65 (39 %)
PROBABILITY_BYTES = 3.6  # per class, of 4: float32 hardly compresses
COLUMN_BYTES = 160  # per image and variant, before compression
IMAGE_BYTES = 0.95  # per channel value: photographs hardly compress losslessly
RESERVE = 200_000_000  # bytes that a run leaves free


@dataclass(frozen=True)
class Plan:
    """The work, its time in seconds and its size in bytes."""

    lines: tuple[str, ...]
    seconds: float | None
    new_bytes: int
    free_bytes: int

    def text(self) -> str:
        """The plan as printed."""
        return "\n".join(self.lines)

    def check(self, path: Path) -> None:
        """Returns when the disk can hold the run.

        Raises:
            DoesNotFit: it cannot.
        """
        if self.new_bytes + RESERVE > self.free_bytes:
            raise DoesNotFit(
                f"The run '{path}' needs about {_size(self.new_bytes)}, "
                f"but only {_size(self.free_bytes)} are free there. "
                "Choose another --runs-dir, fewer epochs or variants."
            )


def make_plan(prepared: PreparedRun, path: Path, *, epochs_left: int, is_new: bool, speed: Speed | None) -> Plan:
    """The plan of the epochs that are left of a run at `path`."""
    train, validation = len(prepared.dataset.train.labels), len(prepared.dataset.validation.labels)
    variants, training = prepared.profile.recording.variants, prepared.profile.training
    new_bytes = epochs_left * (epoch_bytes(prepared) + _checkpoint_bytes(prepared)) + 3 * 4 * prepared.parameters
    new_bytes += is_new * run_file_bytes(prepared)
    seconds = None
    if speed is not None:
        seconds = epochs_left * (train / speed.training + validation * len(variants) / speed.recording)
    free = shutil.disk_usage(_existing(path)).free
    cells = f"{prepared.shapes.maps[0]} x {prepared.shapes.maps[1]}"
    lines = (
        f"run       {path}" + ("" if is_new else "  (resumed)"),
        f"device    {describe_device(prepared.device)}, {training.precision}, processes: {prepared.processes.count}",
        f"data      {prepared.dataset.name}: {train:,} training and {validation:,} validation images, "
        f"{len(prepared.dataset.classes)} classes",
        f"network   {prepared.profile.model.name}: {prepared.parameters / 1e6:.2f} M parameters, "
        f"a map of {cells} cells per class",
        f"weights   {prepared.weights.summary()}",
        f"training  epochs to go: {epochs_left} of {training.epochs}; "
        f"{training.optimizer}, batches of {training.batch}",
        f"record    every epoch in variants: {', '.join(variants)}",
        f"time      {_time_line(speed, seconds)}",
        f"disk      about {_size(new_bytes)} of {_size(free)} free",
        *(f"note      {note}" for note in prepared.notes),
    )
    return Plan(lines, seconds, new_bytes, free)


def epoch_bytes(prepared: PreparedRun) -> int:
    """Estimated size of one epoch file."""
    shapes, variants = prepared.shapes, len(prepared.profile.recording.variants)
    images, classes = len(prepared.dataset.validation.labels), len(prepared.dataset.classes)
    cells = shapes.maps[0] * shapes.maps[1]
    passed = classes * (cells * MAP_BYTES_PER_CELL + PROBABILITY_BYTES) + 2 * cells + COLUMN_BYTES
    opened = 0.0
    if prepared.profile.recording.layers:
        opened += MAP_BYTES_PER_CELL * sum(np.prod(shape) for shape in shapes.layers.values())
        opened += 2 * sum(np.prod(shape) for shape in shapes.stages.values())
    summaries = variants * (classes * cells * 4 + classes * classes * 4 * 0.1)
    return int(images * (variants * passed + opened) + summaries)


def run_file_bytes(prepared: PreparedRun) -> int:
    """Estimated size of run.h5: every variant of every image."""
    validation = prepared.dataset.validation
    return int(len(prepared.profile.recording.variants) * validation.images.size * IMAGE_BYTES)


def _checkpoint_bytes(prepared: PreparedRun) -> int:
    """Bytes of weights that stay after each epoch."""
    return 4 * prepared.parameters if prepared.profile.recording.checkpoints == "all" else 0


def _time_line(speed: Speed | None, seconds: float | None) -> str:
    if speed is None or seconds is None:
        return "not measured"
    return (
        f"about {_duration(seconds)} ({speed.training:.0f} images/s training, {speed.recording:.0f} images/s "
        "recording, from a short probe)"
    )


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _existing(path: Path) -> Path:
    """The path or its nearest parent that exists: the file system that the run will be on."""
    path = path.resolve()
    return next(each for each in (path, *path.parents) if each.exists())
