"""Writing one epoch: blocks of maps in, a complete file out, quantised and compressed on threads of its own.

`write` returns as soon as its block is queued and waits only while the queue is full, so the network seldom waits for
the disk and memory stays bounded. The file takes its final name when it is complete and flushed; until then it is a
.part file.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from store.errors import BadMaps, BadMetric, StoreError
from store.format import layout
from store.format.chunks import ChunkWriter, write_array
from store.format.description import RunDescription, RunFacts
from store.format.hdf5_file import NewFile, set_attributes, write_errors, write_once
from store.format.quantization import Quantiser
from store.format.receipts import write_receipt
from store.format.schema import CACHED_BLOCK_ROWS, check_metric, epoch_field
from store.metrics import maps as measures
from store.write.join_parts import join_parts, write_identity, write_joint
from store.write.summary import CACHED, Columns, Summary, joint_columns, kept_classes

TASK_BYTES = 16 << 20  # maps per task: enough to make the cost of a call negligible
# Maps quantised at a time: few enough to stay in a core's cache. With reused work arrays an image takes 68 µs of a core
# instead of 87.
BLOCK_BYTES = 1 << 20
QUEUED_PER_THREAD = 2

Float32 = NDArray[np.float32]


class EpochWriter:
    """One epoch, or one rank's part of it, being written; see `RunWriter.epoch`.

    As a context manager it finishes when the block ends and leaves nothing behind when the block raises.
    """

    def __init__(
        self,
        run: Path,
        facts: RunFacts,
        epoch: int,
        *,
        threads: int | None,
        part: tuple[int, int],
        images: range,
        label: str = "",
    ) -> None:
        description = facts.description
        self.epoch, self.images, self.part, self.label = epoch, images, part, label
        self._run, self._facts, self._description = run, facts, description
        self._quantiser = Quantiser(signed=description.signed)
        self._summary = Summary(description, images)
        self._datasets: dict[str, ChunkWriter] = {}
        self._open = ExitStack()  # the file: closing it completes the file, raising through it removes it
        name = layout.epoch_file(epoch) if part[1] == 1 else layout.part_file(epoch, *part)
        self._file = self._open.enter_context(write_once(run / name))
        try:
            self._datasets = _declare(self._file, description, len(images))
        except BaseException as err:
            self._discard(err)
            raise
        self._written = np.zeros((len(description.variants), len(images)), bool)
        self._layers_written = np.zeros(len(images), bool)
        self._metrics: dict[str, float] = {}
        threads = threads or min(8, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"epoch-{epoch}")
        self._slots = threading.BoundedSemaphore(threads * QUEUED_PER_THREAD)
        self._local = threading.local()
        self._failure: BaseException | None = None
        self._closed = False

    def set_metrics(self, metrics: Mapping[str, float]) -> None:
        """Add numbers about the epoch (losses, accuracies as fractions, seconds), until it is finished.

        NaN stands for a number that is not known.

        Raises:
            BadMetric: a number is infinite or out of its range, or its name cannot be one.
        """
        try:
            self._metrics |= {name: check_metric(name, float(value)) for name, value in metrics.items()}
        except ValueError as err:
            raise BadMetric(f"Epoch {self.epoch} cannot be recorded: {err}.") from err

    def write(self, variant: str, start: int, maps: Float32) -> None:
        """Queue maps (n, C, H, W) float32 of a variant, from image `start` of the run on.

        Any n, any order, but an image's clean maps before its others. The array belongs to the writer from then on: do
        not write into it.

        Raises:
            BadMaps: shape; or, possibly at a later call, NaN, infinity or a forbidden negative value.
            WriteFailed: the file system refused an earlier block. The unfinished file is removed.
            ValueError: images outside this part, or written before.
        """
        self._raise_failure()
        description = self._description
        index = description.variant_index(variant)
        maps = np.ascontiguousarray(maps, np.float32)
        expected = (len(description.classes), *description.map_shape)
        if maps.ndim != 4 or maps.shape[1:] != expected:
            raise BadMaps(
                f"Maps of {variant!r} must have the shape (n, {', '.join(map(str, expected))}), got {maps.shape}."
            )
        first = start - self.images.start
        if index and first >= 0 and not self._written[0, first : first + len(maps)].all():
            raise ValueError(
                f"The clean maps of images {start} to {start + len(maps) - 1} must be written before {variant!r}."
            )
        mark_rows(self._written[index], first, len(maps), what=f"Maps of {variant!r} in epoch {self.epoch}")
        for at, stop in self._blocks(first, len(maps), TASK_BYTES):
            self._queue(self._record, index, at, maps[at - first : stop - first])

    def write_layers(
        self, start: int, layers: Mapping[str, Float32] | None = None, stages: Mapping[str, Float32] | None = None
    ) -> None:
        """Queue the clean variant's inner layers: activations (n, F, h, w), not negative, and stage means (n, h, w).

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

    def finish(self, *, wait: bool = True) -> Future[None]:
        """Complete the epoch: summary, checks, flush, final name; with `wait=False` in the background, behind the
        returned future.

        Raises (or the future's `result` does):
            StoreError: a block was refused, or maps are missing; the unfinished file is removed.
        """
        if self._closed:
            raise StoreError(f"Epoch {self.epoch} was finished or given up before.")
        self._closed = True
        finisher = ThreadPoolExecutor(1, thread_name_prefix=f"finish-{self.epoch}")
        future = finisher.submit(self._finish)
        finisher.shutdown(wait=False)
        if wait:
            future.result()
        return future

    def abort(self) -> None:
        """Abandon the epoch; nothing of it stays on disk."""
        self._closed = True
        self._failure = self._failure or StoreError(f"Epoch {self.epoch} was given up.")
        self._summary.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._discard(self._failure)

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish, or give up when the block raised."""
        if kind is not None:
            self.abort()
        elif not self._closed:
            self.finish()

    def _discard(self, error: BaseException) -> None:
        self._open.__exit__(type(error), error, None)

    def _blocks(self, first: int, count: int, size: int) -> list[tuple[int, int]]:
        """Rows first.. in blocks of about `size` bytes of maps that end where chunks of maps do."""
        chunk_rows = self._datasets["maps"].grid.chunk_rows
        row_bytes = 4 * len(self._description.classes) * int(np.prod(self._description.map_shape))
        stride = max(1, size // row_bytes // chunk_rows) * chunk_rows
        edges = [first, *range(first // chunk_rows * chunk_rows + stride, first + count, stride), first + count]
        return list(pairwise(edges)) if count else []

    def _queue(self, task: Callable[..., None], *arguments: object) -> None:
        while not self._slots.acquire(timeout=1):
            self._raise_failure()
        self._pool.submit(self._run_task, task, *arguments)

    def _run_task(self, task: Callable[..., None], *arguments: object) -> None:
        try:
            if self._failure is None:
                task(*arguments)
        except BaseException as err:  # raised again in the caller's thread
            self._failure = self._failure or err
            self._summary.stop()
        finally:
            self._slots.release()

    def _record(self, variant: int, start: int, maps: Float32) -> None:
        logits, kept = np.empty(maps.shape[:2], np.float32), self._description.sizes["K"]
        found: Columns = {"logits": logits}
        network_maps = maps
        if self._description.signed:
            try:
                self._quantiser.peaks(maps)  # a value that is not finite would reach all classes through the mean
            except BadMaps as err:
                raise self._located(err, variant, start) from err
            maps, found["mean_map"] = measures.relative_to_mean(maps)
        scale, classes = np.empty((len(maps), kept), np.float32), np.empty((len(maps), kept), np.uint16)
        for first, stop in self._blocks(start, len(maps), BLOCK_BYTES):
            rows = slice(first - start, stop - start)
            block = maps[rows]
            logits[rows] = measures.logits(network_maps[rows])
            try:
                self._refuse_overflow(block, logits[rows])
                if self._description.kept_maps:
                    self._quantiser.peaks(block)  # a map that is not kept must be finite, too
                    classes[rows] = kept_classes(logits[rows], self._summary.labels[first:stop], kept)
                    block = block[np.arange(len(block))[:, None], classes[rows]]
                scratch, out = self._buffers(block.shape)
                quantised, scale[rows] = self._quantiser.encode(block, scratch=scratch, out=out)
            except BadMaps as err:
                raise self._located(err, variant, first) from err
            self._datasets["maps"].put(variant, first, quantised)
        probabilities = measures.softmax(logits)
        self._summary.add(variant, start, maps, logits, probabilities)
        found |= {"map_scale": scale, "probabilities": probabilities, "map_classes": classes}
        for path in found.keys() & self._datasets.keys():
            self._datasets[path].put(variant, start, found[path])

    def _refuse_overflow(self, maps: Float32, logits: Float32) -> None:
        """Finite cells may have a sum that is none: refuse it before anything follows from it."""
        if np.isfinite(logits).all():
            return
        self._quantiser.peaks(maps)  # names the cell, where one is to blame
        image, class_index = map(int, np.argwhere(~np.isfinite(logits))[0])
        peak = np.abs(maps[image, class_index]).max()
        raise BadMaps(f"The mean of its map is not finite, the largest cell is {peak:.3g}.", (image, class_index))

    def _buffers(self, shape: tuple[int, ...]) -> tuple[Float32, NDArray[np.uint8]]:
        """This thread's arrays for quantising such maps: allocating them would cost as much as the arithmetic."""
        found = getattr(self._local, "buffers", None)
        if found is None or len(found[0]) < shape[0]:
            found = self._local.buffers = (np.empty(shape, np.float32), np.empty(shape, np.uint8))
        scratch, quantised = found
        return scratch[: shape[0]], quantised[: shape[0]]

    def _record_layers(self, start: int, arrays: Mapping[str, Float32]) -> None:
        for path, array in arrays.items():
            if path.startswith("stages/"):
                self._datasets[path].put(0, start, array)
                continue
            try:
                quantised, scale = Quantiser().encode(array)
            except BadMaps as err:
                raise BadMaps(f"Layer {path!r}, images from {self.images.start + start} on: {err}") from err
            self._datasets[f"{path}/quantised"].put(0, start, quantised)
            self._datasets[f"{path}/scale"].put(0, start, scale)

    def _located(self, err: BadMaps, variant: int, start: int) -> BadMaps:
        if err.place is None:
            return err
        image, class_index = self.images.start + start + err.place[0], err.place[1]
        where = (
            f"Epoch {self.epoch}, variant {self._description.variant_names[variant]!r}, image {image} "
            f"({self._description.image_names[image]!r}), class {class_index} "
            f"({self._description.classes[class_index].name!r})"
        )
        advice = "Check the training: its loss has probably diverged."
        if err.negative:
            advice = "Maps of this network may be negative: record them in a run whose description has signed=True."
        return BadMaps(f"{where}: {err} {advice}", (image, class_index), negative=err.negative)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            self.abort()
            raise self._failure
        if self._closed:
            raise StoreError(f"Epoch {self.epoch} was finished or given up: it takes no more maps.")

    def _finish(self) -> None:
        self._pool.shutdown(wait=True)
        try:
            if self._failure is not None:
                raise self._failure
            self._refuse_gaps()
            with write_errors(self._file.path):
                self._write_summary()
            self._open.close()
        except BaseException as err:
            self._discard(err)
            raise
        if self.part[1] > 1:
            join_parts(self._run, self._facts, self.epoch, world=self.part[1])
        else:
            write_receipt(self._run, self.epoch, self._facts.id)

    def _refuse_gaps(self) -> None:
        missing = missing_rows(self._written, self._description, "maps", first=self.images.start)
        if missing:
            raise StoreError(f"Epoch {self.epoch} is not complete: {missing}.")
        if (self._description.layers or self._description.stages) and not self._layers_written.all():
            raise StoreError(
                f"Epoch {self.epoch} is not complete: the layers of {int((~self._layers_written).sum())} images were "
                "not written. Call write_layers for every image."
            )

    def _write_summary(self) -> None:
        file, summary = self._file, self._summary
        for dataset in self._datasets.values():
            dataset.finish()
        for name, column in summary.columns.items():
            write_array(file, f"images/{name}", epoch_field(f"images/{name}"), column)
        _write_cached_maps(file, summary.cached)
        if self.part[1] == 1:
            write_joint(file, joint_columns(self._description, summary.columns, summary.cached))
            part = {}
        else:
            rank, world = self.part
            part = {"part": rank, "parts": world, "first_image": self.images.start, "end_image": self.images.stop}
        write_identity(file, self._facts, {"epoch": self.epoch, "label": self.label, **part}, self._metrics)


def mark_rows(written: NDArray[np.bool_], start: int, count: int, *, what: str) -> None:
    """Mark rows start.. as written; refuses rows outside or a second time."""
    if start < 0 or start + count > len(written):
        raise ValueError(f"{what}: images {start} to {start + count - 1} are outside 0 to {len(written) - 1}.")
    if written[start : start + count].any():
        raise ValueError(f"{what}: some of images {start} to {start + count - 1} were written before.")
    written[start : start + count] = True


def missing_rows(written: NDArray[np.bool_], description: RunDescription, what: str, *, first: int = 0) -> str:
    """What was not written of (V, n) rows from image `first` on, in words; "" where nothing is missing."""
    missing = np.argwhere(~written)
    if not len(missing):
        return ""
    variant, row = missing[0]
    place = f"image {first + row} of variant {description.variant_names[variant]!r}"
    return f"{len(missing)} of {written.size} {what} were not written, the first is {place}"


def _declare(file: NewFile, description: RunDescription, count: int) -> dict[str, ChunkWriter]:
    """The datasets that are written block by block, of `count` images."""
    sizes = {**description.sizes, "N": count}
    paths = ["maps", "map_scale", "probabilities", *(["map_classes", "logits"] if description.kept_maps else [])]
    paths += ["mean_map"] if description.signed else []
    fields = {path: epoch_field(path) for path in paths}
    if not description.kept_maps:
        fields = {path: field.of_all_classes() for path, field in fields.items()}
    shapes = {path: field.shape(sizes) for path, field in fields.items()}
    shapes |= description.inner_shapes(count)
    return {
        path: ChunkWriter(file, path, fields.get(path) or epoch_field(path), shape) for path, shape in shapes.items()
    }


def _write_cached_maps(file: NewFile, cached: Columns) -> None:
    """Write the cached maps uncompressed and in one piece, so that rows are read at their offset without HDF5."""
    for kind in CACHED:
        path, quantised = f"cached/{kind}", cached[f"{kind}_map"]
        set_attributes(file.create_dataset(f"{path}_map", data=quantised), {"axes": epoch_field(f"{path}_map").axes})
        checks = np.array([block_checks(rows) for rows in quantised], np.uint32)
        for name, array in ((f"{path}_crc32", checks), (f"{path}_scale", cached[f"{kind}_scale"])):
            write_array(file, name, epoch_field(name), array)


def block_checks(rows: NDArray[np.uint8]) -> list[int]:
    """CRC-32 of every CACHED_BLOCK_ROWS rows (N, H, W)."""
    return [
        zlib.crc32(np.ascontiguousarray(rows[at : at + CACHED_BLOCK_ROWS]).data)
        for at in range(0, len(rows), CACHED_BLOCK_ROWS)
    ]
