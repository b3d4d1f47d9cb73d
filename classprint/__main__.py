"""`classprint COMMAND ...`: every command of the packages behind one name. Each loads only what it needs."""

from __future__ import annotations

import argparse
import importlib.util
import os
import runpy
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import classprint  # noqa: F401  says so where another module hides a package
from store.version import VERSION

# command -> (the package whose command line has it, what it does)
COMMANDS = {
    "train": ("compute", "train a network and record it"),
    "plan": ("compute", "time and disk that train would take"),
    "record": ("compute", "record networks that are trained already"),
    "analyse": ("compute", "compute what spans the epochs of a run"),
    "table": ("compute", "the paper's Table 1 over recorded runs"),
    "dashboard": ("", "open the dashboard over a folder of runs"),
    "report": ("dashboard", "the essential views of a run as one HTML file"),
    "figures": ("dashboard", "the paper's table and figures of a run as PDF, SVG and PNG"),
    "screenshots": ("dashboard", "images of every page of a run"),
    "info": ("store", "describe a run"),
    "verify": ("store", "check every byte of a run"),
    "link": ("store", "show a run as one HDF5 file"),
    "export": ("store", "write tables and maps of a run"),
    "prune": ("store", "make a smaller run"),
    "copy": ("store", "copy a run between folders and URLs"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else ""
    if command == "--version":
        print(f"Classprint {VERSION}")
        sys.exit(0)
    if command not in COMMANDS:
        if command in ("", "-h", "--help"):
            print(_help())
            sys.exit(0)
        similar = get_close_matches(command, COMMANDS, n=1)
        meant = f"Did you mean '{similar[0]}'?" if similar else "'classprint --help' lists them all."
        print(f"classprint has no command '{command}'. {meant}", file=sys.stderr)
        sys.exit(2)
    package, _ = COMMANDS[command]
    if not package:
        _open_dashboard(words[1:])
    sys.argv = [f"python -m {package}", *words]
    if package == "compute" and importlib.util.find_spec("torch") is None:
        sys.exit(f"'{command}' needs PyTorch, which is not installed. In Classprint's folder: pip install '.[compute]'")
    # As the package's own main program: that one also handles the signals of its commands.
    runpy.run_module(package, run_name="__main__", alter_sys=False)


def _open_dashboard(words: Sequence[str]) -> None:
    """Replaces this process by Streamlit."""
    parser = argparse.ArgumentParser(prog="classprint dashboard", epilog="Other options are those of streamlit run.")
    parser.add_argument(
        "runs",
        nargs="?",
        default=os.environ.get("CLASSPRINT_RUNS", "runs"),
        help="folders or URLs of runs, a colon between them (default: %(default)s)",
    )
    parser.add_argument("--port", default="8501", help="where it answers (default: %(default)s)")
    options, others = parser.parse_known_args(words)
    app = Path(__file__).resolve().parents[1] / "dashboard" / "app.py"
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", options.port, *others]
    os.execve(sys.executable, command, {**os.environ, "CLASSPRINT_RUNS": options.runs})


def _help() -> str:
    lines = [f"  {name:12} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(["classprint COMMAND ...", "", *lines, "", "Options of a command: classprint COMMAND --help"])


if __name__ == "__main__":
    main()
