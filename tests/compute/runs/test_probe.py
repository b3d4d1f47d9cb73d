from __future__ import annotations

import tempfile
import time

import pytest
import torch

from compute.runs import probe
from compute.runs.prepare import prepare
from compute.training.distributed import Processes
from tests.compute.cases import tiny_profile

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prepared():
    return prepare(tiny_profile(), device="cpu")


def timed(durations) -> float:
    """What the probe makes of steps that take so long."""
    left = list(durations)
    seconds = probe.median_seconds(lambda: time.sleep(left.pop(0)), len(left) - probe.WARM_UP, CPU, Processes())
    assert not left
    return seconds


def test_slow_first_steps_and_single_slow_ones_do_not_count():
    seconds = timed([0.08] * probe.WARM_UP + [0.002, 0.002, 0.08, 0.002, 0.002])
    assert 0.002 <= seconds < 0.02


def test_a_slow_network_is_not_measured_for_longer_than_patience_allows(monkeypatch):
    monkeypatch.setattr(probe, "PATIENCE", 0.0)
    calls = []
    probe.median_seconds(lambda: calls.append(1), 50, CPU, Processes())
    assert len(calls) == probe.WARM_UP + 1


def test_the_probe_trains_a_copy_and_leaves_nothing_on_the_disk(prepared, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {name: value.clone() for name, value in prepared.network.state_dict().items()}
    speed = probe.measure_speed(prepared, steps=1)
    assert speed.training > 0
    assert speed.recording > 0
    assert all(torch.equal(before[name], value) for name, value in prepared.network.state_dict().items())
    assert not list(tmp_path.iterdir())


def test_the_recorded_sample_comes_from_all_classes_in_order(prepared, monkeypatch):
    monkeypatch.setattr(probe, "RECORDED", 8)
    labels = probe._sample(prepared).validation.labels
    assert sorted(labels) == list(labels)
    assert set(labels) == set(range(8))
