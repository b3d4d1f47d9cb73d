"""`python -m compute`: handles signals from the first import on, then runs the command of `compute.cli`."""

from __future__ import annotations

import signal
import sys

from compute.runs.interrupt import STOP_MESSAGE, STOPPED, StopRequest


def _run(stop: StopRequest) -> int:
    """Runs the command line and returns its exit code. A library that is stopped may raise another error."""
    try:
        from compute.cli import main

        return main(sys.argv[1:], stop)
    except BaseException:
        if not stop.requested:
            raise
        print(STOP_MESSAGE, file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    stop = StopRequest()
    stop.handle_signals()
    code = _run(stop)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a signal while Python shuts down would replace the exit code
    sys.exit(code)
