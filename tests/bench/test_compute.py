from __future__ import annotations

import time

import pytest
import torch

from bench.breakdown import Stopwatch, recording_parts, training_parts
from bench.compute_bench import epoch_rows, recording_rows, taking_turns
from compute.runs.prepare import prepare
from tests.compute.cases import tiny_profile


@pytest.fixture(scope="module")
def prepared():
    return prepare(tiny_profile(), device="cpu")


def test_two_sides_take_turns_in_alternating_order_after_a_warm_up():
    called = []

    def side(name):
        def work():
            called.append(name)
            return float(len(called))

        return work

    found = taking_turns({"a": side("a"), "b": side("b")}, 3)
    assert "".join(called) == "baabbaab"
    assert found == {"a": [3.0, 6.0, 7.0], "b": [4.0, 5.0, 8.0]}


def test_recording_is_compared_with_the_same_passes_and_the_same_epochs_without(prepared, tmp_path):
    (passes, size), rate = recording_rows(prepared, tmp_path / "passes", rounds=1)
    assert rate > 0
    assert passes[3].endswith("% time")
    assert int(size[2]) > 0
    (epoch,) = epoch_rows(prepared, tmp_path / "epochs", rounds=1)
    assert epoch[0].startswith("an epoch of 48 images, s: trained only, and with 72 passes recorded")
    assert len(list((tmp_path / "epochs").glob("*/epochs/0001.h5"))) == 2


def test_a_stopwatch_leaves_out_the_warm_up_and_compares_with_the_whole():
    watch = Stopwatch(torch.device("cpu"))
    watch.seconds = {"slow": [9.0] * 4 + [0.2, 0.2, 0.2], "whole": [9.0] * 4 + [0.4, 0.4]}
    lines = watch.table("step", images=100)
    assert "| slow | 200.0 | 50% |" in lines
    assert "250 images/s" in lines
    with watch.part("other"):
        time.sleep(0.01)
    assert watch.seconds["other"][0] >= 0.01


def test_the_breakdown_names_every_part_of_training_and_recording(prepared):
    text = "\n".join([*training_parts(prepared, steps=1), *recording_parts(prepared)])
    for part in (
        "augment",
        "forward and loss",
        "backward",
        "optimizer",
        "perturb",
        "wait for the writer",
        "seal",
        "whole",
    ):
        assert f"| {part}" in text
