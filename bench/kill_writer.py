"""kill -9 at random moments of writing: are sealed epochs ever damaged, does every resume complete?

    python -m bench.kill_writer --count 200

A child process records a run of several epochs in small blocks, the next epoch begun while the last one is still being
sealed. It is killed after a random time, again and again, until a child gets through. After every kill the sealed
epochs must be byte for byte what they were at the kill before, and the reader must see them; after every completed
run `verify` must be clean and every value equal to that of a run that was never disturbed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from store import RunExists, StoreError, create_run, open_run, resume_run
from store.check.verify import verify_run
from store.format.receipts import digest
from store.synthetic import synthetic_description, synthetic_images, synthetic_layers, synthetic_maps, synthetic_metrics

EPOCHS, CLASSES, IMAGES, BLOCK = 8, 40, 16, 64
DESCRIPTION = synthetic_description("killed", CLASSES, IMAGES, epochs=EPOCHS, options={"variants": ("clean", "gray")})


def record(path: Path) -> None:
    """Make the run, or take it up where it was left, to its end."""
    try:
        with create_run(path, DESCRIPTION) as new:
            for variant in DESCRIPTION.variants:
                new.write_images(variant, 0, synthetic_images(DESCRIPTION, variant))
    except RunExists:
        pass  # an earlier child came that far
    writer = resume_run(path, configuration=DESCRIPTION.configuration)
    sealing = []
    for epoch in sorted(set(range(1, EPOCHS + 1)) - set(writer.sealed_epochs)):
        recording = writer.epoch(epoch, synthetic_metrics(epoch), threads=2)
        layers, stages = synthetic_layers(DESCRIPTION, epoch)
        for variant in DESCRIPTION.variants:
            maps = synthetic_maps(DESCRIPTION, epoch, variant)
            for start in range(0, len(maps), BLOCK):
                recording.write(variant, start, maps[start : start + BLOCK])
        recording.write_layers(0, layers, stages)
        sealing.append(recording.seal(wait=False))
    for future in sealing:
        future.result()


def sealed(path: Path) -> dict[str, str]:
    """Digest of every sealed file."""
    files = [path / "run.h5", *sorted((path / "epochs").glob("*.h5"))]
    return {str(file.relative_to(path)): digest(file) for file in files if file.exists()}


def values(path: Path) -> list[object]:
    """What the run predictions, to be compared with another's."""
    run = open_run(path)
    found: list[object] = []
    for epoch in run.epochs:
        for variant in run.variants:
            at: dict[str, Any] = {"epoch": epoch, "variant": variant}
            found += [
                run.maps(images=None, **at).tobytes(),
                run.predictions(**at).to_csv(),
                run.patterns(**at).tobytes(),
            ]
    return found


def disturb(path: Path, moment: random.Random, *, kills: int, longest: float) -> tuple[int, list[str]]:
    """Record at `path`, killing at most `kills` times; how often it was killed, and what was found wrong."""
    wrong: list[str] = []
    before: dict[str, str] = {}
    killed = 0
    while True:
        child = subprocess.Popen([sys.executable, "-m", "bench.kill_writer", "--record", str(path)])
        try:
            status = child.wait(timeout=moment.uniform(min(0.25, longest), longest) if killed < kills else None)
            if status != 0:
                wrong.append(f"the child ended with {status}")
            return killed, wrong + [str(finding) for finding in verify_run(path)]
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            killed += 1
        now = sealed(path)
        wrong += [f"{name} was sealed and has changed" for name, value in before.items() if now.get(name) != value]
        before = now
        if (path / "run.h5").exists():
            try:
                run = open_run(path)
                wrong += [f"epoch {epoch}: {why}" for epoch, why in run.damaged.items()]
            except StoreError as err:
                wrong.append(str(err))


def main() -> int:
    """Kill until `count` is reached; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.kill_writer", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.record:
        record(options.record)
        return 0
    moment, total, runs, wrong = random.Random(options.seed), 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bench.kill_writer", "--record", str(Path(folder) / "calm")], check=True)
        longest = 0.7 * (time.perf_counter() - began)
        calm = values(Path(folder) / "calm")
        while total < options.count:
            path = Path(folder) / "run"
            killed, found = disturb(path, moment, kills=min(10, options.count - total), longest=longest)
            if values(path) != calm:
                found.append("the resumed run differs from an undisturbed one")
            wrong += found
            total, runs = total + killed, runs + 1
            longest *= 1.1 if killed else 0.5  # the machine may be faster or slower by now
            print(f"{total} kills, {runs} runs completed, {len(wrong)} things wrong", flush=True)
            shutil.rmtree(path)
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
