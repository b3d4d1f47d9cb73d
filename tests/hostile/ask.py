"""Everything that can be asked of a run, asked of one after the other: run as a process with little memory.

`python -m tests.hostile.ask GOOD_RUN FOLDER NAME ...` prints a line of JSON for each attack: what happened to it.
"""

import json
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from store import StoreError, open_run
from store.analysis.analysis_file import ARRAYS, TABLES, read_analysis
from store.check.verify import verify_run
from tests.hostile.attacks import ATTACKS, SECRET

SECONDS = 10  # of the processor: another process that keeps it busy is no fault of a run's
HANGING = 120  # seconds of the clock after which something waits for ever
BYTES = 1 << 30


class TooLong(BaseException):
    """An attack took more than its time; no Exception, so that nothing on the way may swallow it."""


def _alarm(*_: object) -> None:
    raise TooLong


def questions(path: Path) -> list[Callable[[], object]]:
    """What a page, a command or a notebook may ask."""
    run = open_run(path)
    asked: list[Callable[[], object]] = [
        lambda: (run.name, run.variants, run.classes.to_csv(), run.labels.tolist(), run.image_names, run.configuration),
        lambda: run.pixels(None),
        lambda: (run.masks(None), run.boxes(None)),
        lambda: run.metrics().to_csv(),
    ]
    for epoch in run.epochs:
        for variant in run.variants:
            at = {"epoch": epoch, "variant": variant}
            asked += [
                lambda at=at: run.predictions(**at).to_csv(),
                lambda at=at: run.class_table(**at).to_csv(),
                lambda at=at: run.confusion(**at),
                lambda at=at: run.patterns(**at),
                lambda at=at: run.maps(**at, images=None),
                lambda at=at: run.probabilities(**at, images=None),
                lambda at=at: run.true_class_maps(**at),
                lambda at=at: run.predicted_class_maps(**at),
            ]
        asked += [lambda epoch=epoch: run.layers(epoch=epoch, images=None)]
        asked += [lambda epoch=epoch: run.stages(epoch=epoch, images=None)]
    asked.append(lambda: run.timeline(image=0, class_index=0, variant=run.variants[0]))
    asked += [lambda: _analysis(run), lambda: _ledger(run)]
    return asked


def _analysis(run: object) -> list[str]:
    analysis = read_analysis(run)
    if analysis is None:
        return []
    return [analysis.table(name).to_csv() for name in TABLES] + [str(analysis.array(name).shape) for name in ARRAYS]


def _ledger(run: object) -> list[str]:
    ledger = run.training_ledger
    return [ledger.images().to_csv(), *(ledger.epoch(each).to_csv() for each in ledger.epochs)] if ledger.epochs else []


def _refused(question: Callable[[], object], said: list[str], faults: list[str], refused: list[str]) -> object:
    try:
        answer = question()
    except StoreError as error:
        said.append(str(error))
        refused.append(str(error))
        return None
    except Exception as error:  # what must not come out: the test prints where it came from
        place = traceback.extract_tb(error.__traceback__)[-1]
        faults.append(f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"[:200])
        return None
    said.append(repr(answer)[:2_000_000] if not isinstance(answer, str) else answer)
    return answer


def examine(path: Path) -> dict[str, object]:
    """What came of asking everything: faults (errors of other kinds), leaks, seconds."""
    said: list[str] = []
    faults: list[str] = []
    refused: list[str] = []
    begun = time.monotonic()
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _alarm)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(HANGING)
    try:
        for question in _refused(lambda: questions(path), said, faults, refused) or []:
            _refused(question, said, faults, refused)
        refused += _refused(lambda: [str(problem) for problem in verify_run(path)], said, faults, refused) or []
    except TooLong:
        faults.append(f"took more than {SECONDS} s of the processor, or waited {HANGING} s")
    except MemoryError:
        faults.append("asked for more than 1 GB")
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    leaked = [text for text in said if SECRET in text]
    return {
        "faults": sorted(set(faults)),
        "refused": len(refused),
        "leaked": bool(leaked),
        "seconds": round(time.monotonic() - begun, 2),
    }


def main() -> None:
    """Make and examine the attacks named on the command line."""
    good, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:]:
        place = folder / f"attack-{abs(hash(name))}"
        place.mkdir()
        secret = place / "secret.txt"
        secret.write_text(SECRET)
        run = Path(shutil.copytree(good, place / "run"))
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            ATTACKS[name](run, secret)
        except Exception as error:  # an attack that no longer fits the format is a fault of the test
            print(json.dumps({"name": name, "faults": [f"not made: {type(error).__name__}: {error}"], "leaked": False}))
            continue
        before = {path.name for path in place.iterdir()}
        # Memory that can be written, not addresses: threads reserve many of those, most of all on a busy machine, and
        # libraries in C that are refused some may crash.
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + BYTES, resource.RLIM_INFINITY))
        result = {"name": name, **examine(run)}
        result["wrote"] = sorted({path.name for path in place.iterdir()} - before)
        print(json.dumps(result), flush=True)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
