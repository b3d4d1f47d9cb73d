"""How a run stops early: Ctrl-C, SIGTERM or its time limit. It always stops at a point where it can be resumed.

No torch here: `python -m compute` handles signals from its very first import on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from compute.errors import DoesNotFit

if TYPE_CHECKING:
    from compute.training.distributed import Processes

STOPPED = 130  # the usual exit code of a program that Ctrl-C ended
STOP_MESSAGE = "\nStopped. Complete epochs are kept. Run the same command again to resume."
CHECKS_PER_EXCHANGE = 10  # asking the other processes makes a GPU wait


class Interrupted(Exception):
    """The user or the system asked the run to stop; complete epochs are kept."""


class OutOfTime(Interrupted):
    """The next epoch would not be finished within the time limit; complete epochs are kept."""


class StopRequest:
    """Whether SIGINT or SIGTERM asked this program to stop: the one handler of both.

    Outside `between_batches` a signal ends the program by SystemExit, so that temporary files are removed. Inside, the
    first one only sets `requested`, and `check`, called between batches, raises Interrupted; a second Ctrl-C ends the
    program at once.
    """

    def __init__(self, processes: Processes | None = None) -> None:
        self.processes = processes
        self.requested = False
        self._waits_for_check = False
        self._checks = 0

    def handle_signals(self) -> None:
        """Makes this object the handler of SIGINT and SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    @contextmanager
    def between_batches(self, processes: Processes) -> Iterator[None]:
        """Leaves it to `check` to stop, in all processes of the run at the same batch."""
        self.processes, self._waits_for_check = processes, True
        try:
            yield
            if processes.any(self.requested):  # stopped after the last batch: running the command again does the rest
                raise Interrupted
        finally:
            self._waits_for_check = False

    def check(self) -> None:
        """Returns if the run may continue; must be called equally often in every process.

        Raises:
            Interrupted: a stop was requested in this process or in another one; several processes exchange this only
                at every tenth check.
        """
        self._checks += 1
        if self.processes is None or self.processes.count == 1:
            if self.requested:
                raise Interrupted
        elif self._checks % CHECKS_PER_EXCHANGE == 0 and self.processes.any(self.requested):
            raise Interrupted

    def _receive(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if self._waits_for_check and (first or number != signal.SIGINT):
            return
        # Within an import no exception: PyTorch's start aborts on one, and nothing is written yet that could be left.
        if _is_importing(frame):
            print(STOP_MESSAGE, file=sys.stderr, flush=True)
            os._exit(STOPPED)
        # No KeyboardInterrupt: one that passes through an exec makes Python end by SIGINT instead of by its exit code.
        raise SystemExit(STOPPED)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the frame was reached through an import."""
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


class TimeLimit:
    """A limit in seconds on one call of a command; `check` is called between epochs.

    An epoch starts only if the longest one so far plus a seventh still fits. The first epoch always starts.
    """

    MARGIN = 1.15  # about a seventh: on a shared machine epochs differ in length

    def __init__(self, seconds: float, processes: Processes) -> None:
        self.seconds = seconds
        self.ends = time.monotonic() + seconds
        self.processes = processes
        self.longest = 0.0
        self.epochs = 0  # finished in this call

    def expect(self, seconds: float) -> None:
        """Notes how long an epoch took in an earlier call."""
        self.longest = max(self.longest, seconds)

    def epoch_finished(self, seconds: float) -> None:
        """Notes how long an epoch took in this call, with its recording."""
        self.expect(seconds)
        self.epochs += 1

    def check(self) -> None:
        """Returns if one more epoch may begin.

        Raises:
            OutOfTime: it would not be finished in time, by the clock of any process.
            DoesNotFit: the same, and no epoch was finished in this call, so that calling again would never finish the
                run.
        """
        late = time.monotonic() + self.MARGIN * self.longest > self.ends
        if not self.processes.any(self.longest > 0 and late):
            return
        if not self.epochs:
            raise DoesNotFit(
                f"An epoch of this run takes about {self.longest:.0f} s, longer than what is left of the "
                f"--time-limit of {self.seconds:.0f} s after the preparations. Set a longer limit."
            )
        raise OutOfTime
