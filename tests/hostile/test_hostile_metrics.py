"""Metrics of an epoch: none that is infinite, out of its range or in the place of another is recorded or shown."""

import h5py
import numpy as np
import pytest

from store import DamagedFile, StoreError, open_run
from store.synthetic import create_synthetic_run, synthetic_description, write_synthetic_run
from store.write.run_writer import resume_run

WRONG = [
    *((name, value) for name in ("validation_loss", "train_loss", "mine") for value in (np.inf, -np.inf, 1e300)),
    *((name, value) for name in ("validation_top1", "train_top5") for value in (np.inf, -0.1, 1.1, 87.5)),
    *((name, value) for name in ("train_seconds", "record_seconds") for value in (np.inf, -1)),
    ("last_kernel_similarity", 1.5),
    *((name, 0.5) for name in ("epoch", "a\nb", "\u202eevil", "x" * 101)),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_metric_is_neither_recorded_nor_read(tmp_path, name, value):
    writer = create_synthetic_run(tmp_path / "run", synthetic_description("run", 2, 1, epochs=1))
    with pytest.raises(StoreError, match="metric"):
        writer.epoch(1, {name: value})
    assert not list((tmp_path / "run" / "epochs").iterdir())  # nothing is left of the attempt
    write_synthetic_run(tmp_path / "other", epochs=1, classes=2, images_per_class=1)
    with h5py.File(tmp_path / "other" / "epochs" / "0001.h5", "r+") as file:
        file["metrics"].attrs[name] = value
    with pytest.raises(DamagedFile, match="metrics"):
        open_run(tmp_path / "other").metrics()


def test_a_metric_that_is_not_known_is_nan(tmp_path):
    write_synthetic_run(tmp_path / "run", epochs=1, classes=2, images_per_class=1)
    with h5py.File(tmp_path / "run" / "epochs" / "0001.h5", "r+") as file:
        file["metrics"].attrs["train_loss"] = np.nan
    assert np.isnan(open_run(tmp_path / "run").metrics()["train_loss"].item())
    assert resume_run(tmp_path / "run").complete_epochs == (1,)
