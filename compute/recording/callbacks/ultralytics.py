"""`record_ultralytics`: an Ultralytics classifier recorded while it trains, on one device.

model = YOLO("yolo11n-cls.pt")
record_ultralytics(model, "runs/mine")
model.train(data="photos", epochs=10)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compute.recording.recorder import Recorder


def record_ultralytics(model: Any, path: str | Path, validation: Any = None, **options: Any) -> None:
    """Makes `model.train` record the averaged weights, which Ultralytics saves, after every epoch.

    Args:
        model: an `ultralytics.YOLO` whose task is classify.
        path: the run's folder.
        validation: the data set to record; that of the training's own validation unless given.
        options: as `Recorder`.
    """
    recorders: list[Recorder] = []

    def start(trainer: Any) -> None:
        network = trainer.ema.ema if getattr(trainer, "ema", None) else trainer.model
        data = trainer.test_loader.dataset if validation is None else validation
        names = trainer.data["names"]
        classes = [names[number] for number in sorted(names)] if isinstance(names, dict) else list(names)
        recorders.append(Recorder(path, network, data, **{"classes": classes, **options}))
        if not trainer.start_epoch:
            recorders[-1].record(0)

    def record(trainer: Any) -> None:
        metrics = trainer.label_loss_items(trainer.tloss, prefix="train")
        rate = trainer.optimizer.param_groups[0]["lr"]
        recorders[-1].record(trainer.epoch + 1, train_loss=float(next(iter(metrics.values()))), learning_rate=rate)

    def close(trainer: Any) -> None:
        with recorders.pop():  # which analyses, too
            pass

    for event, function in (("on_train_start", start), ("on_train_epoch_end", record), ("on_train_end", close)):
        model.add_callback(event, function)
