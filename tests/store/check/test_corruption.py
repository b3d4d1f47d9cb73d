"""Random damage to a run: verify finds it, and the reader never returns a wrong value.

CLASSPRINT_CORRUPTIONS sets how many pieces of damage the slow test tries (default 60; 1,000 take about four minutes).
"""

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest

from store import StoreError
from store.check.verify import verify_run
from store.synthetic import write_synthetic_run
from tests.store.contents import REFUSED, Digests, digests

TRIALS = int(os.environ.get("CLASSPRINT_CORRUPTIONS", "60"))
SECONDS = 60  # after which a trial counts as one that never ends
VARIANTS = ("clean", "gray")
DAMAGE = ("flip", "flip", "flip", "burst", "zero", "truncate", "extend", "delete", "swap", "foreign")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the run to damage, another of the same shape, and the digests of the intact run."""
    folder = tmp_path_factory.mktemp("corruption")
    for name in ("run", "other"):
        write_synthetic_run(
            folder / name, epochs=2, classes=4, images_per_class=20, variants=VARIANTS, image_shape=(8, 8)
        )
    return folder, digests(folder / "run")


def damage(run: Path, other: Path, seed: int) -> str:
    """Do one random piece of damage to `run` and say which."""
    random = np.random.default_rng(seed)
    files = sorted(path for path in run.rglob("*") if path.is_file())
    weights = np.array([8.0 if path.suffix == ".h5" else 1.0 for path in files])
    path = files[random.choice(len(files), p=weights / weights.sum())]
    kind = str(random.choice(DAMAGE))
    data = bytearray(path.read_bytes())
    at = int(random.integers(len(data)))
    if kind == "delete":
        path.unlink()
    elif kind == "foreign":
        shutil.copyfile(other / path.relative_to(run), path)
    elif kind == "swap":
        second = files[int(random.choice([i for i, file in enumerate(files) if file != path]))]
        shutil.copyfile(second, path)
        second.write_bytes(data)
    else:
        if kind == "flip":
            data[at] ^= 1 << int(random.integers(8))
        elif kind == "burst":
            data[at : at + 64] = random.bytes(len(data[at : at + 64]))
        elif kind == "zero":
            data[at : at + 4096] = bytes(len(data[at : at + 4096]))
        elif kind == "truncate":
            del data[at:]
        elif kind == "extend":
            data += random.bytes(at + 1)
        path.write_bytes(data)
    return f"{kind} in {path.relative_to(run)} at byte {at}"


def outcome(path: Path, intact: Digests) -> str:
    """ "found", "harmless", "MISSED" (verify saw nothing) or "WRONG" (a wrong value was returned)."""
    found = digests(path)
    wrong = [name for name, value in found.items() if value not in (REFUSED, intact.get(name))]
    if wrong:
        return f"WRONG {wrong}"
    try:
        if verify_run(path):
            return "found"
    except StoreError:
        return "found"
    return "MISSED" if REFUSED in found.values() else "harmless"


def trial(folder: Path, copy: Path, intact: Digests, seed: int) -> tuple[str, str]:
    """What was damaged in a fresh copy of the run, and the outcome."""
    shutil.copytree(folder / "run", copy)
    done = damage(copy, folder / "other", seed)
    return done, outcome(copy, intact)


def test_an_intact_run_answers_everything_and_verifies(runs):
    folder, intact = runs
    assert REFUSED not in intact.values() and len(intact) > 40
    assert verify_run(folder / "run") == []


def test_a_run_is_read_alike_where_h5py_has_no_name_for_the_filter(runs, monkeypatch):
    monkeypatch.setattr(h5py.Dataset, "compression", property(lambda dataset: None))  # h5py before 3.16
    folder, intact = runs
    assert verify_run(folder / "run") == []
    assert digests(folder / "run") == intact


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(12, 12 + TRIALS), marks=pytest.mark.slow)], ids=len)
def test_random_damage_is_found_and_never_returned_as_if_correct(runs, tmp_path, seeds):
    folder, intact = runs
    missed = {}
    # In another process: a crash of the HDF5 library would raise BrokenProcessPool and not end pytest.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for seed in seeds:
            done, found = pool.submit(trial, folder, tmp_path / str(seed), intact, seed).result(SECONDS)
            shutil.rmtree(tmp_path / str(seed))
            if found not in ("found", "harmless"):
                missed[seed] = (done, found)
    assert missed == {}


def test_the_comparison_itself_notices_wrong_values(runs):
    folder, _ = runs
    assert outcome(folder / "run", digests(folder / "other")).startswith("WRONG")
