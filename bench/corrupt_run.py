"""Random damage to a recorded run: does verify find it, does the reader ever return a wrong value or die?

    python -m bench.corrupt_run --count 1000

Every trial spoils a fresh copy of a small run (bits flipped, blocks zeroed, files truncated, extended, deleted,
swapped or replaced by those of another run), verifies it, and reads everything that a reader can be asked for. Trials
run in a child process, so that a crash of the HDF5 library would be counted and not end the measurement.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from store import Run, StoreError, open_run
from store.check.verify import verify_run
from store.synthetic import write_synthetic_run

Answers = dict[str, str]
REFUSED = "refused"
OPTIONS = {"epochs": 2, "classes": 4, "images_per_class": 20, "variants": ("clean", "gray"), "image_shape": (8, 8)}


def make_runs(folder: Path) -> tuple[Path, Path]:
    """A run to spoil and another of the same shape to take files from."""
    for name in ("run", "other"):
        write_synthetic_run(folder / name, **OPTIONS)  # type: ignore[arg-type]
    return folder / "run", folder / "other"


def spoil(run: Path, other: Path, seed: int) -> str:
    """Do one random piece of damage to `run` and say which."""
    random = np.random.default_rng(seed)
    files = sorted(path for path in run.rglob("*") if path.is_file())
    weights = np.array([8.0 if path.suffix == ".h5" else 1.0 for path in files])
    path = files[random.choice(len(files), p=weights / weights.sum())]
    kind = str(
        random.choice(["flip", "flip", "flip", "burst", "zero", "truncate", "extend", "delete", "swap", "foreign"])
    )
    data = bytearray(path.read_bytes())
    at = int(random.integers(len(data)))
    if kind == "flip":
        data[at] ^= 1 << int(random.integers(8))
    elif kind == "burst":
        data[at : at + 64] = random.integers(0, 256, len(data[at : at + 64]), dtype=np.uint8).tobytes()
    elif kind == "zero":
        data[at : at + 4096] = bytes(len(data[at : at + 4096]))
    elif kind == "truncate":
        del data[at:]
    elif kind == "extend":
        data += random.integers(0, 256, at + 1, dtype=np.uint8).tobytes()
    if kind == "delete":
        path.unlink()
    elif kind == "swap":
        second = files[int(random.choice([i for i, file in enumerate(files) if file != path]))]
        data = bytearray(second.read_bytes())
        shutil.copyfile(path, second)
        path.write_bytes(data)
        return f"swap of {path.relative_to(run)} and {second.relative_to(run)}"
    elif kind == "foreign":
        shutil.copyfile(other / path.relative_to(run), path)
    else:
        path.write_bytes(data)
    return f"{kind} in {path.relative_to(run)} at byte {at}"


def predictions(path: Path) -> Answers:
    """A digest of everything that can be asked of the run at `path`; REFUSED where the store said so."""
    found: Answers = {}

    def ask(name: str, query: Callable[[], object]) -> None:
        try:
            found[name] = hashlib.sha256(pickle.dumps(query())).hexdigest()
        except StoreError:
            found[name] = REFUSED

    try:
        run = open_run(path)
    except StoreError:
        return {"run": REFUSED}
    _ask_facts(run, ask)
    for epoch in (1, 2):
        if epoch not in run.epochs:
            found[f"epoch {epoch}"] = REFUSED if epoch in run.damaged else "silently absent"
            continue
        for variant in OPTIONS["variants"]:  # type: ignore[attr-defined]
            _ask_epoch(run, epoch, variant, ask)
    return found


def _ask_facts(run: Run, ask: Callable[[str, Callable[[], object]], None]) -> None:
    facts = (run.name, run.variants, run.labels.tolist(), run.image_names, run.classes.to_csv(), run.planned_epochs)
    ask("facts", lambda: (*facts, json.dumps(run.configuration), json.dumps(run.provenance), run.layer_names))
    for variant in run.variants:
        ask(f"images {variant}", partial(run.pixels, variant=variant))
    ask("masks", run.masks)
    ask("boxes", run.boxes)


def _ask_epoch(run: Run, epoch: int, variant: str, ask: Callable[[str, Callable[[], object]], None]) -> None:
    at: dict[str, Any] = {"epoch": epoch, "variant": variant}
    where = f"{epoch} {variant}"
    ask(f"maps {where}", lambda: run.maps(images=None, **at))
    ask(f"error {where}", lambda: run.map_error(images=None, **at))
    for name in ("probabilities", "true_class_maps", "predicted_class_maps", "confusion", "patterns"):
        ask(f"{name} {where}", partial(getattr(run, name), **at))
    ask(f"predictions {where}", lambda: run.predictions(**at).to_csv())
    ask(f"classes {where}", lambda: run.class_table(**at).to_csv())
    ask(f"layers {where}", lambda: [*run.layers(epoch=epoch, images=None).items()])
    ask(f"stages {where}", lambda: [*run.stages(epoch=epoch, images=None).items()])
    ask(f"metrics {where}", lambda: run.read(epoch, lambda data: data.metrics()))


def judge(path: Path, true_class: Answers) -> str:
    """ "found", "harmless", "MISSED" (verify saw nothing) or "WRONG" (a wrong value was returned as if right)."""
    given = predictions(path)
    wrong = [name for name, value in given.items() if value not in (REFUSED, true_class.get(name))]
    if wrong:
        return f"WRONG {wrong}"
    try:
        found = [str(finding) for finding in verify_run(path)]
    except StoreError as err:
        found = [str(err)]
    if found:
        return "found"
    return "MISSED" if REFUSED in given.values() else "harmless"


def trial(run: Path, other: Path, true_class: Answers, seed: int) -> tuple[str, str]:
    """What was done and how the store took it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(run, Path(folder) / "run"))
        done = spoil(copy, other, seed)
        return done, judge(copy, true_class)


def _work(folder: Path, first: int, stop: int) -> None:
    true_class = predictions(folder / "run")
    for seed in range(first, stop):
        print(json.dumps([seed, *trial(folder / "run", folder / "other", true_class, seed)]), flush=True)


def main() -> int:
    """Run the trials and print the tally; 1 if a single one was missed, wrong or a crash."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.corrupt_run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        _work(Path(options.work[0]), int(options.work[1]), int(options.work[2]))
        return 0
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        make_runs(Path(folder))
        seed, stop = options.seed, options.seed + options.count
        while seed < stop:
            command = [sys.executable, "-m", "bench.corrupt_run", "--work", folder, str(seed), str(stop)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
            for line in done.stdout.splitlines():
                seed, what, verdict = json.loads(line)
                tally[verdict.split()[0]] += 1
                if verdict not in ("found", "harmless"):
                    print(f"seed {seed}: {what}: {verdict}")
                seed += 1
            if done.returncode:
                print(f"seed {seed}: the process ended with {done.returncode}\n{done.stderr[-2000:]}")
                tally["CRASH"] += 1
                seed += 1
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items())))
    return int(bool(set(tally) - {"found", "harmless"}))


if __name__ == "__main__":
    sys.exit(main())
