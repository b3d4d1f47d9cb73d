"""Killed writers and full disks: sealed epochs stay, and the run is taken up again; see bench.kill_writer."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from bench.kill_writer import disturb, record, values
from store import open_run
from store.check.verify import verify_run

FULL_DISK = """
import resource, sys
from pathlib import Path
from bench.kill_writer import DESCRIPTION, record
from store import WriteFailed, create_run, resume_run
from store.synthetic import *

path = Path(sys.argv[1])
description = synthetic_description("full", 40, 8, epochs=2, options={"variants": ("clean", "gray")})
with create_run(path, description) as new:
    for variant in description.variants:
        new.write_images(variant, 0, synthetic_images(description, variant))

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
for limit in (0.05, 0.3, *(0.7 + 0.3 * step / 16 for step in range(16))):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * limit), unlimited))
    try:
        write(2)
    except WriteFailed as err:
        message = str(err)
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert "could not be written: File too large. What was sealed before is intact: free some space" in message, message
    assert sorted(file.name for file in (path / "epochs").iterdir()) == ["0001.h5", "0001.json"], limit
write(2)
"""


def test_a_disk_that_is_full_at_any_byte_of_an_epoch_stops_with_a_reason_and_the_run_goes_on_afterwards(tmp_path):
    """Among them are places where HDF5 itself would crash: see store.new_file."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify_run(tmp_path / "run") == [] and open_run(tmp_path / "run").epochs == (1, 2)


@pytest.mark.slow
def test_killed_writers_damage_nothing_and_the_resumed_run_is_the_undisturbed_one(tmp_path):
    record(tmp_path / "calm")
    killed, wrong = disturb(tmp_path / "run", random.Random(1), kills=5, longest=1.0)
    assert killed and wrong == []
    assert values(tmp_path / "run") == values(tmp_path / "calm")
