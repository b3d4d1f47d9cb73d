"""Many processes that mark at once, some of them killed: how many marks are lost or doubled.

`python -m tests.dashboard.marks.load 20 500 8` measures 20 processes with 500 marks each, 8 of which are killed.
"""

import hashlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dashboard.marks.marks_file import Mark, MarksFile


class Outcome(NamedTuple):
    """saved: marks that their process was told are saved. lost: of those, missing. doubled: there more than once."""

    saved: int
    lost: int
    doubled: int
    killed: int
    seconds: float


def image(process: int, number: int) -> bytes:
    return hashlib.sha256(f"{process} {number}".encode()).digest()


def _mark(path: Path, process: int, marks: int, log: Path) -> None:
    """Save one mark after the other, each twice, and note each that was saved in a log of one's own."""
    file, handle = MarksFile(path), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(marks):
        mark = Mark(image(process, number), "wrong label", f"note {number}", f"reader {process}")
        file.add([mark])
        os.write(handle, f"{number}\n".encode())  # one write: whole lines even where the process is killed
        file.add([mark])  # as after a reply that was lost on its way


def run(path: Path, processes: int, marks: int, kills: int) -> Outcome:
    started, context = time.perf_counter(), multiprocessing.get_context("spawn")
    logs = [path.with_name(f"log-{process}") for process in range(processes)]
    workers = [context.Process(target=_mark, args=(path, number, marks, log)) for number, log in enumerate(logs)]
    for worker in workers:
        worker.start()
    for victim in range(kills):
        while workers[victim].is_alive() and not (logs[victim].exists() and logs[victim].read_text().count("\n") > 2):
            time.sleep(0.005)
        time.sleep(0.013 * victim)  # at another moment of its transaction each
        if workers[victim].is_alive():
            os.kill(workers[victim].pid, signal.SIGKILL)
    for worker in workers:
        worker.join()
    again = [
        context.Process(target=_mark, args=(path, number, marks, logs[number]))  # a reader says everything once more
        for number, worker in enumerate(workers)
        if worker.exitcode == -signal.SIGKILL
    ]
    for worker in again:
        worker.start()
    for worker in again:
        worker.join()
    saved = {
        (image(process, int(number)), f"reader {process}")
        for process, log in enumerate(logs)
        for number in log.read_text().split()
    }
    found = Counter((mark.image, mark.reader) for mark in MarksFile(path).read().rows)
    return Outcome(
        len(saved),
        len(saved - set(found)),
        sum(count - 1 for count in found.values()),
        len(again),
        time.perf_counter() - started,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print(run(Path(folder) / "marks.sqlite", *map(int, sys.argv[1:4])))
