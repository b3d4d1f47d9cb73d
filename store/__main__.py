"""The store's command line: `python -m store {info,verify,link,export,prune,copy} RUN ...`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from store.check.verify import bytes_to_check, verify_run
from store.errors import StoreError
from store.read.run import Run, open_run
from store.remote.file_cache import CACHE_VARIABLE, DEFAULT_GB, LIMIT_VARIABLE
from store.terminal import ProgressBar, accept_any_text, add_version
from store.tools.copy import copy_run
from store.tools.export import FORMATS, export_maps, export_tables
from store.tools.info import describe
from store.tools.link import link_run
from store.tools.neighbours import EXPORTS
from store.tools.prune import prune_run

STOPPED = 130  # the usual exit code of a program that Ctrl-C ended
READ_URLS = ("info", "export", "copy")  # the other commands need the whole run in a folder
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 for success, 1 for problems found or an error, 2 for bad arguments, 130 when stopped."""
    accept_any_text()
    parser, words = _parser(), sys.argv[1:] if arguments is None else arguments
    if not words:
        parser.print_help()
        return 0
    options = parser.parse_args(words)
    command: Command = options.command
    try:
        return command(options)
    except BrokenPipeError:  # the reader of a pipe has closed it, such as `| head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except (StoreError, ValueError, OSError, ImportError) as err:
        print(err, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m store",
        description="Describe, check, export and copy recorded runs.",
        epilog=f"Files of a run at a URL are cached in ${CACHE_VARIABLE}/runs (by default ~/.cache/classprint/runs), "
        f"up to ${LIMIT_VARIABLE} gigabytes (by default {DEFAULT_GB:.0f}) plus those being read. "
        "Options of a command: python -m store COMMAND --help",
    )
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(command=command)
        added.add_argument("run", help="folder of the run" + (", or its fsspec URL" if name in READ_URLS else ""))
        return added

    add("info", _info, "describe a run and list the size of its datasets")
    verify = add("verify", _verify, "check every byte and value of a run; exit with 1 if there are problems")
    add("link", _link, "write all.h5, which shows the whole run as one array per dataset")
    export = add("export", _export, "write predictions, classes and metrics as tables, and chosen maps as NPZ files")
    export.add_argument("folder", help="folder to write into")
    export.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of the tables (default: %(default)s)")
    export.add_argument("--epochs", type=_numbers, help="such as 1,5,20-25 (default: all)")
    export.add_argument("--variants", type=lambda text: tuple(text.split(",")), default=(), help="default: all")
    export.add_argument(
        "--maps", type=_numbers, metavar="IMAGES", help="also export the maps of these images, such as 0,7-9"
    )
    export.add_argument(
        "--for",
        dest="reader",
        choices=EXPORTS,
        help="write what another tool reads instead: cleanlab's pred_probs, Dataset Cartography's JSONL, thumbnails "
        "with a table (Spotlight, FiftyOne), or one HDF5 file with gzip for readers without the Zstandard plugin; of "
        "one epoch and variant (default: the last, clean)",
    )
    prune = add("prune", _prune, "make a smaller run: chosen epochs, or only each image's strongest maps")
    prune.add_argument("target", help="folder of the new run")
    prune.add_argument("--epochs", type=_numbers, help="epochs to keep, such as 1,5,20-25 (default: all)")
    prune.add_argument(
        "--top", type=int, help="keep the maps of each image's TOP most probable classes and its true class"
    )
    copy = add("copy", _copy, "copy a run between folders and URLs (any that fsspec reaches), and check every byte")
    copy.add_argument("target", help="folder or URL, such as s3://bucket/runs/paper")
    for command in (verify, copy):
        command.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser


def _numbers(text: str) -> list[int]:
    """Whole numbers from a list such as 1,5,20-25."""
    found: list[int] = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and 0 <= int(last or first) - int(first) < 10**7):
            raise argparse.ArgumentTypeError(f"{piece!r} is neither a number nor a range such as 20-25")
        found += range(int(first), int(last or first) + 1)
    return found


def _info(options: argparse.Namespace) -> int:
    print(describe(open_run(options.run)))
    return 0


def _verify(options: argparse.Namespace) -> int:
    total = bytes_to_check(options.run)
    with ProgressBar(total=total, unit="B", unit_scale=True, disable=options.quiet, leave=False) as bar:
        problems = verify_run(options.run, progress=bar.update)
    count = f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}"
    print(*problems, f"{options.run}: {count} found", sep="\n")
    return 1 if problems else 0


def _link(options: argparse.Namespace) -> int:
    print(link_run(open_run(options.run)))
    return 0


def _export(options: argparse.Namespace) -> int:
    run = _open_and_report_damage(options.run)
    if options.reader:
        return _export_for_reader(run, options)
    if options.maps is not None:
        run.image_rows(options.maps)  # an image that is not in the run is refused before anything is written
    written = export_tables(
        run, options.folder, file_format=options.format, epochs=options.epochs, variants=options.variants
    )
    if options.maps is not None:
        for epoch in options.epochs or run.epochs:
            for variant in options.variants or run.variants:
                path = Path(options.folder) / f"maps_{epoch:04d}_{variant}.npz"
                written.append(export_maps(run, path, epoch=epoch, variant=variant, images=options.maps))
    print(*written, sep="\n")
    return 0


def _export_for_reader(run: Run, options: argparse.Namespace) -> int:
    """One epoch and variant, or all epochs where that is what the reader wants, in another tool's form."""
    chosen: dict[str, Any] = {}
    for name, values in (("epoch", options.epochs), ("variant", options.variants)):
        if values and len(values) > 1:
            raise ValueError(f"--for {options.reader} writes one {name}, and {len(values)} were named. Name one.")
        if values:
            chosen[name] = values[0]
    if options.reader == "cartography" and "epoch" in chosen:
        raise ValueError("--for cartography writes every epoch: leave --epochs out.")
    if options.maps is not None:
        raise ValueError(f"--for {options.reader} writes all images: leave --maps out.")
    print(*EXPORTS[options.reader](run, options.folder, **chosen), sep="\n")
    return 0


def _prune(options: argparse.Namespace) -> int:
    run = _open_and_report_damage(options.run)
    print(prune_run(run, options.target, epochs=options.epochs, top=options.top))
    return 0


def _open_and_report_damage(path: str) -> Run:
    """The run; damaged epochs, which the output will lack, are named on stderr."""
    run = open_run(path)
    for epoch, reason in sorted(run.damaged.items()):
        print(f"Epoch {epoch} is left out: {reason}", file=sys.stderr)
    return run


def _copy(options: argparse.Namespace) -> int:
    with ProgressBar(unit="B", unit_scale=True, disable=options.quiet, leave=False) as bar:
        copied = copy_run(options.run, options.target, progress=bar.update)
    print(f"{options.target}: {len(copied)} files copied, every byte read back")
    return 0


def _stop(number: int, frame: object) -> None:
    """Treat SIGTERM as Ctrl-C, so that unfinished files are removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
