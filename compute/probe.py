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

from compute.augment import Draws
from compute.data.records import Dataset, PictureSet
from compute.preparation import Prepared
from compute.processes import Processes
from compute.record import Recorder
from compute.scores import Scores
from compute.train import Trainer
from store import create_run, resume_run

WARM_UP = 4  # steps: the first ones allocate, choose kernels and fill caches, and take up to ten times as long
STEPS = 9
RECORDED = 100  # pictures, under all variants
PATIENCE = 10.0  # seconds after which no further step is measured


@dataclass(frozen=True)
class Speed:
    """Pictures a second, measured, of all processes together; recording counts every variant of a picture."""

    training: float
    recording: float


def measure_speed(prepared: Prepared, *, steps: int = STEPS) -> Speed:
    """Pictures a second of whole training steps and of recording, written and sealed in a temporary folder."""
    return Speed(training=training_speed(prepared, steps=steps), recording=recording_speed(prepared))


def training_speed(prepared: Prepared, *, steps: int) -> float:
    """Pictures a second, from the median of the steps after the warm-up; torch.compile is left out."""
    settings, processes = replace(prepared.profile.training, compile=False), prepared.processes
    trainer = Trainer(
        copy.deepcopy(prepared.network), settings=settings, augment=prepared.augmenter, processes=processes
    )
    count, generator, scores = len(trainer.part), torch.Generator().manual_seed(0), Scores(prepared.device)
    train = prepared.dataset.train
    pictures = torch.as_tensor(np.ascontiguousarray(train.pictures[:count])).to(prepared.device)
    labels = torch.as_tensor(np.ascontiguousarray(train.labels[:count])).to(prepared.device)
    trainer.network.train()

    def step() -> None:
        draws = Draws(generator, settings.batch, trainer.part)
        trainer.step(pictures, labels, settings.learning_rate * 1e-3, draws, scores)

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


def recording_speed(prepared: Prepared) -> float:
    """Pictures a second through network and store; the second of two small recordings counts."""
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
            recorder.write_pictures(new_run)
        run = resume_run(path)
        for epoch in (1, 2):
            processes.wait()
            started = time.perf_counter()
            with run.epoch(epoch) as writer:
                recorder.record(network, writer, title="probe")
            seconds = time.perf_counter() - started
    passes = len(alone.dataset.validation.labels) * len(prepared.profile.recording.variants)
    return processes.count * passes / seconds


def _sample(prepared: Prepared) -> Dataset:
    """The data set with a few validation pictures, evenly out of all of them."""
    whole = prepared.dataset.validation
    rows = np.unique(np.linspace(0, len(whole.labels) - 1, min(RECORDED, len(whole.labels))).astype(int))
    few = PictureSet(
        pictures=np.ascontiguousarray(whole.pictures[rows]),
        labels=whole.labels[rows],
        names=tuple(whole.names[row] for row in rows),
        masks=whole.masks[rows] if whole.masks is not None else None,
        boxes=whole.boxes[rows] if whole.boxes is not None else None,
    )
    return replace(prepared.dataset, validation=few)
