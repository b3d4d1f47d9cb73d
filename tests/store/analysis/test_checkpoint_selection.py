import numpy as np
import pytest

from store import open_run
from store.analysis.checkpoint_selection import resampled_metrics, selection_share
from store.analysis.gather import gather
from store.metrics import failure_detection
from store.synthetic import write_synthetic_run
from tests.store.crafted_run import analysed, craft


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return gather(open_run(write_synthetic_run(path, epochs=3, classes=4, images_per_class=15)))[0]


def test_without_resampling_the_metrics_are_those_of_the_epochs(record, monkeypatch):
    monkeypatch.setattr(failure_detection, "resamples", lambda images, **_: np.ones((1, images), np.int32))
    found = resampled_metrics(record)
    for position, epoch in enumerate(record.epochs):
        expected = record.run.variant_metrics(epoch=epoch).iloc[0]
        for name, values in found.items():
            assert values[0, position] == pytest.approx(expected[name], abs=1e-6), name


def test_resampled_metrics_spread_around_those_of_the_epochs(record):
    found = resampled_metrics(record)["top1"]
    expected = np.array([record.run.variant_metrics(epoch=epoch)["top1"][0] for epoch in record.epochs])
    assert found.shape == (200, 3)
    assert found.mean(0) == pytest.approx(expected, abs=0.02)


def test_an_epoch_that_is_always_the_best_has_all_of_the_share_and_ties_are_shared():
    samples = {"top1": np.array([[0.1, 0.9, 0.2], [0.1, 0.8, 0.3]]), "nll": np.array([[1.0, 1.0], [2.0, 1.0]])}
    assert selection_share(samples, "top1", "max", 1) == 1
    assert selection_share(samples, "top1", "max", 2) == 0
    assert selection_share(samples, "nll", "min", 1) == 0.75
    assert np.isnan(selection_share(samples, "robust_top1", "max", 0))


def test_undefined_metrics_of_a_resample_are_never_the_best():
    samples = {"auroc": np.array([[np.nan, 0.6], [0.7, 0.6]])}
    assert selection_share(samples, "auroc", "max", 0) == 0.5


def test_the_best_epoch_for_accuracy_is_the_third(analysis):
    best = analysis.table("best_epochs").set_index("criterion")
    assert best["epoch"]["Accuracy"] == 3
    assert best["value"]["Accuracy"] == pytest.approx(8 / 9)
    assert best["last_value"]["Accuracy"] == pytest.approx(7 / 9)
    assert best["low"]["Accuracy"] < 8 / 9 < best["high"]["Accuracy"]
    assert 0.5 < best["selection_share"]["Accuracy"] < 1  # it is ahead by one image of nine
    assert np.isnan(best["selection_share"]["Robust accuracy"])


def test_the_untrained_network_is_never_the_best_epoch(tmp_path):
    labels = np.repeat([0, 1], 6)
    predictions = np.stack([labels, 1 - labels, 1 - labels])[:, None]  # by chance all correct before training
    run = craft(tmp_path / "run", predictions, labels=labels.tolist(), first_epoch=0)
    best = analysed(run).table("best_epochs").set_index("criterion")
    assert best["epoch"]["Accuracy"] == 1 and best["value"]["Accuracy"] == 0
    assert best["selection_share"]["Accuracy"] == 0.5  # two epochs alike


def test_ensembles_start_with_the_last_epoch_alone(learned, analysis):
    table = analysis.table("ensembles").set_index("name")
    assert table["gain"]["last"] == 0 and table["top1"]["last"] == pytest.approx(7 / 9)
    mean = sum(learned.probabilities(epoch=epoch, variant="clean") for epoch in (2, 3, 4)) / 3
    assert table["top1"]["epochs_3"] == pytest.approx((mean.argmax(1) == learned.labels).mean())
    assert set(table.index) == {"last", "epochs_2", "epochs_3", "variants", "both"}
