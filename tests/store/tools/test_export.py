"""Exported tables and maps."""

import numpy as np
import pandas as pd
import pytest

from store import DamagedFile, NotInRun, StoreError
from store.tools.export import export_maps, export_tables


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_exported_tables_hold_what_the_run_says(run, tmp_path, file_format):
    paths = export_tables(run, tmp_path / "out", file_format=file_format, epochs=[1, 3], variants=("clean", "gray"))
    read = pd.read_parquet if file_format == "parquet" else pd.read_csv
    predictions, classes, metrics = (read(path) for path in paths)
    assert len(predictions) == 2 * 2 * 20 and len(classes) == 2 * 2 * 5 and metrics["epoch"].tolist() == [1, 3]
    part = predictions[(predictions["epoch"] == 3) & (predictions["variant"] == "gray")].reset_index(drop=True)
    expected = run.predictions(epoch=3, variant="gray")
    assert part["predicted_class"].tolist() == expected["predicted_class"].tolist()
    np.testing.assert_allclose(part["confidence"], expected["confidence"], rtol=1e-6)
    with pytest.raises(StoreError, match="exists already"):
        export_tables(run, tmp_path / "out", file_format=file_format)


def test_an_export_that_fails_leaves_nothing_half_written(run, tmp_path, monkeypatch):
    with pytest.raises(NotInRun, match=r"Epochs \[9\] are not in the run: it has \[1, 2, 3\]"):
        export_tables(run, tmp_path / "out", epochs=[1, 9])
    said = run.class_table

    def damaged_at_two(*, epoch, variant):
        if epoch == 2:
            raise DamagedFile("epoch 2")
        return said(epoch=epoch, variant=variant)

    monkeypatch.setattr(run, "class_table", damaged_at_two)
    for file_format in ("parquet", "csv"):
        with pytest.raises(DamagedFile, match="epoch 2"):
            export_tables(run, tmp_path / file_format, file_format=file_format)
        assert [path.name for path in (tmp_path / file_format).iterdir()] == [f"predictions.{file_format}"]


def test_exported_maps_hold_what_the_run_says(run, tmp_path):
    path = export_maps(run, tmp_path / "out" / "maps.npz", epoch=2, variant="bgr", images=[4, 9])
    with np.load(path) as found:
        assert np.array_equal(found["maps"], run.maps(epoch=2, variant="bgr", images=[4, 9]))
        assert found["image_names"].tolist() == ["val_4.png", "val_9.png"] and found["classes"][1] == "school bus"
        assert (found["error"] > 0).all() and found["labels"].tolist() == [1, 2]
