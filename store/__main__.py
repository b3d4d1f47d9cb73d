"""The store's command line: `python -m store {info,verify} RUN`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from tqdm import tqdm

from store.errors import StoreError
from store.info import describe
from store.reader import open_run
from store.verify import bytes_to_check, verify_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command in `arguments`: 0 when all is well, 1 when something is wrong, 2 for bad arguments."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except StoreError as err:
        print(err, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m store", description="Look at, check and move recorded runs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="what a run is, and what it weighs by dataset")
    info.add_argument("run", help="the run's folder")
    info.set_defaults(command=_info)
    verify = commands.add_parser("verify", help="re-read every byte and check it; exits 1 naming what is wrong")
    verify.add_argument("run", help="the run's folder")
    verify.add_argument("--quiet", action="store_true", help="no progress bar")
    verify.set_defaults(command=_verify)
    return parser


def _info(options: argparse.Namespace) -> int:
    print(describe(open_run(options.run)))
    return 0


def _verify(options: argparse.Namespace) -> int:
    with tqdm(total=bytes_to_check(options.run), unit="B", unit_scale=True, disable=options.quiet, leave=False) as bar:
        findings = verify_run(options.run, progress=bar.update)
    for finding in findings:
        print(finding)
    print(f"{options.run}: " + (f"{len(findings)} things are wrong" if findings else "everything is as it was sealed"))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
