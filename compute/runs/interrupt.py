"""Why a run stops early: Ctrl-C, SIGTERM or the end of its time. It always stops where it can be resumed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from compute.errors import DoesNotFit
from compute.training.distributed import Processes


class Interrupted(Exception):
    """The user or the system asked the run to stop; everything sealed so far is kept."""


class OutOfTime(Interrupted):
    """The next epoch would not be done within the time limit; everything so far is kept."""


class TimeLimit:
    """So many seconds for one call of a command; `check` is called between epochs.

    An epoch is begun only when the longest one so far, and a seventh more, would still fit. The first is always begun.
    """

    MARGIN = 1.15

    def __init__(self, seconds: float, processes: Processes | None = None) -> None:
        self.seconds = seconds
        self.ends = time.monotonic() + seconds
        self.processes = processes or Processes()
        self.longest = 0.0
        self.epochs = 0  # done in this call

    def expect(self, seconds: float) -> None:
        """Tells how long an epoch took in an earlier call."""
        self.longest = max(self.longest, seconds)

    def done(self, seconds: float) -> None:
        """Tells how long an epoch took now, trained and recorded."""
        self.expect(seconds)
        self.epochs += 1

    def check(self) -> None:
        """Returns when one more epoch may begin.

        Raises:
            OutOfTime: it would not be done in time, as one of the processes sees it.
            DoesNotFit: the same, and no epoch was done in this call, so that calling again would not help.
        """
        late = time.monotonic() + self.MARGIN * self.longest > self.ends
        if not self.processes.any(self.longest > 0 and late):
            return
        if not self.epochs:
            raise DoesNotFit(
                f"An epoch of this run takes about {self.longest:.0f} s, which do not fit into what is left of the "
                f"--time-limit of {self.seconds:.0f} s after the preparations. Allow more."
            )
        raise OutOfTime


LOOKS_PER_TALK = 10  # asking the other processes makes a GPU wait


class StopRequest:
    """Whether a stop was asked for; `check` is called between batches, equally often in every process."""

    def __init__(self, processes: Processes | None = None) -> None:
        self.processes = processes or Processes()
        self.asked = False
        self._looks = 0

    def check(self) -> None:
        """Returns when the work may go on.

        Raises:
            Interrupted: a stop was asked for, in this process or in another one of the run, where several talk about
                it only at every tenth look.
        """
        self._looks += 1
        if self.processes.count > 1 and self._looks % LOOKS_PER_TALK:
            return
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
