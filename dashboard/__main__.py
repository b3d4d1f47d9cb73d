"""`python -m dashboard report RUN -o report.html`: one self-contained HTML file about a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboard.report import write_report
from store import StoreError, open_run


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and write the report; 0 when it is written, 2 when it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="write a self-contained HTML report of a run")
    report.add_argument("run", type=Path, help="folder of the run, such as runs/quick")
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="file to write (report.html)")
    report.add_argument("--epoch", type=int, help="epoch to report on (the last one)")
    options = parser.parse_args(arguments)
    try:
        path = write_report(open_run(options.run), options.output, epoch=options.epoch)
    except (StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
