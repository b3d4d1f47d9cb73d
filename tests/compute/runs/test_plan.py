import tempfile
import time
from dataclasses import replace

import pytest
import torch

from compute.errors import DoesNotFit
from compute.runs import plan
from compute.runs.plan import Speed, epoch_bytes, make_plan
from compute.runs.prepare import prepare
from compute.training.distributed import Processes
from tests.compute.cases import tiny_profile

CPU = torch.device("cpu")


def timed(durations) -> float:
    """What is measured of steps that take so long."""
    left = list(durations)
    seconds = plan.median_seconds(lambda: time.sleep(left.pop(0)), len(left) - plan.WARM_UP_STEPS, CPU, Processes())
    assert not left
    return seconds


def test_slow_first_steps_and_single_slow_ones_do_not_count():
    seconds = timed([0.08] * plan.WARM_UP_STEPS + [0.002, 0.002, 0.08, 0.002, 0.002])
    assert 0.002 <= seconds < 0.02


def test_a_slow_network_is_not_measured_for_longer_than_the_limit_allows(monkeypatch):
    monkeypatch.setattr(plan, "PROBE_SECONDS", 0.0)
    calls = []
    plan.median_seconds(lambda: calls.append(1), 50, CPU, Processes())
    assert len(calls) == plan.WARM_UP_STEPS + 1


def test_the_probe_trains_a_copy_and_leaves_nothing_on_the_disk(prepared, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {name: value.clone() for name, value in prepared.network.state_dict().items()}
    speed = plan.measure_speed(prepared, steps=1)
    assert speed.training > 0
    assert speed.recording > 0
    assert all(torch.equal(before[name], value) for name, value in prepared.network.state_dict().items())
    assert not list(tmp_path.iterdir())


def test_the_recorded_sample_comes_from_all_classes_in_order(prepared, monkeypatch):
    monkeypatch.setattr(plan, "PROBE_IMAGES", 8)
    labels = plan.probe_sample(prepared).validation.labels
    assert sorted(labels) == list(labels)
    assert set(labels) == set(range(8))


def test_the_estimated_size_of_an_epoch_is_within_a_factor_of_the_real_one():
    """Tiny files are mostly HDF5's own structure, so this uses the paper's sizes, with the shapes alone."""
    small = prepare(tiny_profile("data.size=16"), device="cpu")
    shapes = small.shapes._replace(maps=(8, 8), layers={"encoder": (200, 2, 2), "decoder": (200, 4, 4)}, stages={})
    per_map = (epoch_bytes(replace(small, shapes=shapes)) - epoch_bytes(small)) / (24 * 3)
    assert 8 * 48 * 0.3 < per_map < 8 * 48 * 0.65 + 200 * 20 + 1000


def test_the_planned_time_is_images_over_speed(prepared, tmp_path):
    planned = make_plan(prepared, tmp_path, epochs_left=2, is_new=True, speed=Speed(training=48, recording=72))
    assert "about 4 s (48 images/s training, 72 images/s recording" in planned.text  # 2 epochs of 48 and 24 x 3 passes


def test_a_run_that_the_disk_cannot_hold_is_refused(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("compute.runs.plan.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    planned = make_plan(
        prepared, tmp_path / "a" / "b", epochs_left=3, is_new=True, speed=Speed(training=1, recording=1)
    )
    with pytest.raises(DoesNotFit, match=r"and 200 MB must stay free on its disk, but only 0 MB are"):
        planned.check(tmp_path)
