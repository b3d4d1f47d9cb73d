"""`python -m dashboard report RUN -o report.html`: a self-contained HTML file about a run; `screenshots`: images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboard.report.report import write_report
from store import StoreError, open_run


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; 0 when it is done, 2 when it cannot be, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="write a self-contained HTML report of a run")
    report.add_argument("run", type=Path, help="folder of the run, such as runs/quick")
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="file to write (report.html)")
    report.add_argument("--epoch", type=int, help="epoch to report on (the last one)")
    images = commands.add_parser("screenshots", help="take images of every page of a run, in Chromium")
    images.add_argument("run", type=Path, help="folder of the run, such as runs/quick")
    images.add_argument("-o", "--output", type=Path, default=Path("docs/screenshots"), help="folder to write into")
    images.add_argument("--full", action="store_true", help="whole pages instead of what a window shows")
    options = parser.parse_args(arguments)
    try:
        (_report if options.command == "report" else _screenshots)(options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"This needs the Python package {error.name!r}, which is not installed: make setup-dev.", file=sys.stderr)
        return 2
    except (StoreError, OSError) as error:
        print(_told(error), file=sys.stderr)
        return 2
    return 0


def _told(error: Exception) -> str:
    """A sentence about what went wrong, also where the system tells it in two words."""
    if isinstance(error, OSError) and error.errno:
        return f"{str(error.filename)!r} cannot be used: {error.strerror}. Name another place, with -o."
    return str(error)


def _report(options: argparse.Namespace) -> None:
    path = write_report(open_run(options.run), options.output, epoch=options.epoch)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _screenshots(options: argparse.Namespace) -> None:
    from dashboard.screenshots import take_screenshots  # Streamlit and Playwright: not for a report

    run = options.run.resolve()  # of '.', too, the name and the folder of runs are needed
    open_run(run)
    written = take_screenshots(run, options.output, full=options.full)
    print(f"{len(written)} images in {options.output}")


if __name__ == "__main__":
    sys.exit(main())
