from __future__ import annotations

import numpy as np
import pytest

from store import open_run
from store.analysis.gather import gather
from store.analysis.resampled import resampled_metrics, sureness
from store.analysis.variant_metrics import epoch_variant_metrics
from store.metrics import failure_detection
from store.synthetic import write_synthetic_run


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return gather(open_run(write_synthetic_run(path, epochs=3, classes=4, images_per_class=15)))[0]


def test_without_resampling_the_figures_are_those_of_the_epochs(record, monkeypatch):
    count = len(record.run.labels)
    monkeypatch.setattr(failure_detection, "resamples", lambda images, **_: np.ones((1, images), np.int32))
    found = resampled_metrics(record)
    for position, epoch in enumerate(record.epochs):
        expected = epoch_variant_metrics(record.run, epoch).iloc[0]
        for name, values in found.items():
            assert values[0, position] == pytest.approx(expected[name], abs=1e-6), (name, count)


def test_resampled_figures_spread_around_those_of_the_epochs(record):
    found = resampled_metrics(record)["top1"]
    expected = np.array([epoch_variant_metrics(record.run, epoch)["top1"][0] for epoch in record.epochs])
    assert found.shape == (200, 3)
    assert found.mean(0) == pytest.approx(expected, abs=0.02)


def test_an_epoch_that_always_leads_is_sure_and_ties_are_shared():
    samples = {"top1": np.array([[0.1, 0.9, 0.2], [0.1, 0.8, 0.3]]), "nll": np.array([[1.0, 1.0], [2.0, 1.0]])}
    assert sureness(samples, "top1", "max", 1) == 1
    assert sureness(samples, "top1", "max", 2) == 0
    assert sureness(samples, "nll", "min", 1) == 0.75
    assert np.isnan(sureness(samples, "robust_top1", "max", 0))


def test_figures_that_do_not_exist_on_a_resample_never_lead():
    samples = {"auroc": np.array([[np.nan, 0.6], [0.7, 0.6]])}
    assert sureness(samples, "auroc", "max", 0) == 0.5
