"""Ctrl-C and SIGTERM: the batch in hand is finished, then the run stops where it can be resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from compute.processes import Processes


class Interrupted(Exception):
    """The user or the system asked the run to stop; everything sealed so far is kept."""


class StopRequest:
    """Whether a stop was asked for; `check` is called between batches."""

    def __init__(self, processes: Processes | None = None) -> None:
        self.processes = processes or Processes()
        self.asked = False

    def check(self) -> None:
        """Returns when the work may go on.

        Raises:
            Interrupted: a stop was asked for, in this process or in another one of the run.
        """
        if self.processes.any(self.asked):
            raise Interrupted


@contextmanager
def stop_on_signals(processes: Processes) -> Iterator[StopRequest]:
    """A StopRequest that SIGINT and SIGTERM raise; a second SIGINT stops at once."""
    request = StopRequest(processes)

    def ask(number: int, frame: FrameType | None) -> None:
        if request.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
