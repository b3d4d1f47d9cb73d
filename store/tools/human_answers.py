"""What people answered in the human test of a run: a line of JSON for each answer, in a file beside the folder."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from store.errors import WriteFailed
from store.format.hdf5_file import regular_file
from store.read.run import Run

MOST_BYTES = 1 << 23  # about 50,000 answers: a visitor must not be able to fill the disk
_SUFFIX = ".human-test.jsonl"


@dataclass(frozen=True)
class Answer:
    """One person's answer to one image: the class that was chosen, -1 for "I cannot tell"."""

    run_id: str
    session: str  # drawn at random, so that answers of one sitting belong together; names nobody
    image: int
    variant: str
    answer: int


def answers_file(run: Run) -> Path:
    """Where the answers about a run lie: beside its folder, which is never written to.

    Raises:
        StoreError: the run is at a URL.
    """
    folder = run.on_disk("Keeping the answers of a human test")
    return folder.with_name(f"{folder.name}{_SUFFIX}")


def add_answer(path: Path, answer: Answer) -> None:
    """Append an answer; several sessions and processes may do so at once.

    Raises:
        WriteFailed: the file is full, no plain file, or the file system refuses.
    """
    line = (json.dumps(asdict(answer)) + "\n").encode()
    try:
        # O_NOFOLLOW: a link among the runs must not lead the answers elsewhere
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_size + len(line) > MOST_BYTES:
                raise WriteFailed(
                    f"{path.name} has reached {MOST_BYTES >> 20} MiB, so the answer was not kept. Move it away."
                )
            os.write(handle, line)
        finally:
            os.close(handle)
    except OSError as err:
        raise WriteFailed(f"The answer cannot be written to {path.name}: {err.strerror}.") from err


def read_answers(path: Path, run: Run) -> list[Answer]:
    """The answers about a run, in the order in which they were given; empty without a file.

    Lines that are no answer about this very run, such as those about an earlier one of its name, are left out: the file
    lies where others may write.
    """
    try:
        regular_file(path)
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
    except FileNotFoundError:
        return []
    found = (_parse(line, run) for line in content.decode("utf-8", "replace").splitlines())
    return [answer for answer in found if answer is not None]


def _parse(line: str, run: Run) -> Answer | None:
    try:
        values = json.loads(line)
        answer = Answer(**values)
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = {"run_id": str, "session": str, "image": int, "variant": str, "answer": int}
    if any(type(getattr(answer, name)) is not kind for name, kind in kinds.items()):
        return None
    known = answer.run_id == run.id and answer.variant in run.variants and len(answer.session) <= 64
    inside = 0 <= answer.image < len(run.labels) and -1 <= answer.answer < len(run.classes)
    return answer if known and inside else None
