"""Two epochs of the real training, recorded."""

import numpy as np
import pytest
from PIL import Image

from store import open_run


@pytest.mark.slow
def test_every_epoch_of_a_training_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    ultralytics = pytest.importorskip("ultralytics")
    from compute.recording.callbacks.ultralytics import record_ultralytics

    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 3)):
        for name in ("ant", "bee"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = np.full((64, 64, 3), rng.integers(0, 256, 3), np.uint8)
                image[:32, :32] = rng.integers(0, 256, 3)
                Image.fromarray(image).save(folder / f"{number}.png")
    model = ultralytics.YOLO("yolo11n-cls.yaml", verbose=False)
    record_ultralytics(model, tmp_path / "mine", quiet=True)
    settings = {"imgsz": 64, "batch": 4, "workers": 0, "device": "cpu", "plots": False, "verbose": False, "save": False}
    model.train(data=str(tmp_path / "photos"), epochs=2, project=str(tmp_path / "out"), amp=False, **settings)
    run = open_run(tmp_path / "mine")
    assert run.epochs == (0, 1, 2) and run.classes["name"].tolist() == ["ant", "bee"]
    assert run.description.evidence == "exact" and run.metrics()["train_loss"].notna().tolist() == [False, True, True]
