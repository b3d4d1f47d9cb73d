"""What commands print: their version, any text on any terminal, and how far they are, also without a terminal."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from tqdm import tqdm

from store.version import VERSION

INTERVAL = 30.0  # seconds between the lines of a log


def accept_any_text() -> None:
    """Print what the terminal's encoding lacks as an escape, such as \\u201c, instead of raising UnicodeEncodeError.

    What is printed to a stream that was closed at the start (`2>&-`, some daemons) goes nowhere.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):  # not where a test or a notebook has replaced it
            reconfigure(errors="backslashreplace")


def add_version(parser: argparse.ArgumentParser) -> None:
    """Give a command the option --version."""
    parser.add_argument("--version", action="version", version=f"Classprint {VERSION}")


def _open_closed_streams() -> None:
    # The next file to be opened would get the number of a closed stream, and with it what libraries print.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the program
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


class ProgressBar(tqdm):
    """tqdm's bar on a terminal; elsewhere (CI, Slurm, nohup) a line every half minute, and none for shorter work.

    Takes tqdm's options by name.
    """

    def __init__(self, *iterable: Any, **options: Any) -> None:
        self._redraws = (options.get("file") or sys.stderr).isatty()
        if not self._redraws:
            # Redrawn in a file, the bars of an hour were one line of hundreds of kilobytes.
            options |= {"mininterval": INTERVAL, "delay": INTERVAL, "leave": False, "dynamic_ncols": False}
        super().__init__(*iterable, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Show the state; returns whether there is something to clear."""
        if self._redraws:
            return bool(super().display(msg, pos))
        if msg is None:
            print(self, file=self.fp, flush=True)
        return False

    def clear(self, *arguments: Any, **options: Any) -> None:
        """Clear the bar, which a log does not need."""
        if self._redraws:
            super().clear(*arguments, **options)
