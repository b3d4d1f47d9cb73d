"""A run that is open: its facts, its epochs as they appear, and reading the data of one of them.

Safe under threads. New epochs appear on `refresh`; a damaged one is listed in `damaged`, and the rest stays usable.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import DamagedFile, NotInRun, RunNotFound, SchemaMismatch, StoreError
from store.format import layout
from store.format.description import Variant, open_run_file
from store.format.hdf5_file import damaged
from store.format.receipts import read_receipt
from store.read.epoch_data import EpochCache, EpochData, epoch_opener
from store.read.source import Source, State, path_state

T = TypeVar("T")
Float32 = NDArray[np.float32]


class OpenedRun:
    """A run's own facts and its epochs; `store.read.run.Run` adds what was recorded in them."""

    def __init__(self, source: Source) -> None:
        self.source, self.path = source, source.folder
        source.in_use(source.fetch_run(), self)
        run_file = self.path / layout.RUN_FILE
        self._file, facts = open_run_file(run_file)
        receipt = read_receipt(self.path, None)
        if receipt is not None and receipt["run_id"] != facts.id:
            raise damaged(run_file, f"it is of run {facts.id!r}, its receipt of {receipt['run_id']!r}")
        self.facts, self.id, self.description = facts, facts.id, facts.description
        self._cache = EpochCache(epoch_opener(source, facts), source.open_files)
        self._known: dict[int, State] = {}
        self._run_state = path_state(run_file)
        self.damaged: dict[int, str] = {}
        self.refresh()

    def state(self, epoch: int | None = None) -> tuple[str | int, ...]:
        """The key under which results about the run, or about one epoch of it, may be cached.

        It changes when run.h5 or the epoch's files are written again or exchanged, once `refresh` has noticed.

        >>> run.state(3) == run.state(3) != run.state(2)
        True
        """
        of_epoch = () if epoch is None else self._known.get(epoch, ("", 0))
        return str(self.path), self.id, *self._run_state, *of_epoch

    @property
    def states(self) -> tuple[str | int, ...]:
        """The `state` of the run with all of its epochs and its analysis."""
        known = self._known
        analysis = path_state(self.path / layout.ANALYSIS_FILE)
        return (*self.state(), *self.epochs, *(tag for tag, _ in known.values()), *analysis)

    def recording(self, epoch: int) -> tuple[int, str]:
        """Size of an epoch's file in bytes, and its SHA-256 according to its receipt, empty if unknown.

        >>> size, sha256 = run.recording(3)
        >>> size > 10_000, len(sha256)
        (True, 64)
        """
        state = self._known[epoch]
        return state[1], self.source.recorded_sha256(epoch, state)

    @property
    def name(self) -> str:
        """The name under which it was recorded."""
        return self.description.name

    @property
    def epochs(self) -> tuple[int, ...]:
        """Complete, readable epochs, ascending."""
        return tuple(epoch for epoch in sorted(self._known) if epoch not in self.damaged)

    @property
    def epochs_at_hand(self) -> tuple[int, ...]:
        """The `epochs` whose files are on this machine: of a run at a URL, those that were fetched."""
        return tuple(epoch for epoch in self.epochs if self.source.has_epoch(epoch))

    def epoch_label(self, epoch: int) -> str:
        """The name of an epoch for people, such as "best" or "step 12000"; empty where it has none.

        >>> run.epoch_label(3)
        ''
        """
        return self.read(epoch, lambda data: str(data.facts.get("label", "")))

    @property
    def planned_epochs(self) -> int:
        """How many epochs of training are planned, 0 = unknown; after a continued training, by its last epoch."""
        planned, last = self.description.planned_epochs, max(self.epochs, default=0)
        if 0 < planned < last:  # only then is the epoch opened: of a run at a URL, that fetches its file
            with suppress(DamagedFile):
                return max(planned, self.read(last, lambda data: int(data.facts.get("planned_epochs", 0))))
        return planned

    @property
    def complete(self) -> bool:
        """Whether every planned epoch is complete and readable."""
        return 0 < self.planned_epochs <= sum(epoch > 0 for epoch in self.epochs)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants; the first is "clean"."""
        return self.description.variant_names

    def variant(self, name: str) -> Variant:
        """What is known about a variant; raises NotInRun.

        >>> run.variant("blur3").label
        'blur 3×3'
        """
        return self.description.variants[self.variant_index(name)]

    @cached_property
    def changed_images(self) -> dict[str, int]:
        """How many images each variant changed."""
        return dict(zip(self.variants, self._file.all_rows("variants/changed_images").tolist(), strict=True))

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
    def has_maps(self) -> bool:
        """Whether the run has class maps; without them the one cell of a class is its logit."""
        return self.description.has_maps

    @property
    def signed(self) -> bool:
        """Whether class maps may be negative."""
        return self.description.signed

    @property
    def kept_maps(self) -> int:
        """How many maps of each image are recorded, besides that of its true class; 0 = the maps of all classes."""
        return self.description.kept_maps

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Recorded inner layers."""
        return tuple(self.description.layers)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Recorded stages of the encoder, from the input inwards: maps only shrink, and the stem comes first."""
        stages = self.description.stages
        return tuple(sorted(stages, key=lambda name: (-stages[name][0], name != "stem", name)))

    @property
    def configuration(self) -> dict[str, Any]:
        """The resolved configuration."""
        return dict(self.description.configuration)

    @property
    def provenance(self) -> dict[str, Any]:
        """Code, library versions and data checksums."""
        return dict(self.description.provenance)

    def on_disk(self, purpose: str) -> Path:
        """The run's own folder; raises StoreError for a run at a URL, which is only cached on this machine.

        >>> run.on_disk("Copying by hand").name
        'tiny'
        """
        if not self.source.is_local:
            raise StoreError(
                f"{purpose} needs the whole run in a folder, and {self.name!r} is at a URL. "
                'Fetch it first: "python -m store copy URL FOLDER".'
            )
        return self.path

    def refresh(self) -> bool:
        """Look for new, replaced and lost epochs; return whether anything changed.

        Raises:
            RunNotFound: the run was moved or deleted since it was opened.

        >>> run.refresh()
        False
        """
        found, receipts = self.source.look()
        if self._known and not found and not (self.path / layout.RUN_FILE).exists():
            raise RunNotFound(f"The run {str(self.path)!r} was moved or deleted since it was opened. Open it again.")
        lost = receipts - found.keys()
        changed = {epoch for epoch, state in found.items() if self._known.get(epoch) != state}
        if not changed and found.keys() == self._known.keys() and lost <= self.damaged.keys():
            return False
        damaged = {epoch: why for epoch, why in self.damaged.items() if epoch in found and epoch not in changed}
        for epoch in lost:
            damaged[epoch] = (
                f"Epoch {epoch} was complete, but its file is gone. Restore it from a copy, or record it again."
            )
        for epoch in sorted(changed):
            try:
                if self.source.is_local:  # of a remote run, opening means fetching: that waits until the epoch is read
                    self._open(epoch)
            except (DamagedFile, SchemaMismatch) as err:
                damaged[epoch] = str(err)
        # Replaced, never changed: another thread sees the old set or the new one.
        self._known, self.damaged = found, damaged
        return True

    def _open(self, epoch: int) -> EpochData:
        return self._cache.get(self.source.fetch_epoch(epoch), epoch)

    def epoch_number(self, epoch: int) -> int:
        """The epoch that a number means: itself, or -1 for the last one, -2 for the one before it; raises NotInRun.

        >>> run.epoch_number(-1)
        3
        """
        if not isinstance(epoch, Real):
            raise NotInRun(f"Epoch {epoch!r} is not a number. Epochs are counted; -1 is the last one.")
        if epoch >= 0:
            return epoch
        if -epoch > len(self.epochs):
            raise NotInRun(f"Epoch {epoch} counts from the end, and {str(self.path)!r} has {len(self.epochs)} epochs.")
        return self.epochs[epoch]

    def read(self, epoch: int, query: Callable[[EpochData], T]) -> T:
        """The result of `query` for an epoch's data; a damaged epoch is noted in `damaged`.

        Raises:
            NotInRun: there is no such epoch.
            DamagedFile: the file's content is not what was written.

        >>> run.read(-1, lambda data: data.has("mean_map"))
        False
        """
        epoch = self.epoch_number(epoch)
        if epoch in self.damaged:
            raise DamagedFile(self.damaged[epoch])
        if epoch not in self._known:
            range_ = f", {self.epochs[0]} to {self.epochs[-1]}" if self.epochs else ""
            raise NotInRun(
                f"Epoch {epoch} is not in the run {str(self.path)!r}: it has {len(self.epochs)} epochs{range_}."
            )
        try:
            return query(self._open(epoch))
        except DamagedFile as err:
            self.damaged = {**self.damaged, epoch: str(err)}
            raise

    def variant_index(self, variant: str) -> int:
        """Index of a variant in `variants`; raises NotInRun.

        >>> run.variant_index("gray")
        1
        """
        return self.description.variant_index(variant)
