"""Asking what may answer late or never: storage at a URL is asked in a thread, and the last answer stands meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from store.errors import StoreError

FRESH = 5.0  # seconds for which an answer holds before the question is put again
BACK_OFF = 30.0  # the same after an error: libraries of object storage try for up to half a minute before they give up
PATIENCE = 8.0  # seconds to wait for a first answer, and after which a late one is reported

T = TypeVar("T")


class PatientQuestion(Generic[T]):
    """A question that is put again when its answer is no longer fresh, and that never blocks for long."""

    def __init__(self, ask: Callable[[], T], *, answer: T | None = None) -> None:
        """With an `answer` that is known already, the question is put first when that is no longer fresh."""
        self._ask = ask
        self._changed = threading.Condition()
        self._answer: T | None = answer
        self._problem = ""
        self._asked: float | None = None  # when the question in progress was put
        self._due = 0.0 if answer is None else time.monotonic() + FRESH  # when to ask again

    def latest(self) -> tuple[T | None, str]:
        """The last answer, None where there has been none, and why there is no newer one, empty where it is fresh.

        Only a first answer is waited for, `PATIENCE` seconds at most.
        """
        with self._changed:
            if self._asked is None and time.monotonic() >= self._due:
                self._asked = time.monotonic()
                # Not a pool: its threads would keep the process alive for as long as storage does not answer.
                threading.Thread(target=self._work, name="ask storage", daemon=True).start()
            if self._answer is None and not self._problem:
                self._changed.wait_for(lambda: self._asked is None, PATIENCE)
            waited = 0.0 if self._asked is None else time.monotonic() - self._asked
            late = f"It has not answered for {waited:.0f} seconds and is still being asked. Check the network."
            return self._answer, self._problem or (late if waited >= PATIENCE else "")

    def _work(self) -> None:
        answer, problem, pause = self._answer, "It gave no answer.", BACK_OFF  # for an error of the program itself
        try:
            answer, problem, pause = self._ask(), "", FRESH
        except StoreError as error:
            problem = str(error)
        finally:
            with self._changed:
                self._answer, self._problem, self._asked = answer, problem, None
                self._due = time.monotonic() + pause
                self._changed.notify_all()
