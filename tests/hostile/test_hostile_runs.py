"""A run that a stranger sent is shown or refused in words: no other error, leak, gigabyte or hang, nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.hostile.runs import ATTACKS, OUTSIDE

pytestmark = pytest.mark.slow
TOGETHER = 64  # attacks in one process: starting it takes longer than most of them
NAMES = list(ATTACKS)


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """A small analysed run without receipts: a stranger writes his own."""
    path = tmp_path_factory.mktemp("good") / "run"
    write_synthetic_run(path, epochs=1, classes=3, images_per_class=2, variants=("clean", "gray"))
    analyse(open_run(path))
    for receipt in path.rglob("*.json"):
        receipt.unlink()
    return path


@pytest.mark.parametrize("first", range(0, len(NAMES), TOGETHER))
def test_a_hostile_run_can_do_no_more_than_be_shown(good_run, tmp_path, first):
    names = NAMES[first : first + TOGETHER]
    command = [sys.executable, "-m", "tests.hostile.ask", str(good_run), str(tmp_path), *names]
    # Arrow's own allocator reserves a gigabyte of addresses at once, which the limit of the process counts as taken.
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONFAULTHANDLER": "1"},
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
