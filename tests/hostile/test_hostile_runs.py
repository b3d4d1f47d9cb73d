"""A run that a stranger sent is shown or refused in words: no other error, leak, gigabyte or hang, nothing written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import create_synthetic_run, record_synthetic_epoch, synthetic_description, write_synthetic_run
from tests.hostile.attacks import ATTACKS, ON_FULL_RUN, OUTSIDE

pytestmark = pytest.mark.slow
TOGETHER = 64  # attacks in one process: starting it takes longer than most of them
GROUPS = [
    (is_full, names[first : first + TOGETHER])
    for is_full in (False, True)
    for names in [[name for name in ATTACKS if (name in ON_FULL_RUN) == is_full]]
    for first in range(0, len(names), TOGETHER)
]


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """A small analysed run without receipts: a stranger writes his own."""
    path = tmp_path_factory.mktemp("good") / "run"
    write_synthetic_run(path, epochs=1, classes=3, images_per_class=2, variants=("clean", "gray"))
    analyse(open_run(path))
    for receipt in path.rglob("*.json"):
        receipt.unlink()
    return path


@pytest.fixture(scope="module")
def full_run(tmp_path_factory):
    """A small run with an epoch in parts, a training ledger and a checkpoint; without receipts."""
    path = tmp_path_factory.mktemp("full") / "run"
    writer = create_synthetic_run(
        path, synthetic_description("full", 3, 2, epochs=2, options={"variants": ("clean", "gray")})
    )
    record_synthetic_epoch(writer, 1)
    for rank in range(2):
        record_synthetic_epoch(writer, 2, part=(rank, 2), images=range(3 * rank, 3 * rank + 3))
    writer.write_training_images(["a.png", "b.png"], np.array([0, 1]), np.zeros((2, 32), np.uint8))
    columns = {"label_probability": [0.5, 0.6], "margin": [0.1, 0.2], "loss": [0.7, 0.5]}
    floats = {name: np.array(values, np.float32) for name, values in columns.items()}
    writer.write_training_epoch(1, {"prediction": np.array([0, 2]), **floats})
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "0001.pt").write_bytes(b"weights")
    for receipt in path.rglob("*.json"):
        receipt.unlink()
    return path


@pytest.mark.parametrize(
    ("is_full", "names"), GROUPS, ids=lambda each: each[0] if isinstance(each, list) else ("full" if each else "plain")
)
def test_a_hostile_run_can_do_no_more_than_be_shown(good_run, full_run, tmp_path, is_full, names):
    command = [sys.executable, "-m", "tests.hostile.ask", str(full_run if is_full else good_run), str(tmp_path), *names]
    # Arrow's own allocator reserves a gigabyte of addresses at once, which the limit of the process counts as taken.
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONFAULTHANDLER": "1", "MALLOC_ARENA_MAX": "2"},
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (names[len(results)], done.stderr[-2000:])
    wrong = []
    for result in results:
        if result["faults"] or result["leaked"] or result.get("wrote"):
            wrong.append(result)
        elif result["name"].startswith(OUTSIDE) and not result["refused"]:
            wrong.append({**result, "faults": ["it leads out of the run, and nobody said so"]})
    assert not wrong, "\n".join(f"{result['name']}: {result}" for result in wrong)
