"""A run's folder as a reader sees it: what run.h5 says, which epochs are there, which of them are damaged."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import DamagedFile, NotInRun, RunNotFound, SchemaMismatch, StoreError
from store.format import layout
from store.format.description import Variant
from store.format.hdf5_file import damaged
from store.format.quantization import zero_point
from store.format.receipts import read_receipt
from store.format.selection import Selection, rows_of, variant_index
from store.read.epoch_parts import open_epoch
from store.read.sealed_file import EpochData, HandleCache, Opener, SealedFile
from store.read.source import Source, State

T = TypeVar("T")


def _opener(source: Source) -> Opener:
    # Not a method: a run in a circle with its handles would keep its files open until garbage is collected.
    def opened(path: Path, run_id: str, epoch: int) -> EpochData:
        data = open_epoch(path, run_id, epoch)
        source.in_use(path, data)
        return data

    return opened


class RunFolder:
    """The facts of a run and its epochs; `Run` adds the data."""

    def __init__(self, source: Source) -> None:
        self.source, self.path = source, source.folder
        path = source.folder
        source.in_use(source.fetch_run(), self)
        facts = layout.read_description(path / layout.RUN_FILE)
        receipt = read_receipt(path, None)
        if receipt is not None and receipt["run_id"] != facts.id:
            raise damaged(path / layout.RUN_FILE, f"it is of run {facts.id!r}, its receipt of {receipt['run_id']!r}")
        self.id, self.description = facts.id, facts.description
        self.has_masks, self.has_boxes = facts.has_masks, facts.has_boxes
        self.kept_maps = facts.kept_maps  # strongest maps of each image that are recorded; 0 = all
        self._file = SealedFile(path / layout.RUN_FILE, "run")
        self._handles = HandleCache(_opener(source), source.open_files)
        self._known: dict[int, State] = {}
        self.damaged: dict[int, str] = {}
        self.refresh()

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self.description.name

    @property
    def epochs(self) -> tuple[int, ...]:
        """Sealed, readable epochs, ascending."""
        return tuple(epoch for epoch in sorted(self._known) if epoch not in self.damaged)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants; the first is "clean"."""
        return self.description.variant_names

    def variant(self, name: str) -> Variant:
        """What is known about a variant; raises NotInRun."""
        return self.description.variants[self.variant_index(name)]

    @cached_property
    def changed_images(self) -> dict[str, int]:
        """How many images each variant changed."""
        return dict(zip(self.variants, self._file.strip("variants/changed_images").tolist(), strict=True))

    @cached_property
    def classes(self) -> pd.DataFrame:
        """A row per class: id, name, group; the index is the class index."""
        entries = [(entry.id, entry.name, entry.group) for entry in self.description.classes]
        return pd.DataFrame(entries, columns=["id", "name", "group"]).rename_axis("class_index")

    @property
    def labels(self) -> NDArray[np.int64]:
        """The true class of each image, (N,), ascending."""
        return self.description.labels.astype(np.int64)

    @property
    def image_names(self) -> tuple[str, ...]:
        """Name of each image in its data set."""
        return self.description.image_names

    @property
    def image_shape(self) -> tuple[int, int]:
        """(h, w) of the images."""
        return self.description.image_shape

    @property
    def map_shape(self) -> tuple[int, int]:
        """(H, W) of the class maps."""
        return self.description.map_shape

    @property
    def signed(self) -> bool:
        """Whether class maps may be negative."""
        return self.description.signed

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Recorded inner layers."""
        return tuple(self.description.layers)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Recorded stages of the encoder."""
        return tuple(self.description.stages)

    @property
    def configuration(self) -> dict[str, Any]:
        """The resolved configuration."""
        return dict(self.description.configuration)

    @property
    def provenance(self) -> dict[str, Any]:
        """Code, library versions and data checksums."""
        return dict(self.description.provenance)

    @property
    def codec(self) -> str:
        """How chunks are compressed: "zstd" or "gzip"."""
        return self.description.codec

    @property
    def precision(self) -> str:
        """How the steps of the maps were chosen; see store.codec."""
        return self.description.precision

    @property
    def planned_epochs(self) -> int:
        """Epochs that the run is to have; 0 = not known."""
        return self.description.planned_epochs

    @property
    def complete(self) -> bool:
        """Whether every planned epoch is sealed and readable."""
        return 0 < self.planned_epochs <= len(self.epochs)

    @property
    def zero_point(self) -> int:
        """The byte that stands for 0 in maps and cached maps."""
        return zero_point(self.signed)

    def on_disk(self, purpose: str) -> Path:
        """The run's own folder; raises StoreError where the run lies at a URL, and only a cache of it is here."""
        if not self.source.is_local:
            raise StoreError(
                f"{purpose} needs the whole run in a folder, and {self.name!r} is at a URL. "
                'Fetch it first: "python -m store copy URL FOLDER".'
            )
        return self.path

    def refresh(self) -> bool:
        """Look for new, replaced and lost epochs; returns whether anything changed.

        Raises:
            RunNotFound: the run was moved or deleted since it was opened.
        """
        found, receipts = self.source.look()
        if self._known and not found and not (self.path / layout.RUN_FILE).exists():
            raise RunNotFound(f"The run {str(self.path)!r} was moved or deleted since it was opened. Open it anew.")
        lost = receipts - found.keys()
        changed = {epoch for epoch, state in found.items() if self._known.get(epoch) != state}
        if not changed and found.keys() == self._known.keys() and lost <= self.damaged.keys():
            return False
        damaged = {epoch: why for epoch, why in self.damaged.items() if epoch in found and epoch not in changed}
        for epoch in lost:
            damaged[epoch] = (
                f"Epoch {epoch} was sealed, but its file is gone. Restore it from a copy, or record it again."
            )
        for epoch in sorted(changed):
            try:
                if self.source.is_local:  # elsewhere, opening means fetching: later, when it is asked for
                    self._open(epoch)
            except (DamagedFile, SchemaMismatch) as err:
                damaged[epoch] = str(err)
        # Replaced, never altered: another thread sees the old set or the new one.
        self._known, self.damaged = found, damaged
        return True

    def _open(self, epoch: int) -> EpochData:
        return self._handles.get(self.source.fetch_epoch(epoch), run_id=self.id, epoch=epoch)

    def read(self, epoch: int, query: Callable[[EpochData], T]) -> T:
        """What `query` makes of an epoch's data; an epoch found damaged is remembered in `damaged`.

        Raises:
            NotInRun: there is no such epoch.
            DamagedFile: the file does not hold what was sealed.
        """
        if epoch in self.damaged:
            raise DamagedFile(self.damaged[epoch])
        if epoch not in self._known:
            held = f"it holds {len(self.epochs)} epochs" + (
                f", {self.epochs[0]} to {self.epochs[-1]}" if self.epochs else ""
            )
            raise NotInRun(f"Epoch {epoch} is not in the run {str(self.path)!r}: {held}.")
        try:
            return query(self._open(epoch))
        except DamagedFile as err:
            self.damaged = {**self.damaged, epoch: str(err)}
            raise

    def variant_index(self, variant: str) -> int:
        """Place of a variant in `variants`; raises NotInRun."""
        return variant_index(self.variants, variant)

    def image_rows(self, images: Selection) -> NDArray[np.int64]:
        """Row numbers of images; raises NotInRun."""
        return rows_of(images, len(self.description.labels), what="image")

    def class_rows(self, classes: Selection) -> NDArray[np.int64] | None:
        """Class numbers, None for all; raises NotInRun."""
        return None if classes is None else rows_of(classes, len(self.description.classes), what="class")
