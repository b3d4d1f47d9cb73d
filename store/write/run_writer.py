"""Starting and resuming a run: `create_run` completes run.h5, `resume_run` gives the writer of its epochs."""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.errors import BadMetric, NotInRun, RunExists, RunMismatch
from store.format import layout
from store.format.chunks import ChunkWriter, write_array
from store.format.description import RunDescription, RunFacts, read_description, texts, write_description
from store.format.hdf5_file import PART, NewFile, atomic_file, claim, set_identity, write_errors, write_once
from store.format.receipts import write_missing_receipts, write_receipt
from store.format.schema import field_of, run_field, thumbnail_shape
from store.write.epoch_writer import EpochWriter, mark_rows, missing_rows
from store.write.join_parts import finish_parts


class NewRun:
    """A run whose images are being written; see `create_run`."""

    def __init__(self, file: NewFile, description: RunDescription) -> None:
        self._file, self._description = file, description
        field = run_field("pixels")
        self._pixels = ChunkWriter(file, "pixels", field, field.shape(description.sizes))
        shape = (len(description.variants), len(description.labels))
        self._written = np.zeros(shape, bool)
        self._checks = np.zeros(shape, np.uint32)  # CRC-32 of each image, to count those that a variant changed
        self._sha256 = np.zeros((shape[1], 32), np.uint8)

    def write_images(self, variant: str, start: int, images: NDArray[np.uint8]) -> None:
        """Record images (n, h, w, 3) uint8 of a variant, from image `start` on.

        Raises:
            ValueError: another shape or dtype, images outside the run, or recorded before.
        """
        index = self._description.variant_index(variant)
        expected = (len(images), *self._description.image_shape, 3)
        if images.dtype != np.uint8 or images.shape != expected:
            raise ValueError(f"Images must be {expected} uint8, got {images.shape} {images.dtype}.")
        mark_rows(self._written[index], start, len(images), what=f"images of variant {variant!r}")
        # Hashed in place: copies as bytes took as long as the CRC-32.
        images, rows = np.ascontiguousarray(images), slice(start, start + len(images))
        self._checks[index, rows] = [zlib.crc32(image) for image in images]
        if index == 0:
            digests = b"".join(hashlib.sha256(image).digest() for image in images)
            self._sha256[rows] = np.frombuffer(digests, np.uint8).reshape(-1, 32)
        self._pixels.put(index, start, images)

    def finish(self) -> None:
        """Write what follows from the images; raises ValueError naming the first that was not written."""
        missing = missing_rows(self._written, self._description, "images")
        if missing:
            raise ValueError(f"{missing}. Call write_images for every variant and image.")
        self._pixels.finish()
        changed = (self._checks != self._checks[0]).sum(1).astype(np.int32)
        for path, array in (("image_sha256", self._sha256), ("variants/changed_images", changed)):
            write_array(self._file, path, run_field(path), array)


@contextmanager
def create_run(path: str | Path, description: RunDescription) -> Iterator[NewRun]:
    """A new run at `path`, complete when the block ends; nothing is left behind when it raises.

    Raises:
        RunExists: there is a run, or what is left of one, at `path`.
        WriteFailed: the file system refuses to write.
        ValueError: images are missing at the end of the block.
    """
    final = Path(path) / layout.RUN_FILE
    if final.exists():
        raise RunExists(f"There is a run at {str(path)!r} already. Resume it, or choose another name.")
    if any((final.parent / layout.EPOCHS).glob("*.h5")):
        raise RunExists(
            f"{str(path)!r} contains epochs but no {layout.RUN_FILE}. Move it away, or choose another name."
        )
    run_id = uuid.uuid4().hex
    with write_once(final) as file:
        with write_errors(final):
            write_description(file, run_id, description)
        new = NewRun(file, description)
        yield new
        with write_errors(final):
            new.finish()
    write_receipt(final.parent, None, run_id)


def resume_run(
    path: str | Path,
    *,
    configuration: Mapping[str, Any] | None = None,
    free: Collection[str] = (),
    planned_epochs: int | None = None,
) -> RunWriter:
    """The writer of an existing run's further epochs; what an interrupted writer left incomplete is removed.

    Ranks call it together, before any of them records: parts of an epoch that lost a rank are removed, too.

    Args:
        configuration: must equal the run's own.
        free: dotted keys of it that may differ nevertheless, such as "data.source" beside a checksum of the data.
        planned_epochs: of a training that goes on for more epochs than run.h5 says; the epochs that follow note it.

    Raises:
        RunNotFound, SchemaMismatch, DamagedFile: run.h5 is absent, of another version, or damaged.
        RunMismatch: `configuration` differs from the run's; names the keys and both values.
    """
    path = Path(path)
    facts = read_description(path / layout.RUN_FILE)
    if configuration is not None:
        _refuse_differences(path, facts.description.configuration, configuration, free)
    if planned_epochs is not None:
        facts = replace(facts, description=replace(facts.description, planned_epochs=planned_epochs))
    # Only what the store writes itself: another program may be writing a checkpoint just now.
    for folder in (path, path / layout.EPOCHS, path / layout.TRAINING):
        for stale in sorted(folder.glob(f"*{PART}")):
            with claim(stale, wait=False) as ours:
                if ours:
                    stale.unlink(missing_ok=True)
    finish_parts(path, facts)
    write_missing_receipts(path, facts.id)
    return RunWriter(path, facts)


class RunWriter:
    """Writes epochs into a run; see `resume_run`."""

    def __init__(self, path: Path, facts: RunFacts) -> None:
        self.path, self.facts = path, facts

    @property
    def complete_epochs(self) -> tuple[int, ...]:
        """Epochs that are on disk under their final name."""
        return layout.epochs_among(path.name for path in (self.path / layout.EPOCHS).glob("*.h5"))

    def epoch(
        self,
        epoch: int,
        metrics: Mapping[str, float] | None = None,
        *,
        label: str = "",
        threads: int | None = None,
        part: tuple[int, int] = (0, 1),
        images: range | None = None,
    ) -> EpochWriter:
        """The writer of one epoch, or of one rank's part of it.

        Args:
            epoch: from 0, the network before its first step, on; epochs need not be consecutive.
            metrics: see `EpochWriter.set_metrics`.
            label: a name for people, such as "best" or "step 12000".
            threads: threads that quantise and compress; default: the number of cores, at most 8.
            part: (rank, world); every rank writes its own `images`, consecutive and in the order of the ranks.
            images: the images of this part; default: all.

        Raises:
            RunExists: the epoch is complete already.
            NotInRun: `images` lie outside the run.
            BadMetric: see `EpochWriter.set_metrics`.
        """
        if epoch < 0:
            raise NotInRun(f"Epochs count from 0, epoch {epoch} cannot be recorded.")
        if epoch in self.complete_epochs:
            raise RunExists(f"Epoch {epoch} of {str(self.path)!r} is complete already and is never written again.")
        count = len(self.facts.description.labels)
        images = images if images is not None else range(count)
        if not len(images) or images.step != 1 or images[0] < 0 or images[-1] >= count:
            raise NotInRun(f"Images {images} are not a part of the run's {count} images, 0 to {count - 1}.")
        if part[1] == 1 and len(images) != count:
            raise NotInRun(
                f"A single part must contain all {count} images, got {images}. Name the part as (rank, world)."
            )
        writer = EpochWriter(self.path, self.facts, epoch, threads=threads, part=part, images=images, label=label)
        try:
            writer.set_metrics(metrics or {})
        except BadMetric:
            writer.abort()
            raise
        return writer

    def write_training_images(
        self,
        names: Sequence[str],
        labels: NDArray,
        sha256: NDArray[np.uint8] | None = None,
        original_labels: NDArray | None = None,
    ) -> None:
        """Record which images the network trains on.

        Args:
            names: (M).
            labels: (M,), as the network is taught them.
            sha256: of their pixels, (M, 32).
            original_labels: (M,), where some labels were exchanged on purpose.
        """
        optional = {"image_sha256": sha256, "original_labels": original_labels}
        arrays = {"image_names": texts(names), "labels": labels}
        arrays |= {path: array for path, array in optional.items() if array is not None}
        self._write_training(layout.TRAINING_IMAGES, "training_images", arrays, {})

    def write_training_epoch(self, epoch: int, columns: Mapping[str, NDArray]) -> None:
        """Record the columns of each training image (M,): prediction, label_probability, margin, loss, error_norm."""
        self._write_training(layout.training_file(epoch), "training_epoch", columns, {"epoch": epoch})

    def write_training_thumbnails(self, images: NDArray, pixels: NDArray[np.uint8]) -> None:
        """Keep some training images (S,), ascending, whose pixels are (S, h, w, 3); they are made smaller.

        They follow from the ledger, so they replace those that were kept before.
        """
        arrays = {"images": images, "pixels": thumbnails(pixels)}
        self._write_training(layout.TRAINING_THUMBNAILS, "training_thumbnails", arrays, {})

    def _write_training(self, name: str, kind: str, arrays: Mapping[str, NDArray], values: Mapping[str, Any]) -> None:
        with atomic_file(self.path / name) as file:
            for path, array in arrays.items():
                write_array(file, path, field_of(kind, path), np.asarray(array))
            set_identity(file, kind, self.facts.id, values)


def thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (n, h, w, 3) reduced by a whole factor to at most THUMBNAIL pixels a side: means of square blocks."""
    height, width = thumbnail_shape(*pixels.shape[1:3])
    factor = pixels.shape[1] // height
    blocks = pixels[:, : height * factor, : width * factor].reshape(-1, height, factor, width, factor, 3)
    return np.rint(blocks.mean((2, 4), dtype=np.float32)).astype(np.uint8)


def _refuse_differences(
    path: Path, recorded: Mapping[str, Any], asked: Mapping[str, Any], free: Collection[str]
) -> None:
    before, after = _flat(recorded), _flat(json.loads(json.dumps(dict(asked))))
    # Compared as they are written: NaN, which a setting may be, is not equal to itself.
    written = [{key: json.dumps(value) for key, value in side.items()} for side in (before, after)]
    keys = (before.keys() | after.keys()) - set(free)
    different = sorted(key for key in keys if written[0].get(key) != written[1].get(key))
    if different:
        listed = "; ".join(
            f"{key}: {before.get(key, 'absent')!r} before, {after.get(key, 'absent')!r} now" for key in different
        )
        raise RunMismatch(
            f"The run at {str(path)!r} was recorded with a different configuration ({listed}). "
            "Use the same settings to resume it, or choose another name."
        )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _flat(inner, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = inner
    return found
