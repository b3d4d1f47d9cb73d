"""The store's command line: `python -m store {info,verify,link,export,prune,copy} RUN ...`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from store.check.verify import Problem, bytes_to_check, verify_run
from store.errors import StoreError
from store.read.run import Run, open_run
from store.remote.file_cache import CACHE_VARIABLE, DEFAULT_GB, LIMIT_VARIABLE
from store.remote.source import is_remote
from store.tools.copy import copy_run
from store.tools.export import FORMATS, export_maps, export_tables
from store.tools.info import describe
from store.tools.link import link_run
from store.tools.prune import prune_run

STOPPED = 130  # the exit code of a program that Ctrl-C ended
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command in `arguments`: 0 when all is well, 1 when something is wrong, 2 for bad arguments.

    130 when it was asked to stop.
    """
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        return command(options)
    except BrokenPipeError:  # such as `| head`
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
        description="Look at, check and move recorded runs.",
        epilog=f"Files of a run at a URL are kept in ${CACHE_VARIABLE}/runs (by default in ~/.cache/classprint/runs), at most "
        f"${LIMIT_VARIABLE} (by default {DEFAULT_GB:.0f}) gigabytes of them besides those being read.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        found.set_defaults(command=command)
        found.add_argument(
            "run", help="the run's folder, or an fsspec URL of it" if name in REMOTE else "the run's folder"
        )
        return found

    add("info", _info, "what a run is, and what it weighs by dataset")
    verify = add("verify", _verify, "re-read every byte and check it; exits 1 naming what is wrong")
    add("link", _link, "write all.h5, in which the whole run is one virtual array")
    export = add("export", _export, "write predictions, class columns and metrics as tables, chosen maps as NPZ")
    export.add_argument("folder", help="where to write")
    export.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of the tables (default: %(default)s)")
    export.add_argument("--epochs", type=_numbers, help="such as 1,5,20-25 (default: all)")
    export.add_argument("--variants", type=lambda text: tuple(text.split(",")), default=(), help="default: all")
    export.add_argument("--maps", type=_numbers, metavar="IMAGES", help="also the maps of these images, such as 0,7-9")
    prune = add("prune", _prune, "make a smaller run: chosen epochs, or the strongest maps of each image")
    prune.add_argument("target", help="the new run's folder")
    prune.add_argument("--epochs", type=_numbers, help="epochs to keep, such as 1,5,20-25 (default: all)")
    prune.add_argument("--top", type=int, help="maps to keep of each image, besides the true class's (default: all)")
    copy = add("copy", _copy, "copy a run to or from any place that fsspec reaches, checking every byte")
    copy.add_argument("target", help="a folder or URL, such as s3://bucket/runs/paper")
    for command in (verify, copy):
        command.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


REMOTE = ("info", "export", "copy")


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
    with tqdm(total=bytes_to_check(options.run), unit="B", unit_scale=True, disable=options.quiet, leave=False) as bar:
        problems = verify_run(options.run, progress=bar.update)
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{options.run}: {_count(problems)} found")
    return 1 if problems else 0


def _count(problems: list[Problem]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems) or 'no'} problems"


def _link(options: argparse.Namespace) -> int:
    print(link_run(open_run(options.run)))
    return 0


def _export(options: argparse.Namespace) -> int:
    run = open_run(options.run)
    _tell_damaged(run)
    if is_remote(options.folder):
        raise StoreError(f"Tables are written into a folder, not to {options.folder!r}. Copy them there.")
    if options.maps is not None:
        run.image_rows(options.maps)  # refused before anything is written
    chosen = {"epochs": options.epochs, "variants": options.variants}
    written = export_tables(run, options.folder, file_format=options.format, **chosen)
    if options.maps is not None:
        for epoch in options.epochs or run.epochs:
            for variant in options.variants or run.variants:
                path = Path(options.folder) / f"maps_{epoch:04d}_{variant}.npz"
                written.append(export_maps(run, path, epoch=epoch, variant=variant, images=options.maps))
    print(*written, sep="\n")
    return 0


def _prune(options: argparse.Namespace) -> int:
    run = open_run(options.run)
    _tell_damaged(run)
    print(prune_run(run, options.target, epochs=options.epochs, top=options.top))
    return 0


def _tell_damaged(run: Run) -> None:
    """Say which epochs an output cannot hold."""
    for epoch, why in sorted(run.damaged.items()):
        print(f"Epoch {epoch} is left out: {why}", file=sys.stderr)


def _copy(options: argparse.Namespace) -> int:
    with tqdm(unit="B", unit_scale=True, disable=options.quiet, leave=False) as bar:
        copied = copy_run(options.run, options.target, progress=bar.update)
    print(f"{options.target}: {len(copied)} files copied, every byte read back")
    return 0


def _stop(number: int, frame: object) -> None:
    """Ends what is under way so that half-made files are removed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
