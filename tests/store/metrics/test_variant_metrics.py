from __future__ import annotations

import shutil

import numpy as np

from store import open_run
from store.check.verify import verify_run
from store.format.chunks import write_array
from store.format.hdf5_file import unfinished_file
from store.format.receipts import write_receipt
from store.format.schema import VARIANT_METRICS, epoch_field
from store.metrics.variant_metrics import COLUMNS, variant_metric_columns


def test_recorded_metrics_are_those_that_follow_from_the_columns(tiny_run):
    run = open_run(tiny_run)
    columns = {
        name: np.stack([run.column(name, epoch=2, variant=variant) for variant in run.variants]) for name in COLUMNS
    }
    recorded = run.variant_metrics(epoch=2)
    assert recorded.columns.tolist() == ["epoch", "variant", *(field.path.split("/")[1] for field in VARIANT_METRICS)]
    for path, values in variant_metric_columns(columns, run.labels).items():
        assert np.array_equal(recorded[path.removeprefix("variant_metrics/")], values, equal_nan=True), path


def test_verify_names_a_metric_that_does_not_follow(tiny_run, tmp_path):
    copy = shutil.copytree(tiny_run, tmp_path / "copy")
    with unfinished_file(copy / "epochs" / "0003.h5", "r+") as file:
        del file["variant_metrics/ece"]
        write_array(file, "variant_metrics/ece", epoch_field("variant_metrics/ece"), np.full(8, 0.5))
        run_id = file.attrs["run_id"].decode()
    write_receipt(copy, 3, run_id)
    assert [str(problem) for problem in verify_run(copy)] == [
        "epochs/0003.h5: variant_metrics/ece does not follow from the columns of the images"
    ]
