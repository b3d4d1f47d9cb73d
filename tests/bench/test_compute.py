"""The benchmark of training and recording, on the tiny network."""

import pytest

from bench import compute
from compute.runs.prepare import prepare
from tests.compute.cases import tiny_profile


@pytest.fixture(scope="module")
def prepared():
    return prepare(tiny_profile(), device="cpu")


def test_two_sides_take_turns_in_alternating_order_after_a_warm_up():
    calls = []

    def side(name):
        def work():
            calls.append(name)
            return float(len(calls))

        return work

    results = compute.alternate({"a": side("a"), "b": side("b")}, 3)
    assert "".join(calls) == "baabbaab"
    assert results == {"a": [3.0, 6.0, 7.0], "b": [4.0, 5.0, 8.0]}


def test_recording_is_compared_with_the_same_passes_alone(prepared, tmp_path):
    (passes, processor, size), rate = compute.recording_rows(prepared, tmp_path / "passes", rounds=1)
    assert rate > 0
    assert passes[3].endswith("% time") and float(processor[2]) > 0
    assert int(size[2]) > 0


def test_training_is_compared_with_the_plain_loop(prepared, tmp_path):
    row, rate = compute.training_row(prepared, tmp_path / "jpeg", steps=1, rounds=1)
    assert rate > 0 and row[0] == "training, images/s" and row[3].endswith("x")
