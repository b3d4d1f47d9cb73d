"""Making a run and taking it up again: `create_run` seals run.h5, `resume_run` gives the writer of its epochs."""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.errors import NotInRun, RunExists, RunMismatch
from store.format import layout
from store.format.atomic_file import create_file, discard
from store.format.chunks import ChunkWriter, write_array
from store.format.description import RunDescription
from store.format.hdf5_file import PART, claim, refuse_sealed, seal_file, set_attributes, writing
from store.format.receipts import write_missing_receipts, write_receipt
from store.format.schema import run_field
from store.format.selection import mark_rows, variant_index
from store.write.epoch_writer import EpochWriter
from store.write.join_parts import finish_parts


class NewRun:
    """A run being made: takes the images; see `create_run`."""

    def __init__(self, images: ChunkWriter, description: RunDescription) -> None:
        self._images, self._description = images, description
        self._written = np.zeros((len(description.variant_names), len(description.labels)), bool)
        self._checks = np.zeros(self._written.shape, np.uint32)  # of the images, to count those that a variant changed

    def write_images(self, variant: str, start: int, images: NDArray[np.uint8]) -> None:
        """Record images (n, h, w, 3) uint8 of a variant, from image `start` on.

        Raises:
            ValueError: another shape or dtype, images outside the run, or recorded before.
        """
        strip = variant_index(self._description.variant_names, variant)
        expected = (len(images), *self._description.image_shape, 3)
        if images.dtype != np.uint8 or images.shape != expected:
            raise ValueError(f"Images must be {expected} uint8, got {images.shape} {images.dtype}.")
        mark_rows(self._written[strip], start, len(images), what=f"images of variant {variant!r}")
        self._checks[strip, start : start + len(images)] = [zlib.crc32(image.tobytes()) for image in images]
        self._images.put(strip, start, images)

    def finish(self) -> NDArray[np.int32]:
        """How many images each variant changed, (V,); raises ValueError where an image was not written."""
        missing = np.argwhere(~self._written)
        if len(missing):
            strip, image = missing[0]
            raise ValueError(
                f"{len(missing)} images were not written, the first is image {image} of variant "
                f"{self._description.variant_names[strip]!r}. Call write_images for every variant and image."
            )
        self._images.finish()
        return (self._checks != self._checks[0]).sum(1).astype(np.int32)


@contextmanager
def create_run(path: str | Path, description: RunDescription) -> Iterator[NewRun]:
    """A new run at `path`, sealed when the block ends; nothing is left behind when it raises.

    Raises:
        RunExists: there is a run, or the remains of one, at `path`.
        WriteFailed: the file system refuses.
        ValueError: images are missing at the end of the block.
    """
    final = Path(path) / layout.RUN_FILE
    if final.exists():
        raise RunExists(f"There is a run at {str(path)!r} already. Resume it, or choose another name.")
    if any((final.parent / layout.EPOCHS).glob("*.h5")):
        raise RunExists(f"{str(path)!r} holds epochs but no {layout.RUN_FILE}. Move it away, or choose another name.")
    part = final.with_name(final.name + PART)
    with writing(final):
        final.parent.mkdir(parents=True, exist_ok=True)
    file, run_id = None, uuid.uuid4().hex
    with claim(part):
        try:
            refuse_sealed(final)
            file = create_file(part)
            with writing(final):
                layout.write_description(file, run_id, description)
            field = run_field("pixels")
            shape = field.shape(description.sizes)
            new = NewRun(ChunkWriter(file, "pixels", field, shape=shape, codec=description.codec), description)
            yield new
            changed, path = new.finish(), "variants/changed_images"
            with writing(final):
                write_array(file, path, run_field(path), changed, description.codec)
                set_attributes(file, {"sealed": 1})
                file.finish()
            seal_file(part, final)
        except BaseException:
            discard(file, part)
            raise
    write_receipt(final.parent, None, run_id)


def resume_run(
    path: str | Path, *, configuration: Mapping[str, Any] | None = None, free: Collection[str] = ()
) -> RunWriter:
    """The writer of an existing run's further epochs; what an interrupted writer left unsealed is removed.

    Ranks call it together, before any of them records: parts of an epoch that is not whole are removed, too.

    Args:
        configuration: has to be the run's own.
        free: dotted keys of it that may differ all the same, such as "data.source" beside a checksum of the data.

    Raises:
        RunNotFound, SchemaMismatch, DamagedFile: run.h5 is absent, of another version, or damaged.
        RunMismatch: `configuration` differs from the run's; names the keys and both values.
    """
    path = Path(path)
    facts = layout.read_description(path / layout.RUN_FILE)
    if configuration is not None:
        _refuse_differences(path, facts.description.configuration, configuration, free)
    # Only what the store writes itself: checkpoints are their writer's, which may be at work on one just now.
    for stale in sorted([*path.glob(f"*{PART}"), *(path / layout.EPOCHS).glob(f"*{PART}")]):
        with claim(stale, wait=False) as ours:
            if ours:
                stale.unlink(missing_ok=True)
    finish_parts(path, facts)
    write_missing_receipts(path, facts.id)
    return RunWriter(path, facts)


class RunWriter:
    """Writes epochs into a run; see `resume_run`."""

    def __init__(self, path: Path, facts: layout.RunFacts) -> None:
        self.path, self.facts = path, facts

    @property
    def sealed_epochs(self) -> tuple[int, ...]:
        """Epochs that are on disk under their final name."""
        names = ((self.path / layout.EPOCHS).glob("*.h5")) if (self.path / layout.EPOCHS).exists() else ()
        return tuple(sorted(epoch for name in names if (epoch := layout.epoch_of(name.name)) is not None))

    def epoch(
        self,
        epoch: int,
        metrics: Mapping[str, float] | None = None,
        *,
        threads: int | None = None,
        part: tuple[int, int] = (0, 1),
        images: range | None = None,
    ) -> EpochWriter:
        """The writer of one epoch, or of one rank's part of it.

        Args:
            epoch: 1-based.
            metrics: see `EpochWriter.set_metrics`.
            threads: threads that code and compress; default: the number of cores, at most 8.
            part: (rank, world); every rank writes its own `images`, consecutive and in the order of the ranks.
            images: the images of this part; default: all.

        Raises:
            RunExists: the epoch is sealed already.
            NotInRun: `images` lie outside the run.
        """
        if epoch < 1:
            raise NotInRun(f"Epochs count from 1, epoch {epoch} cannot be recorded.")
        if epoch in self.sealed_epochs:
            raise RunExists(f"Epoch {epoch} of {str(self.path)!r} is sealed already and is never written again.")
        count = len(self.facts.description.labels)
        images = images if images is not None else range(count)
        if not len(images) or images.step != 1 or images[0] < 0 or images[-1] >= count:
            raise NotInRun(f"Images {images} are not a part of the run's {count} images, 0 to {count - 1}.")
        if part[1] == 1 and len(images) != count:
            raise NotInRun(f"A single part must hold all {count} images, got {images}. Name the part as (rank, world).")
        writer = EpochWriter(self.path, self.facts, epoch, threads=threads, part=part, images=images)
        writer.set_metrics(metrics or {})
        return writer


def _refuse_differences(
    path: Path, recorded: Mapping[str, Any], asked: Mapping[str, Any], free: Collection[str]
) -> None:
    before, after = _flat(recorded), _flat(json.loads(json.dumps(dict(asked))))
    # Compared as they are written: NaN, which a setting may be, is not equal to itself.
    texts = [{key: json.dumps(value) for key, value in side.items()} for side in (before, after)]
    keys = (before.keys() | after.keys()) - set(free)
    different = sorted(key for key in keys if texts[0].get(key) != texts[1].get(key))
    if different:
        listed = "; ".join(
            f"{key}: {before.get(key, 'absent')!r} before, {after.get(key, 'absent')!r} now" for key in different
        )
        raise RunMismatch(
            f"The run at {str(path)!r} was made with another configuration ({listed}). "
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
