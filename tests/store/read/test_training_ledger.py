"""The training ledger: how each training image fared at each epoch."""

import numpy as np
import pytest

from store import DamagedFile, NotInRun, open_run, resume_run
from store.synthetic import write_synthetic_run


def test_a_training_ledger_comes_back(tmp_path):
    path = write_synthetic_run(tmp_path / "run", epochs=1)
    writer, random = resume_run(path), np.random.default_rng(0)
    with pytest.raises(NotInRun, match=r"training/images.h5 is not in the run"):
        open_run(path).training_ledger.images()
    writer.write_training_images(["a.png", "ü.png"], np.array([1, 4]))
    columns = {name: random.random(2, np.float32) for name in ("label_probability", "margin", "loss")}
    writer.write_training_epoch(1, {"prediction": np.array([1, 3]), **columns})
    ledger = open_run(path).training_ledger
    assert ledger.epochs == (1,) and ledger.images()["name"].tolist() == ["a.png", "ü.png"]
    assert ledger.images()["label"].tolist() == [1, 4] and ledger.epoch(1)["prediction"].tolist() == [1, 3]
    assert all(np.array_equal(ledger.epoch(1)[name], column) for name, column in columns.items())
    with pytest.raises(NotInRun, match="its ledger has"):
        ledger.epoch(2)
    (path / "training" / "0001.h5").rename(path / "training" / "0002.h5")
    with pytest.raises(DamagedFile, match="it contains epoch 1, but its name says 2"):
        ledger.epoch(2)
