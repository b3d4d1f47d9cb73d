"""Killed writers and full disks: complete epochs stay as they are, and the run can be resumed.

CLASSPRINT_KILLS sets how often the slow test kills a writer (default 12; 200 take about four minutes).
"""

import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pytest

from store import RunExists, open_run, resume_run
from store.check.verify import verify_run
from store.format.receipts import file_sha256
from store.synthetic import (
    create_synthetic_run,
    synthetic_description,
    synthetic_layers,
    synthetic_maps,
    synthetic_metrics,
)
from tests.store.contents import digests

KILLS = int(os.environ.get("CLASSPRINT_KILLS", "12"))
KILLS_PER_RUN = 10
EPOCHS, BLOCK = 8, 64
VARIANTS = ("clean", "gray")
DESCRIPTION = synthetic_description("killed", 40, 16, epochs=EPOCHS, options={"variants": VARIANTS})

FULL_DISK = """
import resource, sys
from pathlib import Path
from store import WriteFailed, resume_run
from store.synthetic import *

path = Path(sys.argv[1])
variants = ("clean", "gray")
description = synthetic_description("full", 40, 8, epochs=2, options={"variants": variants})
create_synthetic_run(path, description)

def write(epoch):
    with resume_run(path).epoch(epoch, threads=2) as recording:
        for variant in variants:
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
    assert "could not be written: File too large. Epochs that were complete before are intact" in message, message
    assert sorted(file.name for file in (path / "epochs").iterdir()) == ["0001.h5", "0001.json"], limit
write(2)
"""


def record(path: Path) -> None:
    """Record the run in small blocks, or resume it; each epoch is begun while the last one is still being completed."""
    with suppress(RunExists):  # a child that was killed came that far
        create_synthetic_run(path, DESCRIPTION)
    writer = resume_run(path, configuration=DESCRIPTION.configuration)
    finishing = []
    for epoch in sorted(set(range(1, EPOCHS + 1)) - set(writer.complete_epochs)):
        recording = writer.epoch(epoch, synthetic_metrics(epoch), threads=2)
        layers, stages = synthetic_layers(DESCRIPTION, epoch)
        for variant in VARIANTS:
            maps = synthetic_maps(DESCRIPTION, epoch, variant)
            for start in range(0, len(maps), BLOCK):
                recording.write(variant, start, maps[start : start + BLOCK])
        recording.write_layers(0, layers, stages)
        finishing.append(recording.finish(wait=False))
    for future in finishing:
        future.result()


def complete_files(path: Path) -> dict[str, str]:
    """Digest of every file that has its final name."""
    files = [path / "run.h5", *sorted((path / "epochs").glob("*.h5"))]
    return {str(file.relative_to(path)): file_sha256(file) for file in files if file.exists()}


def record_with_kills(path: Path, moment: random.Random, kills: int, longest: float) -> int:
    """Record at `path`, each of the first `kills` writers killed within `longest` seconds; how many were killed.

    After every kill the complete files must be byte for byte what they were at the kill before.
    """
    before: dict[str, str] = {}
    for killed in range(kills + 1):
        writer = get_context("spawn").Process(target=record, args=(path,))
        writer.start()
        writer.join(moment.uniform(min(0.25, longest), longest) if killed < kills else None)
        if writer.exitcode is not None:
            assert writer.exitcode == 0
            break
        writer.kill()
        writer.join()
        now = complete_files(path)
        assert {name: now.get(name) for name in before} == before
        before = now
        if (path / "run.h5").exists():
            assert open_run(path).damaged == {}
    return killed


def test_a_disk_that_is_full_at_any_byte_of_an_epoch_stops_with_a_reason_and_the_run_goes_on_afterwards(tmp_path):
    """Among them are places where HDF5 itself would crash: see store.format.atomic_file."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify_run(tmp_path / "run") == [] and open_run(tmp_path / "run").epochs == (1, 2)


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
def test_killed_writers_damage_nothing_and_the_resumed_run_is_the_undisturbed_one(tmp_path):
    moment, path = random.Random(1), tmp_path / "run"
    began = time.perf_counter()
    assert record_with_kills(tmp_path / "undisturbed", moment, 0, 0) == 0
    longest, total = 0.7 * (time.perf_counter() - began), 0
    undisturbed = digests(tmp_path / "undisturbed", range(1, EPOCHS + 1))
    while total < KILLS:
        killed = record_with_kills(path, moment, min(KILLS_PER_RUN, KILLS - total), longest)
        assert verify_run(path) == []
        assert digests(path, range(1, EPOCHS + 1)) == undisturbed
        shutil.rmtree(path)
        total += killed
        longest *= 1.1 if killed else 0.5  # the machine may be faster or slower by now
