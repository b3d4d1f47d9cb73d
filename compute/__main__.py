"""`python -m compute [train | plan | table | analyse]`: the command line, and nothing but the command line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

STOPPED = 130  # the exit code of a program that Ctrl-C ended
MESSAGE = "\nStopped. The same command goes on from what is sealed."
_asked: list[int] = []  # signals that asked to stop


def _stop(number: int, frame: FrameType | None) -> None:
    """Ends what is not yet training or recording, so that half-made files are removed.

    Not by KeyboardInterrupt: one that passes through an exec makes Python end by the signal itself instead of by its
    exit code, even where it was caught. And not by any exception within an import, where libraries that are starting up
    turn it into an error of their own or abort; nothing is made yet that could be left half.
    """
    _asked.append(number)
    if _imports(frame):
        print(MESSAGE, file=sys.stderr, flush=True)
        os._exit(STOPPED)
    raise SystemExit(STOPPED)


def _imports(frame: FrameType | None) -> bool:
    """Whether the frame was reached through an import."""
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def _run() -> int:
    """The exit code of the command line, however early it is stopped; a library may turn a stop into another error."""
    try:
        from compute.cli import main

        return main(sys.argv[1:])
    except BaseException:
        if not _asked:
            raise
        print(MESSAGE, file=sys.stderr)
        return STOPPED


def _answer_signals(by: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, by)


if __name__ == "__main__":
    _answer_signals(_stop)
    code = _run()
    _answer_signals(
        signal.SIG_IGN
    )  # nothing is left to stop, and Python's own end would prediction by dying of the signal
    sys.exit(code)
