"""The commands of `python -m compute`. Printing and exit codes live here; everything else raises."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compute.config.profile import load_profile, profile_names, settings_table
from compute.config.settings import Profile
from compute.errors import BadOption, ComputeError
from store.errors import StoreError

if TYPE_CHECKING:  # at run time torch is loaded only by the commands that need it
    from compute.training.distributed import Processes

COMMANDS = ("train", "plan", "table", "analyse")
STOPPED = 130  # the exit code of a program that Ctrl-C ended
OUT_OF_TIME = 75  # EX_TEMPFAIL: the same command again goes on
REFUSED = 2
LONGEST_NAME = 200  # bytes; file systems allow 255, some files are called like the run and a little more
NEXT = "Look at it with: make dashboard"


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code: 0 done, 2 refused, 130 stopped, 75 out of time; both resumable."""
    arguments = list(arguments)
    if not arguments or (arguments[0] not in COMMANDS and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "train")
    options = _parser().parse_args(arguments)
    try:
        return options.function(options)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from what is sealed.", file=sys.stderr)
        return STOPPED
    except OSError as err:
        print(f"\n{type(err).__name__}: {err}. Check the folder, its rights and its free space.", file=sys.stderr)
        return REFUSED
    except (ComputeError, StoreError) as err:
        notes = "".join(f" ({note})" for note in getattr(err, "__notes__", ()))
        print(f"\n{type(err).__name__}: {err}{notes}", file=sys.stderr)
        return REFUSED


def _train(options: argparse.Namespace) -> int:
    from compute.runs.device import choose_device, use_threads
    from compute.training.distributed import join_process_group

    profile = _profile(options)
    if options.time_limit is not None and not options.time_limit > 0:
        raise BadOption(f"--time-limit {options.time_limit:g} does not make sense. Give seconds, greater than 0.")
    use_threads(options.threads)
    path = Path(options.runs_dir) / _run_name(options)
    with join_process_group(choose_device(options.device)) as processes:
        return _train_joined(options, profile, path, processes)


def _train_joined(options: argparse.Namespace, profile: Profile, path: Path, processes: Processes) -> int:
    from compute.runs.interrupt import Interrupted, OutOfTime, TimeLimit
    from compute.runs.plan import make_plan
    from compute.runs.prepare import prepare
    from compute.runs.probe import measure_speed
    from compute.runs.run import experiment, lock_run, open_or_create, open_run_writer, run_exists

    limit = TimeLimit(options.time_limit, processes) if options.time_limit else None
    prepared = prepare(profile, device=options.device, processes=processes)
    is_new = not run_exists(path)
    processes.wait()  # before the first process makes it
    left = profile.training.epochs - (0 if is_new else len(open_run_writer(prepared, path).sealed_epochs))
    if left <= 0:
        if options.command == "train" and processes.first and not options.no_analysis:
            _run_missing_analysis(path)
        _say(processes, f"The run '{path}' is complete, epochs recorded: {profile.training.epochs}. {NEXT}")
        return 0
    plan = make_plan(prepared, path, epochs_left=left, is_new=is_new, speed=measure_speed(prepared))
    _say(processes, plan.text())
    plan.check(path)
    if options.command == "plan":
        return 0
    try:
        with lock_run(path, processes), experiment(prepared, open_or_create(prepared, path), limit=limit) as work:
            work.go()
    except OutOfTime:
        _say(processes, f"\nThe time limit is near. What is sealed in '{path}' is kept; the same command goes on.")
        return OUT_OF_TIME
    except Interrupted:
        _say(processes, f"\nStopped. What is sealed in '{path}' is kept; the same command goes on from there.")
        return STOPPED
    processes.wait()  # the last epoch is whole when every process has sealed its part
    if processes.first and not options.no_analysis:
        _run_analysis(path)
    _say(processes, f"The run '{path}' is complete. {NEXT}")
    return 0


def _say(processes: Processes, text: str) -> None:
    """Prints from the first process only."""
    if processes.first:
        print(text, flush=True)


def _table(options: argparse.Namespace) -> int:
    from store import open_run
    from store.queries.table1 import as_text, recorded_result, table1

    results = [recorded_result(open_run(path)) for path in options.runs]
    print(as_text(table1(results, paper=False), markdown=options.markdown))
    return 0


def _analyse(options: argparse.Namespace) -> int:
    for path in options.runs:
        _run_analysis(Path(path))
    return 0


def _run_analysis(path: Path) -> None:
    from compute.runs.analyse import analyse

    analyse(path)


def _run_missing_analysis(path: Path) -> None:
    """Analyses a complete run that was stopped before that was done."""
    from compute.runs.analyse import is_analysed

    if not is_analysed(path):
        _run_analysis(path)


def _run_name(options: argparse.Namespace) -> str:
    """The name of the run's folder, which lies in the folder of runs and nowhere else.

    Raises:
        BadOption: the name is empty, hidden, too long, a path, or holds control characters.
    """
    name = Path(options.profile).stem if options.run is None else options.run
    if not name.strip() or name.startswith(".") or "/" in name or os.sep in name or not name.isprintable():
        raise BadOption(
            f"--run {name!r} is not a name. Choose one without slashes, dots in front or control characters."
        )
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise BadOption(f"--run '{name[:20]}...' is longer than {LONGEST_NAME} bytes. Choose a shorter name.")
    return name


def _profile(options: argparse.Namespace) -> Profile:
    """The named profile with the command line's own options on top."""
    profile = load_profile(options.profile, options.set)
    if options.data is not None:
        profile = replace(profile, data=replace(profile.data, source=options.data))
    if options.weights is not None:
        profile = replace(profile, weights=replace(profile.weights, source=options.weights))
    return profile


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m compute",
        description="Train a network with one map per class and record every epoch of it. "
        "The same command again resumes an unfinished run; a finished one is never overwritten.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{train,plan,table,analyse}")
    for name, text in (("train", "train and record (the default)"), ("plan", "say what train would take")):
        command = commands.add_parser(
            name, help=text, epilog=_settings_text(), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_run_options(command)
        command.set_defaults(function=_train)
    table = commands.add_parser("table", help="the paper's Table 1 from recorded runs")
    table.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs")
    table.add_argument("--markdown", action="store_true", help="as a Markdown table")
    table.set_defaults(function=_table)
    analyse = commands.add_parser("analyse", help="work out what spans the epochs of a run")
    analyse.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs")
    analyse.set_defaults(function=_analyse)
    return parser


def _add_run_options(command: argparse.ArgumentParser) -> None:
    known = ", ".join(profile_names())
    command.add_argument("--profile", default="quick", help=f"{known}, or a .toml file (default: quick)")
    command.add_argument("--data", help="phantom, tiny-imagenet, a folder or an archive (sets data.source)")
    command.add_argument("--weights", help="imagenet, none or a state dict's path (sets weights.source)")
    command.add_argument(
        "--run", "--name", help="name of the run (default: the profile's name); under torchrun write --name"
    )
    command.add_argument("--runs-dir", default="runs", help="where runs are kept (default: runs)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: auto)")
    command.add_argument(
        "--threads", type=int, default=0, help="CPU threads of the network (default: all cores; 1 on a busy machine)"
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting below; may be repeated"
    )
    command.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="begin no epoch that would end later than this after the start (exit code 75); the first always begins",
    )
    command.add_argument("--no-analysis", action="store_true", help="leave out the analysis at the end")


def _settings_text() -> str:
    """Every setting of a profile with its default, for --help."""
    lines = [f"  {name:32} {text} (default {default})" for name, default, text in settings_table()]
    return "settings of a profile, for --set:\n" + "\n".join(lines)
