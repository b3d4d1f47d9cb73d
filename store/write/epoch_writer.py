"""Writing one epoch: blocks of maps in, a sealed file out, coded and compressed on threads of its own.

`write` returns as soon as its block is queued and waits only while the queue is full, so the network seldom waits for
the disk and memory stays bounded. The file takes its final name when it is complete and flushed; until then it is a
.part file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from store.errors import BadMaps, StoreError
from store.format.layout import RunFacts
from store.format.quantization import Quantiser
from store.format.selection import mark_rows, variant_index
from store.metrics import maps as measures
from store.write.epoch_file import EpochFileWriter
from store.write.join_parts import join_parts
from store.write.summary import Summary

PIECE_BYTES = 16 << 20  # maps that one task works on: enough to forget the cost of a call
BLOCK_BYTES = 1 << 20  # maps coded at a time: few enough for a core's cache
QUEUED_PER_THREAD = 2


class EpochWriter:
    """One epoch, or one rank's part of it, being written; see `RunWriter.epoch`.

    As a context manager it seals at the end of the block and leaves nothing behind when the block raises.
    """

    def __init__(
        self, run: Path, facts: RunFacts, epoch: int, *, threads: int | None, part: tuple[int, int], images: range
    ) -> None:
        description = facts.description
        self.epoch, self.images, self.part = epoch, images, part
        self._run, self._facts, self._description = run, facts, description
        self._quantiser = Quantiser(signed=description.signed, precision=description.precision)
        self._layer_quantiser = Quantiser(precision=description.precision)
        labels = description.labels[images.start : images.stop]
        self._summary = Summary(
            labels,
            variants=len(description.variant_names),
            classes=len(description.classes),
            map_shape=description.map_shape,
            signed=description.signed,
        )
        self._file = EpochFileWriter(run, facts, epoch, part=part, images=images)
        self._written = np.zeros((len(description.variant_names), len(images)), bool)
        self._layers_written = np.zeros(len(images), bool)
        self._metrics: dict[str, float] = {}
        threads = threads or min(8, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"epoch-{epoch}")
        self._slots = threading.BoundedSemaphore(threads * QUEUED_PER_THREAD)
        self._local = threading.local()
        self._failure: BaseException | None = None
        self._closed = False

    def set_metrics(self, metrics: Mapping[str, float]) -> None:
        """Add numbers about the epoch (losses, accuracies as fractions, seconds); may be called until sealing."""
        self._metrics |= {name: float(value) for name, value in metrics.items()}

    def write(self, variant: str, start: int, maps: NDArray[np.float32]) -> None:
        """Queue maps (n, C, H, W) float32 of a variant, from image `start` of the run on.

        Any n, any order, but an image's clean maps before its others. The array belongs to the writer from here on: do
        not write into it.

        Raises:
            BadMaps: shape; or, possibly at a later call, NaN, infinity or a forbidden negative value.
            WriteFailed: the file system refused an earlier block. The unfinished file is removed.
            ValueError: images outside this part, or written before.
        """
        self._raise_failure()
        description = self._description
        strip = variant_index(description.variant_names, variant)
        maps = np.ascontiguousarray(maps, np.float32)
        expected = (len(description.classes), *description.map_shape)
        if maps.ndim != 4 or maps.shape[1:] != expected:
            raise BadMaps(
                f"Maps of {variant!r} must have the shape (n, {', '.join(map(str, expected))}), got {maps.shape}."
            )
        first = start - self.images.start
        if strip and first >= 0 and not self._written[0, first : first + len(maps)].all():
            raise ValueError(
                f"The clean maps of images {start} to {start + len(maps) - 1} must be written before {variant!r}."
            )
        mark_rows(self._written[strip], first, len(maps), what=f"Maps of {variant!r} in epoch {self.epoch}")
        for at, stop in self._pieces(first, len(maps), PIECE_BYTES):
            self._queue(self._record, strip, at, maps[at - first : stop - first])

    def write_layers(
        self,
        start: int,
        layers: Mapping[str, NDArray[np.float32]] | None = None,
        stages: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """Queue the clean variant's inner layers: activations (n, K, h, w), not negative, and stage means (n, h, w).

        Raises:
            ValueError: not the layers and stages that the run's description names, or not their shapes.
        """
        self._raise_failure()
        arrays = {f"layers/{name}": np.ascontiguousarray(array, np.float32) for name, array in (layers or {}).items()}
        arrays |= {f"stages/{name}": np.ascontiguousarray(array, np.float32) for name, array in (stages or {}).items()}
        expected = {f"layers/{name}": tuple(shape) for name, shape in self._description.layers.items()}
        expected |= {f"stages/{name}": tuple(shape) for name, shape in self._description.stages.items()}
        given = {name: array.shape[1:] for name, array in arrays.items()}
        lengths = {len(array) for array in arrays.values()}
        if given != expected or len(lengths) > 1:
            raise ValueError(f"Layers must be {expected} with one length, got {given} with lengths {sorted(lengths)}.")
        if arrays:
            first = start - self.images.start
            mark_rows(self._layers_written, first, lengths.pop(), what=f"Layers in epoch {self.epoch}")
            self._queue(self._record_layers, first, arrays)

    def seal(self, *, wait: bool = True) -> Future[None]:
        """Finish the epoch: summary, checks, flush, final name; with `wait=False` behind the future that is returned.

        Raises (or the future's `result` does):
            StoreError: a block was refused, or maps are missing; the unfinished file is removed.
        """
        if self._closed:
            raise StoreError(f"Epoch {self.epoch} was sealed or given up before.")
        self._closed = True
        finisher = ThreadPoolExecutor(1, thread_name_prefix=f"seal-{self.epoch}")
        future = finisher.submit(self._finish)
        finisher.shutdown(wait=False)
        if wait:
            future.result()
        return future

    def abort(self) -> None:
        """Give the epoch up; nothing of it stays on disk."""
        self._closed = True
        self._failure = self._failure or StoreError(f"Epoch {self.epoch} was given up.")
        self._summary.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._file.discard()

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Seal, or give up when the block raised."""
        if kind is not None:
            self.abort()
        elif not self._closed:
            self.seal()

    def _pieces(self, first: int, count: int, size: int) -> list[tuple[int, int]]:
        """Rows first.. in stretches of about `size` bytes of maps that end where chunks of maps do."""
        step = self._file.map_rows
        row_bytes = 4 * len(self._description.classes) * int(np.prod(self._description.map_shape))
        stride = max(1, size // row_bytes // step) * step
        edges = [first, *range(first // step * step + stride, first + count, stride), first + count]
        return list(pairwise(edges)) if count else []

    def _queue(self, task: Callable[..., None], *arguments: object) -> None:
        while not self._slots.acquire(timeout=1):
            self._raise_failure()
        self._pool.submit(self._run_task, task, *arguments)

    def _run_task(self, task: Callable[..., None], *arguments: object) -> None:
        try:
            if self._failure is None:
                task(*arguments)
        except BaseException as err:  # kept, and raised again in the caller's thread
            self._failure = self._failure or err
            self._summary.stop()
        finally:
            self._slots.release()

    def _record(self, strip: int, start: int, maps: NDArray[np.float32]) -> None:
        scores, steps = np.empty(maps.shape[:2], np.float32), np.empty(maps.shape[:2], np.float32)
        for first, stop in self._pieces(start, len(maps), BLOCK_BYTES):
            rows = slice(first - start, stop - start)
            scratch, codes = self._buffers(maps[rows].shape)
            try:
                steps[rows] = self._quantiser.encode(maps[rows], scratch=scratch, out=codes)[1]
            except BadMaps as err:
                raise self._located(err, strip, first) from err
            scores[rows] = measures.logits(maps[rows])
            self._file.put("maps", strip, first, codes)
        probabilities = measures.softmax(scores)
        self._summary.add(strip, start, maps, scores, probabilities)
        self._file.put("map_scale", strip, start, steps)
        self._file.put("probabilities", strip, start, probabilities)

    def _buffers(self, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """This thread's arrays for coding maps of that shape: fresh memory would cost as much as the arithmetic."""
        found = getattr(self._local, "buffers", None)
        if found is None or len(found[0]) < shape[0]:
            found = self._local.buffers = (np.empty(shape, np.float32), np.empty(shape, np.uint8))
        scratch, codes = found
        return scratch[: shape[0]], codes[: shape[0]]

    def _record_layers(self, start: int, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        for path, array in arrays.items():
            if path.startswith("stages/"):
                if not np.isfinite(array).all():
                    raise BadMaps(f"{path!r} of images {self.images.start + start}.. holds NaN or infinity.")
                self._file.put(path, 0, start, array)
                continue
            try:
                codes, steps = self._layer_quantiser.encode(array)
            except BadMaps as err:
                raise BadMaps(f"Layer {path!r}, images from {self.images.start + start} on: {err}") from err
            self._file.put(f"{path}/quantised", 0, start, codes)
            self._file.put(f"{path}/scale", 0, start, steps)

    def _located(self, err: BadMaps, strip: int, start: int) -> BadMaps:
        if err.image is None or err.class_index is None:
            return err
        image, entry = self.images.start + start + err.image, self._description.classes[err.class_index]
        where = (
            f"Epoch {self.epoch}, variant {self._description.variant_names[strip]!r}, image {image} "
            f"({self._description.image_names[image]!r}), class {err.class_index} ({entry.name!r})"
        )
        return BadMaps(f"{where}: {err} Look at the training: its loss has probably diverged.", image, err.class_index)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self.abort()
            raise self._failure
        if self._closed:
            raise StoreError(f"Epoch {self.epoch} was sealed or given up: it takes no more maps.")

    def _finish(self) -> None:
        self._pool.shutdown(wait=True)
        try:
            if self._failure is not None:
                raise self._failure
            self._refuse_gaps()
            self._file.seal(self._summary, self._metrics)
        except BaseException:
            self._file.discard()
            raise
        if self.part[1] > 1:
            join_parts(self._run, self._facts, self.epoch, world=self.part[1])

    def _refuse_gaps(self) -> None:
        missing = np.argwhere(~self._written)
        if len(missing):
            strip, row = missing[0]
            raise StoreError(
                f"Epoch {self.epoch} cannot be sealed: {len(missing)} of {self._written.size} maps were not written, "
                f"the first is image {self.images.start + row} of variant {self._description.variant_names[strip]!r}."
            )
        if (self._description.layers or self._description.stages) and not self._layers_written.all():
            raise StoreError(
                f"Epoch {self.epoch} cannot be sealed: the layers of {int((~self._layers_written).sum())} images were "
                "not written. Call write_layers for every image."
            )
