"""`HuggingFaceRecorder`: a callback of transformers' Trainer that records every epoch.

Trainer(..., callbacks=[HuggingFaceRecorder("runs/mine", validation, mean=MEAN, sd=SD)])
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compute.recording.recorder import Recorder

NAMES = {"loss": "train_loss", "learning_rate": "learning_rate"}  # of the Trainer's log, and of the record


class HuggingFaceRecorder(TrainerCallback):
    """Records the network before the first step, and after every epoch with the loss last logged.

    Args:
        path: the run's folder.
        validation: the data set to record; the Trainer's eval_dataset unless given.
        options: as `Recorder`.
    """

    def __init__(self, path: str | Path, validation: Any = None, **options: Any) -> None:
        self.path, self.validation, self.options = path, validation, options
        self._recorder: Recorder | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Make the recorder, once the model is on its device."""
        validation = more.get("eval_dataloader") if self.validation is None else self.validation
        self._recorder = Recorder(self.path, more["model"], validation, **self.options)
        if not state.global_step:
            self._recorder.record(0)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Record the epoch."""
        if self._recorder is None or state.epoch is None:
            return
        logged: dict[str, Any] = {}
        for entry in state.log_history:
            logged |= {NAMES[name]: float(value) for name, value in entry.items() if name in NAMES}
        self._recorder.record(round(state.epoch), **logged)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Wait for the last file, and compute the analysis."""
        if self._recorder is not None:
            self._recorder.analyse()
            self._recorder.close()
