"""Killed writers and full disks: sealed epochs stay, and the run is taken up again; see bench.kill_writer."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys

import pytest

from bench.kill_writer import disturb, record, values
from store import WriteFailed, open_run, resume_run
from store.synthetic import synthetic_layers, synthetic_maps, write_synthetic_run
from store.verify import verify_run

FULL_DISK = """
import resource, sys
from pathlib import Path
from bench.kill_writer import DESCRIPTION, record
from store import WriteFailed, create_run, resume_run
from store.synthetic import *

path, limit = Path(sys.argv[1]), float(sys.argv[2])
description = synthetic_description("full", 40, 8, epochs=2, options={"variants": ("clean", "gray")})
with create_run(path, description) as new:
    for variant in description.variants:
        new.write_pictures(variant, 0, synthetic_pictures(description, variant))

def write(epoch):
    with resume_run(path).epoch(epoch, threads=2) as recording:
        for variant in description.variants:
            maps = synthetic_maps(description, epoch, variant)
            for start in range(0, len(maps), 64):
                recording.write(variant, start, maps[start : start + 64])
        recording.write_layers(0, *synthetic_layers(description, epoch))

write(1)
size = (path / "epochs" / "0001.h5").stat().st_size
unlimited = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * limit), unlimited))
try:
    write(2)
except WriteFailed as err:
    message = str(err)
resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
assert "0002.h5.part' could not be written: File too large. What was sealed before is intact" in message, message
assert sorted(file.name for file in (path / "epochs").iterdir()) == ["0001.h5", "0001.json"]
write(2)
"""


@pytest.mark.parametrize("limit", [0.05, 0.6, 0.99])
def test_a_full_disk_stops_with_a_reason_and_the_run_goes_on_afterwards(tmp_path, limit):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "run"), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify_run(tmp_path / "run") == [] and open_run(tmp_path / "run").epochs == (1, 2)


def record_epoch(path, number):
    run = resume_run(path)
    with run.epoch(number, threads=1) as recording:
        for variant in run.facts.description.variants:
            recording.write(variant, 0, synthetic_maps(run.facts.description, number, variant))
        recording.write_layers(0, *synthetic_layers(run.facts.description, number))


def test_an_epoch_that_the_disk_cannot_hold_is_given_up_before_hdf5_meets_the_end_of_it(tmp_path, monkeypatch):
    path = write_synthetic_run(tmp_path / "run", epochs=1)
    usage = shutil.disk_usage

    def full(place):
        return usage(place)._replace(free=100_000)

    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", full)
        with pytest.raises(WriteFailed, match=r"0002.h5' could not be written: No space left on device"):
            record_epoch(path, 2)
    assert sorted(file.name for file in (path / "epochs").iterdir()) == ["0001.h5", "0001.json"]
    record_epoch(path, 2)
    assert verify_run(path) == [] and open_run(path).epochs == (1, 2)


@pytest.mark.slow
def test_killed_writers_damage_nothing_and_the_resumed_run_is_the_undisturbed_one(tmp_path):
    record(tmp_path / "calm")
    killed, wrong = disturb(tmp_path / "run", random.Random(1), kills=5, longest=1.0)
    assert killed and wrong == []
    assert values(tmp_path / "run") == values(tmp_path / "calm")
