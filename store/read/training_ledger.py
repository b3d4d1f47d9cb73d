"""The training ledger: how each training image was predicted at each epoch, in files of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import NotInRun
from store.format import layout
from store.format.description import RunFacts
from store.format.hdf5_file import damaged, folder_entries
from store.format.record_file import RecordFile
from store.format.schema import TRAINING_FIELDS
from store.read.epoch_data import check_identity, int64


@dataclass(frozen=True)
class TrainingLedger:
    """The ledger of the run in a folder; empty where none was recorded."""

    path: Path
    facts: RunFacts

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs of the ledger, ascending."""
        return layout.epochs_among(entry.name for entry in folder_entries(self.path / layout.TRAINING))

    def images(self) -> pd.DataFrame:
        """A row per training image: name, label and, where labels were exchanged on purpose, original_label.

        Raises:
            NotInRun: there is no ledger.
        """
        file = self._open(layout.TRAINING_IMAGES, "training_images", None)
        names = [name.decode() for name in file.all_rows("image_names")]
        table = pd.DataFrame({"name": names, "label": int64(file.all_rows("labels"))}).rename_axis("training_image")
        if file.has("original_labels"):
            table["original_label"] = int64(file.all_rows("original_labels"))
        return table

    def image_sha256(self) -> NDArray[np.uint8] | None:
        """SHA-256 of each training image's pixels as decoded, (M, 32); None where the ledger does not say it.

        Raises:
            NotInRun: there is no ledger.
        """
        file = self._open(layout.TRAINING_IMAGES, "training_images", None)
        return file.all_rows("image_sha256") if file.has("image_sha256") else None

    def epoch(self, epoch: int) -> pd.DataFrame:
        """A row per training image: prediction, label_probability, margin, loss and, where recorded, error_norm.

        Raises:
            NotInRun: the ledger lacks the epoch.
        """
        file = self._open(layout.training_file(epoch), "training_epoch", epoch)
        paths = [field.path for field in TRAINING_FIELDS if field.kind == "training_epoch" and file.has(field.path)]
        return pd.DataFrame({path: int64(file.all_rows(path)) for path in paths})

    def thumbnails(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The numbers (S,) of the training images that were kept to be looked at, and their pixels (S, h, w, 3).

        Raises:
            NotInRun: none were kept, as before the end of the training.
            DamagedFile: an image is not one of the ledger.
        """
        file = self._open(layout.TRAINING_THUMBNAILS, "training_thumbnails", None)
        images = int64(file.all_rows("images"))
        listed = self._open(layout.TRAINING_IMAGES, "training_images", None).training_images
        if images.min() < 0 or images.max() >= listed or (np.diff(images) <= 0).any():
            raise damaged(file.path, f"images: they are not ascending numbers of the {listed} training images")
        return images, file.all_rows("pixels")

    def _open(self, name: str, kind: str, epoch: int | None) -> RecordFile:
        try:
            file = RecordFile(self.path / name, kind)
        except FileNotFoundError as err:
            raise NotInRun(f"{name} is not in the run {str(self.path)!r}: its ledger has {self.epochs}.") from err
        check_identity(file, run_id=self.facts.id, epoch=epoch)
        file.expect(self.facts.description)
        return file
