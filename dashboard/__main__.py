"""`python -m dashboard report RUN -o report.html`: a self-contained HTML file about a run;
`figures`: the paper's figures as files; `screenshots`: images of the pages.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboard.paper.canvas import FORMATS
from dashboard.paper.folder import write_figures
from dashboard.report import write_report
from store import StoreError, open_run
from store.terminal import accept_any_text, add_version

_ENVIRONMENT = """The dashboard itself is started with `make dashboard` and reads three variables: CLASSPRINT_RUNS, the
folder of runs; CLASSPRINT_USERS, who may log in (docs/deploy.md); and CLASSPRINT_NETWORKS, the networks of your own
that the Live page may build when a run names them, as package.module:Name,... (docs/custom-network.md)."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns 0 on success, 2 where it cannot be done, 130 after Ctrl-C."""
    accept_any_text()
    parser = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__, epilog=_ENVIRONMENT)
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = commands.add_parser("report", help="write a self-contained HTML report of a run")
    report.add_argument("run", type=Path, help="folder of the run, such as runs/quick")
    report.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), help="file to write (default: %(default)s)"
    )
    report.add_argument("--epoch", type=int, help="epoch to report on (default: the last one)")
    report.set_defaults(command=_report)
    figures = commands.add_parser("figures", help="make the paper's table and figures of a run, as files")
    figures.add_argument("run", type=Path, help="folder of the run, such as runs/quick")
    figures.add_argument(
        "-o", "--out", type=Path, default=Path("figures"), help="folder to write into (default: %(default)s)"
    )
    figures.add_argument("--format", default=",".join(FORMATS), help="any of these (default: %(default)s)")
    figures.add_argument("--epoch", type=int, help="epoch of the predictions (default: the last one)")
    figures.add_argument("--seed", type=int, default=0, help="of the images drawn at random (default: %(default)s)")
    figures.set_defaults(command=_figures)
    screenshots = commands.add_parser("screenshots", help="take screenshots of every page of a run in Chromium")
    screenshots.add_argument("run", type=Path, help="folder of the run, such as runs/quick")
    screenshots.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("docs/screenshots"),
        help="folder to write into (default: %(default)s)",
    )
    screenshots.add_argument("--full", action="store_true", help="whole pages instead of what fits a window")
    screenshots.set_defaults(command=_screenshots)
    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"The Python package {error.name!r} is not installed. Run: make setup-dev", file=sys.stderr)
        return 2
    except (StoreError, ValueError, OSError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.errno:
            text = f"{str(error.filename)!r} cannot be used: {error.strerror}. Choose another one with -o."
        print(text, file=sys.stderr)
        return 2
    return 0


def _report(options: argparse.Namespace) -> None:
    path = write_report(open_run(options.run), options.output, epoch=options.epoch)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _figures(options: argparse.Namespace) -> None:
    formats = [form.strip() for form in options.format.split(",") if form.strip()]
    run = open_run(options.run)
    written = write_figures(run, options.out, formats=formats, epoch=options.epoch, seed=options.seed, progress=print)
    print(f"{len(written)} files in {options.out}; their captions are in {written[-1]}")


def _screenshots(options: argparse.Namespace) -> None:
    from dashboard.screenshots import take_screenshots  # needs Streamlit and Playwright, which a report does not

    open_run(options.run)
    run = options.run.resolve()  # '.' has no name, and the folder around it is needed
    written = take_screenshots(run, options.output, full=options.full)
    print(f"{len(written)} images in {options.output}")


if __name__ == "__main__":
    sys.exit(main())
