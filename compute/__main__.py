"""`python -m compute [train | plan | table | analyse]`: the command line, and nothing but the command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

STOPPED = 130  # the exit code of a program that Ctrl-C ended
_asked: list[int] = []  # signals that asked to stop


def _stop(number: int, frame: object) -> None:
    """Ends what is not yet training or recording, so that half-made files are removed.

    Not by KeyboardInterrupt: one that passes through an exec, as imports do them, makes Python end by the signal itself
    instead of by its exit code, even where it was caught.
    """
    _asked.append(number)
    raise SystemExit(STOPPED)


def _run() -> int:
    """The exit code of the command line, however early it is stopped.

    A stop in the middle of an import may come out as another error, which says nothing about what went wrong.
    """
    try:
        from compute.cli import main

        return main(sys.argv[1:])
    except BaseException:
        if not _asked:
            raise
        print("\nStopped. The same command goes on from what is sealed.", file=sys.stderr)
        return STOPPED


def _answer_signals(by: signal.Handlers | Callable[[int, object], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, by)


if __name__ == "__main__":
    _answer_signals(_stop)
    code = _run()
    _answer_signals(signal.SIG_IGN)  # nothing is left to stop, and Python's own end would answer by dying of the signal
    sys.exit(code)
