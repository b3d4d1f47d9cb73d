"""A run being recorded, whoever trains the network: its images are written once, then one epoch after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from compute.errors import RunInUse
from compute.models import ClassMapNetwork
from compute.recording.epoch_recorder import EpochRecorder
from compute.recording.perturbations import Perturbation, perturb
from compute.training.distributed import Processes
from store import create_run, resume_run
from store.format.description import RunDescription
from store.format.hdf5_file import PART, claim
from store.format.layout import RUN_FILE
from store.terminal import ProgressBar
from store.write.run_writer import NewRun, RunWriter

BATCH = 250  # images perturbed at a time


class Images(Protocol):
    """N images, decoded when a slice of them is taken: an array, a memory-mapped one, or a reader of files."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.uint8]:
        """Images uint8 (n, h, w, 3)."""


@dataclass(frozen=True)
class Material:
    """What run.h5 is made of.

    Args:
        description: of the run.
        images: the clean images in the order of the description's labels.
        variants: what each variant does, in the description's order.
        seed: of the random variants.
        free: dotted keys of the configuration that may differ when the run is resumed.
    """

    description: RunDescription
    images: Images
    variants: Sequence[Perturbation]
    seed: int
    free: Collection[str] = ()


def open_or_create(path: Path, material: Material, processes: Processes, *, quiet: bool = False) -> RunWriter:
    """The writer of the run at `path`, which is created with its images if it does not exist yet.

    Raises:
        RunMismatch: the run there has another configuration.
        WriteFailed: the disk refuses to write; nothing is left behind.
    """
    if processes.first and not run_exists(path):
        with create_run(path, material.description) as new_run:
            write_images(new_run, material, quiet=quiet)
    processes.wait()
    return open_writer(path, material, processes)


def open_writer(path: Path, material: Material, processes: Processes) -> RunWriter:
    """The writer of the run at `path`; the first process tidies up after an interruption before the others open it.

    Raises:
        RunMismatch: the run has another configuration.
    """
    known = material.description
    options: dict[str, Any] = {"configuration": known.configuration, "free": material.free}
    options["planned_epochs"] = known.planned_epochs or None
    if processes.first:
        resume_run(path, **options)
    processes.wait()
    run = resume_run(path, **options)
    processes.wait()
    return run


def write_images(new_run: NewRun, material: Material, *, quiet: bool = False) -> None:
    """Writes every variant of every image, a batch at a time, so that memory does not grow with their number."""
    total = len(material.description.labels)
    with ProgressBar(total=total, desc="writing the validation images", unit=" images", disable=quiet) as bar:
        for start in range(0, total, BATCH):
            clean = np.ascontiguousarray(material.images[start : start + BATCH])
            numbers = range(start, start + len(clean))
            for variant in material.variants:
                pixels = perturb(variant, torch.from_numpy(clean), numbers=numbers, seed=material.seed)
                new_run.write_images(variant.name, start, pixels.numpy())
            bar.update(len(clean))


def run_exists(path: Path) -> bool:
    """Whether there is a run at `path`, complete or not."""
    return (path / RUN_FILE).exists()


@contextmanager
def lock_run(path: Path, processes: Processes) -> Iterator[None]:
    """Locks the run at `path`, whether it exists yet or not, against other commands and programs that would record it.

    Raises:
        RunInUse: another one has locked it; in each of the processes.
    """
    with ExitStack() as stack:
        refused = False
        if processes.first:
            # A lock rather than a marker file: it ends with its process. Two commands on one run removed each other's
            # checkpoints.
            part = path / f"training{PART}"
            refused = not stack.enter_context(claim(part, wait=False))
            if not refused:
                stack.callback(part.unlink, missing_ok=True)
        if processes.any(refused):
            raise RunInUse(
                f"The run '{path}' is being recorded by another command. Wait for it or stop it; "
                "to record another run beside it, give that another name (--run)."
            )
        yield


class RunRecorder:
    """Records epochs into a run; each one's file is completed while the next epoch trains.

    Args:
        run: the run's writer.
        epochs: runs the network over the images.
        processes: those that record together; each records its share.
        completed: called with an epoch's number when its file is complete.
    """

    def __init__(
        self,
        run: RunWriter,
        epochs: EpochRecorder,
        *,
        processes: Processes = Processes(),
        completed: Callable[[int], None] | None = None,
    ) -> None:
        self.run, self.epochs = run, epochs
        self.processes = processes
        self._completed = completed
        self._finishing: tuple[int, Future[None]] | None = None

    def record(
        self, epoch: int, network: ClassMapNetwork, metrics: Mapping[str, float], *, title: str = "", label: str = ""
    ) -> dict[str, float]:
        """Records one epoch, leaves completing its file to a thread, and returns all its metrics.

        Args:
            epoch: a number that is not recorded yet.
            network: on the device of the images; it is left in the mode that it is in.
            metrics: numbers to record beside those that `EpochRecorder.record` measures.
            title: of the progress bar.
            label: a name of the epoch for people.

        Raises:
            Interrupted: a stop was requested.
            StoreError: the maps cannot be written. In both cases no incomplete file stays behind.
        """
        started = time.perf_counter()
        self.wait()
        waited, processes = time.perf_counter() - started, self.processes
        part = (processes.rank, processes.count)
        writer = self.run.epoch(epoch, label=label, part=part, images=self.epochs.images.part)
        try:
            measured = self.epochs.record(network, writer, title=title, processes=processes)
            metrics = {**metrics, "finish_wait_seconds": waited, **measured}
            writer.set_metrics(metrics)
        except BaseException:  # on a stop, too
            writer.abort()
            raise
        self._finishing = epoch, writer.finish(wait=False)
        return metrics

    def wait(self) -> None:
        """Returns when the last epoch's file is complete; raises what went wrong with it."""
        if self._finishing is not None:
            (epoch, future), self._finishing = self._finishing, None
            future.result()
            if self._completed:
                self._completed(epoch)
