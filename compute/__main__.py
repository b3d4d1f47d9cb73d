"""`python -m compute [train | plan | table | analyse]`: the command line, and nothing but the command line."""

from __future__ import annotations

import signal
import sys

from compute.cli import main


def _stop(number: int, frame: object) -> None:
    """Ends what is not yet training or recording as Ctrl-C does, so that half-made files are removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main(sys.argv[1:]))
