"""How fast this machine trains and records, from a few real steps on a copy of the network."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from compute.data.dataset import Dataset, ImageSet
from compute.recording.recorder import Recorder
from compute.runs.prepare import PreparedRun
from compute.training.augment import RandomNumbers
from compute.training.distributed import Processes
from compute.training.metrics import Scores
from compute.training.trainer import Trainer
from store import create_run, resume_run

WARM_UP = 4  # steps: the first ones allocate, choose kernels and fill caches, and take up to ten times as long
STEPS = 9
RECORDED = 100  # images, under all variants
PATIENCE = 10.0  # seconds after which no further step is measured


@dataclass(frozen=True)
class Speed:
    """Images a second, measured, of all processes together; recording counts every variant of an image."""

    training: float
    recording: float


def measure_speed(prepared: PreparedRun, *, steps: int = STEPS) -> Speed:
    """Images a second of whole training steps and of recording, written and sealed in a temporary folder."""
    return Speed(training=training_speed(prepared, steps=steps), recording=recording_speed(prepared))


def training_speed(prepared: PreparedRun, *, steps: int) -> float:
    """Images a second, from the median of the steps after the warm-up; torch.compile is left out."""
    settings, processes = replace(prepared.profile.training, compile=False), prepared.processes
    trainer = Trainer(
        copy.deepcopy(prepared.network), settings=settings, augment=prepared.augmenter, processes=processes
    )
    count, generator, scores = len(trainer.part), torch.Generator().manual_seed(0), Scores(prepared.device)
    train = prepared.dataset.train
    images = torch.as_tensor(np.ascontiguousarray(train.images[:count])).to(prepared.device)
    labels = torch.as_tensor(np.ascontiguousarray(train.labels[:count])).to(prepared.device)
    trainer.network.train()

    def step() -> None:
        draws = RandomNumbers(generator, settings.batch, trainer.part)
        trainer.step(images, labels, settings.learning_rate * 1e-3, draws, scores)

    return settings.batch / median_seconds(step, steps, prepared.device, processes)


def median_seconds(step: Callable[[], None], steps: int, device: torch.device, processes: Processes) -> float:
    """Seconds that a step takes, the median after the warm-up, of at most so many and for a limited time."""
    times: list[float] = []
    began = time.perf_counter()
    for number in range(WARM_UP + steps):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= WARM_UP:
            times.append(time.perf_counter() - started)
        if processes.any(bool(times) and time.perf_counter() - began > PATIENCE):  # all stop at the same step
            break
    return statistics.median(times)


def recording_speed(prepared: PreparedRun) -> float:
    """Images a second through network and store; the second of two small recordings counts."""
    network, processes = copy.deepcopy(prepared.network), prepared.processes
    alone = replace(prepared, dataset=_sample(prepared), processes=Processes())
    recorder = Recorder(
        alone.validation(),
        settings=prepared.profile.recording,
        normalise=prepared.normaliser,
        precision=prepared.profile.training.precision,
        quiet=True,
    )
    with tempfile.TemporaryDirectory(prefix="classprint-probe-") as folder:
        path = Path(folder) / "probe"
        with create_run(path, alone.description("probe")) as new_run:
            recorder.write_images(new_run)
        run = resume_run(path)
        for epoch in (1, 2):
            processes.wait()
            started = time.perf_counter()
            with run.epoch(epoch) as writer:
                recorder.record(network, writer, title="probe")
            seconds = time.perf_counter() - started
    passes = len(alone.dataset.validation.labels) * len(prepared.profile.recording.variants)
    return processes.count * passes / seconds


def _sample(prepared: PreparedRun) -> Dataset:
    """The data set with a few validation images, evenly out of all of them."""
    whole = prepared.dataset.validation
    rows = np.unique(np.linspace(0, len(whole.labels) - 1, min(RECORDED, len(whole.labels))).astype(int))
    few = ImageSet(
        images=np.ascontiguousarray(whole.images[rows]),
        labels=whole.labels[rows],
        names=tuple(whole.names[row] for row in rows),
        masks=whole.masks[rows] if whole.masks is not None else None,
        boxes=whole.boxes[rows] if whole.boxes is not None else None,
    )
    return replace(prepared.dataset, validation=few)
