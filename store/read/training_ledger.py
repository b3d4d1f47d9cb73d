"""The training ledger: how each training image was predicted at each epoch, in files of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from store.errors import NotInRun
from store.format import layout
from store.format.description import RunDescription
from store.format.hdf5_file import folder_entries
from store.format.record_file import RecordFile
from store.format.schema import TRAINING_FIELDS
from store.read.epoch_data import check_identity, int64


@dataclass(frozen=True)
class TrainingLedger:
    """The ledger of the run in a folder; empty where none was recorded."""

    path: Path
    run_id: str
    description: RunDescription

    @property
    def epochs(self) -> tuple[int, ...]:
        """Epochs of the ledger, ascending."""
        names = (entry.name for entry in folder_entries(self.path / layout.TRAINING))
        return tuple(sorted(epoch for name in names if (epoch := layout.epoch_of(name)) is not None))

    def images(self) -> pd.DataFrame:
        """A row per training image: name and label; raises NotInRun where there is no ledger."""
        file = self._open(layout.TRAINING_IMAGES, "training_images", None)
        names = [name.decode() for name in file.all_rows("image_names")]
        return pd.DataFrame({"name": names, "label": int64(file.all_rows("labels"))}).rename_axis("training_image")

    def epoch(self, epoch: int) -> pd.DataFrame:
        """A row per training image: prediction, label_probability, margin and loss; raises NotInRun."""
        file = self._open(layout.training_file(epoch), "training_epoch", epoch)
        fields = [field for field in TRAINING_FIELDS if field.kind == "training_epoch"]
        return pd.DataFrame({field.name: int64(file.all_rows(field.path)) for field in fields})

    def _open(self, name: str, kind: str, epoch: int | None) -> RecordFile:
        try:
            file = RecordFile(self.path / name, kind)
        except FileNotFoundError as err:
            raise NotInRun(f"{name} is not in the run {str(self.path)!r}: its ledger has {self.epochs}.") from err
        check_identity(file, run_id=self.run_id, epoch=epoch)
        file.expect(self.description)
        return file
