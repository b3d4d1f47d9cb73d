"""The file of one epoch (or of one rank's part) while it is written: its datasets, its summary, its seal."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.format import layout
from store.format.atomic_file import NewFile, create_file, discard
from store.format.chunks import ChunkWriter, write_array
from store.format.description import RunDescription
from store.format.hdf5_file import PART, claim, refuse_sealed, seal_file, set_attributes, writing
from store.format.layout import RunFacts
from store.format.quantization import zero_point
from store.format.receipts import write_receipt
from store.format.schema import CACHED_BLOCK_ROWS, SCHEMA_VERSION, epoch_field
from store.write.summary import Columns, Summary, joint_columns

STREAMED = ("maps", "map_scale", "probabilities")


class EpochFileWriter:
    """An epoch's .part file; `put` may be called from several threads."""

    def __init__(self, run: Path, facts: RunFacts, epoch: int, *, part: tuple[int, int], images: range) -> None:
        name = layout.epoch_file(epoch) if part[1] == 1 else layout.part_file(epoch, *part)
        self.final = run / name
        self._run, self._facts, self._epoch, self._rank, self._images = run, facts, epoch, part, images
        self._temporary = self.final.with_name(self.final.name + PART)
        self._held = ExitStack()
        self._file: NewFile | None = None
        self._held.enter_context(claim(self._temporary))
        try:
            refuse_sealed(self.final)
            self._file = create_file(self._temporary)
            self._streams = self._declare(facts.description, self._file, len(images))
        except BaseException:
            self.discard()
            raise

    @staticmethod
    def _declare(description: RunDescription, file: NewFile, count: int) -> dict[str, ChunkWriter]:
        sizes = {**description.sizes, "N": count}
        shapes = {path: epoch_field(path).shape(sizes) for path in STREAMED}
        for name, (channels, height, width) in description.layers.items():
            shapes[f"layers/{name}/quantised"] = (count, channels, height, width)
            shapes[f"layers/{name}/scale"] = (count, channels)
        shapes |= {f"stages/{name}": (count, *shape) for name, shape in description.stages.items()}
        return {
            path: ChunkWriter(file, path, epoch_field(path), shape=shape, codec=description.codec)
            for path, shape in shapes.items()
        }

    @property
    def map_rows(self) -> int:
        """Images in a chunk of maps."""
        return self._streams["maps"].grid.step

    def put(self, path: str, strip: int, start: int, rows: NDArray) -> None:
        """Record rows start.. (counted in this part) of a dataset."""
        self._streams[path].put(strip, start, rows)

    def seal(self, summary: Summary, metrics: Mapping[str, float]) -> None:
        """Write the summary and the attributes, flush to disk and take the final name.

        Raises:
            WriteFailed: the file system refuses.
        """
        file, description = self._file, self._facts.description
        assert file is not None
        with writing(self.final):
            for stream in self._streams.values():
                stream.finish()
            for name, column in summary.columns.items():
                path = f"images/{name}"
                write_array(file, path, epoch_field(path), column, description.codec)
            write_cached_maps(file, summary.cached, description.codec)
            if self._rank[1] == 1:
                zero = zero_point(description.signed)
                found = joint_columns(
                    summary.labels, summary.columns, summary.cached, classes=len(description.classes), zero_point=zero
                )
                write_joint(file, found, description.codec)
            self._describe(file, metrics)
            file.finish()
        self._file = None
        seal_file(self._temporary, self.final)
        self._held.close()
        if self._rank[1] == 1:
            write_receipt(self._run, self._epoch, self._facts.id)

    def _describe(self, file: NewFile, metrics: Mapping[str, float]) -> None:
        set_attributes(file["maps"], {"zero_point": zero_point(self._facts.description.signed)})
        write_identity(file, self._facts, self._epoch, metrics)
        if self._rank[1] > 1:
            rank, world = self._rank
            set_attributes(
                file, {"part": rank, "parts": world, "first_image": self._images.start, "end_image": self._images.stop}
            )

    def discard(self) -> None:
        """Remove the unfinished file."""
        discard(self._file, self._temporary)
        self._file = None
        self._held.close()


def write_identity(file: NewFile, facts: RunFacts, epoch: int, metrics: Mapping[str, float]) -> None:
    """Write what tells an epoch's file from every other, and the metrics."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "kind": "epoch",
        "run_id": facts.id,
        "epoch": epoch,
        "planned_epochs": facts.description.planned_epochs,
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
        "sealed": 1,
    }
    set_attributes(file, values)
    set_attributes(file.require_group("metrics"), metrics)


def write_joint(file: NewFile, found: Columns, codec: str) -> None:
    """Write the datasets that need all images of a class."""
    for path, array in found.items():
        write_array(file, path, epoch_field(path), array, codec)


def write_cached_maps(file: NewFile, cached: Columns, codec: str) -> None:
    """Write the cached maps uncompressed and in one piece, with a check value for every block of rows."""
    for kind in ("true_class", "predicted_class"):
        path = f"cached/{kind}_map"
        codes = cached[f"{kind}_map"]
        file.create_dataset(path, data=codes)
        checks = np.array([block_checks(rows) for rows in codes], np.uint32)
        for name, array in ((f"{kind}_crc32", checks), (f"{kind}_scale", cached[f"{kind}_scale"])):
            write_array(file, f"cached/{name}", epoch_field(f"cached/{name}"), array, codec)


def block_checks(rows: NDArray[np.uint8]) -> list[int]:
    """CRC-32 of every CACHED_BLOCK_ROWS rows (N, H, W)."""
    return [
        zlib.crc32(np.ascontiguousarray(rows[at : at + CACHED_BLOCK_ROWS]).data)
        for at in range(0, len(rows), CACHED_BLOCK_ROWS)
    ]
