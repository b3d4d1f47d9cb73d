import numpy as np

from store import open_run
from store.format.schema import VARIANT_METRICS
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
