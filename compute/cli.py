"""The commands of `python -m compute`. Printing and exit codes live here; everything else raises."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from socket import gaierror
from typing import TYPE_CHECKING
from urllib.error import URLError

from compute.config.profile import load_profile, profile_names, settings_table
from compute.config.settings import Profile
from compute.errors import BadOption, ComputeError
from compute.record_options import add_record_options, default_name, request_of
from compute.runs.interrupt import STOP_MESSAGE, STOPPED, Interrupted, OutOfTime, StopRequest, TimeLimit
from store import DamagedFile, open_run
from store.analysis import from_table, read_analysis
from store.analysis.analyse import analyse
from store.errors import StoreError
from store.format.layout import RUN_FILE
from store.queries.table1 import as_text, recorded_result, table1
from store.terminal import accept_any_text, add_version

if TYPE_CHECKING:  # at run time torch is loaded only by the commands that need it
    from compute.runs.record import RecordRequest
    from compute.runs.run import Job
    from compute.training.distributed import Processes

OUT_OF_TIME = 75  # EX_TEMPFAIL, "try again": a job queue can run the same command again to resume
REFUSED = 2
CLOSED = 141  # as a shell reports a program that a closed pipe ended
LONGEST_NAME = 200  # bytes; file systems allow 255, and some file names extend the run's name
MOST_SEEDS = 100
RESUME = "Run the same command again to resume."


def main(arguments: Sequence[str], stop: StopRequest | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 refused; 130 stopped and 75 out of time, both resumable.

    Args:
        arguments: the command line after `python -m compute`.
        stop: the handler of this program's signals, if there is one.
    """
    accept_any_text()
    parser = _parser()
    if not arguments:
        parser.print_help()
        return 0
    options = parser.parse_args(arguments)
    options.stop = stop or StopRequest()
    try:
        return options.function(options)
    except BrokenPipeError:  # the reader of a pipe has closed it, such as `| head`
        sys.stderr.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        return CLOSED
    except OSError as err:
        print(f"\n{type(err).__name__}: {err}. {_remedy(err)}", file=sys.stderr)
        return REFUSED
    except (ComputeError, StoreError) as err:
        notes = "".join(f" ({note})" for note in getattr(err, "__notes__", ()))
        print(f"\n{type(err).__name__}: {err}{notes}", file=sys.stderr)
        return REFUSED


def _remedy(err: OSError) -> str:
    """What to check after an error of the operating system that nothing closer to it has explained."""
    if isinstance(err, URLError | ConnectionError | TimeoutError | gaierror):
        return "Check the network and the address, and run the same command again."
    return "Check the folder, its permissions and its free space."


def _train_or_plan(options: argparse.Namespace) -> int:
    profile, name = _profile(options), _run_name(options)
    if options.seeds is None:
        return _run_jobs(options, {name: _training_job(options, profile)})
    if not 1 < options.seeds <= MOST_SEEDS:
        raise BadOption(f"--seeds {options.seeds} is invalid: allowed are 2 to {MOST_SEEDS} trainings.")
    first, jobs = profile.training.seed, {}
    for seed in range(first, first + options.seeds):
        seeded = replace(profile, training=replace(profile.training, seed=seed))
        jobs[f"{name}-seed{seed}"] = _training_job(options, seeded, group=name)
    code = _run_jobs(options, jobs)
    if code == 0 and options.command == "train" and int(os.environ.get("RANK", "0")) == 0:
        runs = [open_run(Path(options.runs_dir) / each) for each in jobs]
        print(as_text(table1([recorded_result(run) for run in runs], paper=False)))
    return code


def _training_job(options: argparse.Namespace, profile: Profile, *, group: str = "") -> Callable[[Processes], Job]:
    """What prepares a training when it is its turn; `group` names those that differ in their seed alone."""

    def job(processes: Processes) -> Job:
        from compute.runs.prepare import prepare
        from compute.runs.run import TrainingJob

        return TrainingJob(replace(prepare(profile, device=options.device, processes=processes), group=group))

    return job


def _record(options: argparse.Namespace) -> int:
    name, splits = _run_name(options), dict.fromkeys(options.split or ("",))
    names = [f"{name}-{split.replace('/', '-')}" for split in splits] if len(splits) > 1 else [name]
    requests = [request_of(options, split) for split in splits]
    return _run_jobs(options, {name: _recording_job(options, each) for name, each in zip(names, requests, strict=True)})


def _recording_job(options: argparse.Namespace, request: RecordRequest) -> Callable[[Processes], Job]:
    """What prepares a recording when it is its turn."""

    def job(processes: Processes) -> Job:
        from compute.runs.record import RecordingJob, prepare_recording

        return RecordingJob(prepare_recording(request, device=options.device, processes=processes))

    return job


def _run_jobs(options: argparse.Namespace, jobs: Mapping[str, Callable[[Processes], Job]]) -> int:
    """Plans and does what is left of runs, one after the other, in this process or in several.

    Args:
        jobs: by the name of the run.
    """
    from compute.runs.device import choose_device, use_threads
    from compute.training.distributed import join_process_group

    if options.time_limit is not None and not options.time_limit > 0:
        raise BadOption(f"--time-limit {options.time_limit:g} is invalid: allowed are seconds greater than 0.")
    use_threads(options.threads)  # before any computation: the thread count changes the last bits
    folder = _runs_folder(options)
    for name in jobs:
        _check_place(folder / name)
    with join_process_group(choose_device(options.device)) as processes:
        limit = TimeLimit(options.time_limit, processes) if options.time_limit else None
        for name, job_of in jobs.items():
            code = _run_in_group(options, job_of(processes), folder / name, processes, limit)
            if code:
                return code
    return 0


def _run_in_group(
    options: argparse.Namespace, job: Job, path: Path, processes: Processes, limit: TimeLimit | None
) -> int:
    from compute.recording.run_recorder import lock_run, open_or_create, open_writer, run_exists

    only_plan = options.command == "plan" or getattr(options, "plan", False)
    is_new = not run_exists(path)
    processes.wait()  # before the first process creates it
    material = job.material(path)
    complete = () if is_new else open_writer(path, material, processes).complete_epochs
    left = job.left(complete)
    if left <= 0:
        # a run that was stopped before its analysis is analysed now
        if not only_plan and processes.first and not options.no_analysis and not _is_analysed(path):
            _analyse(path)
        _say(processes, f"The run '{path}' is complete (epochs recorded: {len(complete)}). {_next_step(path)}")
        return 0
    plan = job.plan(path, left, is_new=is_new)
    _say(processes, plan.text)
    plan.check(path)
    if only_plan:
        return 0
    try:
        with lock_run(path, processes):
            writer = open_or_create(path, material, processes)
            with options.stop.between_batches(processes):
                job.run(writer, options.stop, limit)
    except OutOfTime:
        _say(processes, f"\nThe time limit is near. The complete epochs in '{path}' are kept. {RESUME}")
        return OUT_OF_TIME
    except Interrupted:
        _say(processes, STOP_MESSAGE)
        return STOPPED
    processes.wait()  # the last epoch is complete when every process has written its part
    if processes.first and not options.no_analysis:
        _analyse(path)
    _say(processes, f"The run '{path}' is complete. {_next_step(path)}")
    return 0


def _next_step(path: Path) -> str:
    """How to open the dashboard on the run at `path`."""
    folder = "" if path.parent == Path("runs") else f" RUNS='{path.parent}'"
    return f"Look at it with: make dashboard{folder}"


def _say(processes: Processes, text: str) -> None:
    """Prints from the first process only."""
    if processes.first:
        print(text, flush=True)


def _print_table(options: argparse.Namespace) -> int:
    results = [recorded_result(open_run(path)) for path in options.runs]
    print(as_text(table1(results, paper=False), markdown=options.markdown))
    return 0


def _analyse_all(options: argparse.Namespace) -> int:
    for path in options.runs:
        _analyse(Path(path))
    return 0


def _analyse(path: Path) -> None:
    """Computes the cross-epoch analysis of the run at `path`, writes it beside the run and prints its findings."""
    started = time.perf_counter()
    run = open_run(path)
    written = analyse(run)
    seconds = time.perf_counter() - started
    print(f"Analysed '{run.path}', epochs: {len(run.epochs)}, in {seconds:.1f} s: {written.name}")
    analysis = read_analysis(run)
    findings = from_table(analysis.table("findings")) if analysis is not None else []
    for number, finding in enumerate(findings, start=1):
        print(f"{number:3d}. {finding.text}")


def _is_analysed(path: Path) -> bool:
    """Whether there is a readable analysis of all epochs of the run at `path`."""
    run = open_run(path)
    try:
        analysis = read_analysis(run)
    except DamagedFile:
        return False
    return analysis is not None and not analysis.stale(run)


def _runs_folder(options: argparse.Namespace) -> Path:
    """The folder of the runs; raises BadOption where it is itself a run."""
    folder = Path(options.runs_dir)
    if (folder / RUN_FILE).exists():
        raise BadOption(
            f"--runs-dir '{folder}' is itself a run. Name the folder around it: "
            f"--runs-dir '{folder.resolve().parent}' --run '{folder.resolve().name}'."
        )
    return folder


def _check_place(path: Path) -> None:
    """Returns if there may be a run at `path`, before any work; raises BadOption where none can be written."""
    path = Path(os.path.realpath(path.parent)) / path.name  # not the run itself, which may be a link to nowhere
    existing = next(each for each in (path, *path.parents) if os.path.lexists(each))
    problem = "is not a folder" if not existing.is_dir() else ""
    if not problem and existing != path and not os.access(existing, os.W_OK | os.X_OK):
        problem = "can't be written into"
    if problem:
        raise BadOption(
            f"The run '{path}' can't be recorded: '{existing}' {problem}. Choose another --runs-dir or --run."
        )


def _run_name(options: argparse.Namespace) -> str:
    """The name of the run's folder inside the folder of runs.

    Raises:
        BadOption: the name is empty, hidden, too long, a path, or contains control characters.
    """
    name = options.run
    if name is None:
        name = default_name(options.model) if options.command == "record" else Path(options.profile).stem
    if not name.strip() or name.startswith(".") or "/" in name or os.sep in name or not name.isprintable():
        raise BadOption(
            f"--run {name!r} cannot be the name of a run. "
            f"Choose one without slashes, a leading dot or control characters."
        )
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise BadOption(f"--run '{name[:20]}...' is longer than {LONGEST_NAME} bytes. Choose a shorter name.")
    return name


def _profile(options: argparse.Namespace) -> Profile:
    """The named profile, changed by --set, --data, --weights and --partial-weights."""
    profile = load_profile(options.profile, options.set)
    if options.data is not None:
        profile = replace(profile, data=replace(profile.data, source=options.data))
    if options.weights is not None:
        profile = replace(profile, weights=replace(profile.weights, source=options.weights))
    if options.partial_weights:
        profile = replace(profile, weights=replace(profile.weights, partial=True))
    return profile


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m compute",
        description="Train a network with one map per class, or take a trained one, and record every epoch of it. "
        "Run the same command again to resume an unfinished run; a complete one is never overwritten.",
        epilog="Options of a command: python -m compute COMMAND --help",
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("train", "train and record a run, or resume it"),
        ("plan", "estimate the time and disk space that train would take, without starting it"),
    ):
        command = commands.add_parser(
            name, help=text, epilog=_settings_text(), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_training_options(command)
        _add_common_options(command)
        command.set_defaults(function=_train_or_plan)
    command = commands.add_parser("record", help="record a trained network from its checkpoints, or resume that")
    add_record_options(command)
    _add_common_options(command)
    command.set_defaults(function=_record)
    table = commands.add_parser("table", help="print the columns of the paper's Table 1 for recorded runs")
    table.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs")
    table.add_argument("--markdown", action="store_true", help="print a Markdown table")
    table.set_defaults(function=_print_table)
    command = commands.add_parser("analyse", help="compute the cross-epoch analysis of a run and print its findings")
    command.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs")
    command.set_defaults(function=_analyse_all)
    return parser


def _add_training_options(command: argparse.ArgumentParser) -> None:
    built_in = ", ".join(profile_names())
    command.add_argument("--profile", default="quick", help=f"{built_in}, or a .toml file (default: quick)")
    command.add_argument(
        "--data", help="phantom, tiny-imagenet, torchvision:NAME, hf:FOLDER, a folder or an archive (sets data.source)"
    )
    command.add_argument("--weights", help="imagenet, none or a file of weights (sets weights.source)")
    command.add_argument(
        "--partial-weights", action="store_true", help="accept a file that fills less than half of the encoder"
    )
    command.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="train N runs that differ in training.seed alone, NAME-seed0 and so on, to see what is chance",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting of the profile, listed below; may be repeated",
    )


def _add_common_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--run", "--name", help="name of the run (default: that of the profile or model); under torchrun write --name"
    )
    command.add_argument("--runs-dir", default="runs", help="folder of the runs (default: runs)")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0 (default: auto)")
    command.add_argument(
        "--threads", type=int, default=0, help="CPU threads of the network (default: all cores; 1 on a busy machine)"
    )
    command.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="start no epoch that would end after this time (exit code 75); the first epoch always starts",
    )
    command.add_argument("--no-analysis", action="store_true", help="skip the cross-epoch analysis at the end")


def _settings_text() -> str:
    """Every setting of a profile with its default, for --help."""
    lines = [f"  {name:32} {text} (default {default})" for name, default, text in settings_table()]
    heading = "settings (--set SECTION.KEY=VALUE, or a profile's TOML file) and the default where a profile sets none:"
    return "\n".join([heading, *lines])
