"""`LightningRecorder`: a callback of Lightning's Trainer that records every epoch.

Trainer(callbacks=[LightningRecorder("runs/mine", mean=MEAN, sd=SD)])
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compute.recording.recorder import Recorder

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
elif "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:  # the library's other name
    from pytorch_lightning import Callback
else:
    from lightning.pytorch import Callback


class LightningRecorder(Callback):
    """Records the network before the first step, and after every epoch with the metrics that the module logs.

    The module's `forward` returns logits or class maps. In a resumed fit, recording goes on.

    Args:
        path: the run's folder.
        validation: the data set to record; the trainer's first validation loader unless given.
        options: as `Recorder`.
    """

    def __init__(self, path: str | Path, validation: Any = None, **options: Any) -> None:
        self.path, self.validation, self.options = path, validation, options
        self._recorder: Recorder | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the recorder, once the module is on its device."""
        loaders = trainer.val_dataloaders
        first = loaders[0] if isinstance(loaders, list) and loaders else loaders
        self._recorder = Recorder(
            self.path, pl_module, first if self.validation is None else self.validation, **self.options
        )
        if trainer.current_epoch == 0:
            self._recorder.record(0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch; Lightning counts from 0, runs count from 1."""
        if self._recorder is None:
            return
        metrics: dict[str, Any] = {
            name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1
        }
        if trainer.optimizers:
            metrics.setdefault("learning_rate", trainer.optimizers[0].param_groups[0]["lr"])
        self._recorder.record(trainer.current_epoch + 1, **_without_own(metrics))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the last file, and compute the analysis."""
        if self._recorder is not None:
            self._recorder.analyse()
            self._recorder.close()


def _without_own(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics without those that the recorder measures itself."""
    return {name: value for name, value in metrics.items() if not name.startswith("validation_")}
