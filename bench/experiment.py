"""One experiment from data to tables: train and record a profile, verify the record, analyse it, write its results.

    python -m bench experiment --profile paper --data DATA [--weights FILE] [--run NAME] [--time-limit SECONDS]

An unfinished run is resumed and a complete one is not trained again. docs/results/NAME/ gets a page (README.md), every
table behind it as CSV and two images. With --time-limit a call ends between epochs with exit code 75; run the same
command again to resume, so that 80 epochs fit into calls of a few minutes. --steps runs one part at a time. Other exit
codes: 0 done, 1 the record is damaged, 2 refused, 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench import document, results
from bench.results_charts import write_figure_2, write_patterns
from compute import cli
from compute.config.profile import as_dict, load_profile
from compute.errors import BadOption, ComputeError
from store import Run, StoreError, open_run
from store.analysis import read_analysis
from store.check.verify import bytes_to_check, verify_run

STEPS = ("train", "verify", "analyse", "results")
DAMAGED, REFUSED = 1, 2
VERIFICATION = "verification.csv"
COMPARED = ("model", "training", "augmentation")  # sections in which a complete run must match the request


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the requested steps, and return the exit code; see the module."""
    options = _parser().parse_args(arguments)
    name = options.run or Path(options.profile).stem
    path, folder = Path(options.runs_dir) / name, options.results or document.ROOT / "docs" / "results" / name
    try:
        return _run_steps(options, path, folder)
    except (ComputeError, StoreError) as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return REFUSED


def _run_steps(options: argparse.Namespace, path: Path, folder: Path) -> int:
    if "train" in options.steps and not is_complete(path, options):
        code = cli.main(train_command(options, path))
        if code:
            return code
    run = open_run(path)
    folder.mkdir(parents=True, exist_ok=True)
    if "verify" in options.steps:
        verify(run, folder)
    if "analyse" in options.steps:
        analysis = read_analysis(run)
        if analysis is None or analysis.stale(run):
            cli.main(["analyse", str(path)])
    if "results" in options.steps:
        origin = results.Origin(Path(options.profile).stem, _command(options), verification(folder), options.note)
        write_results(run, folder, origin)
        print(f"Written to {folder}/README.md")
    return DAMAGED if is_damaged(folder) else 0


def is_complete(path: Path, options: argparse.Namespace) -> bool:
    """Whether the run at `path` is complete, so that nothing is left to train.

    Raises:
        BadOption: it is, but with settings other than those requested.
    """
    if not (path / "run.h5").exists() or not open_run(path).complete:
        return False
    recorded, asked = open_run(path).configuration, as_dict(load_profile(options.profile, options.set))
    different = [
        f"{section}.{key}: {recorded[section][key]!r} recorded, {value!r} requested"
        for section in COMPARED
        for key, value in asked[section].items()
        if key in recorded.get(section, {}) and recorded[section][key] != value
    ]
    if different:
        raise BadOption(
            f"The run '{path}' has different settings ({'; '.join(different)}). Choose another name with --run."
        )
    print(f"The run '{path}' is complete: nothing to train.")
    return True


def train_command(options: argparse.Namespace, path: Path) -> list[str]:
    """The arguments for python -m compute."""
    words = ["train", "--profile", options.profile, "--run", path.name, "--runs-dir", str(path.parent), "--no-analysis"]
    for name in ("data", "weights", "device", "threads", "time_limit"):
        value = getattr(options, name)
        words += [f"--{name.replace('_', '-')}", value] if value is not None else []
    return words + [part for text in options.set for part in ("--set", text)]


def verify(run: Run, folder: Path) -> None:
    """Read every byte of the run again, and write the problems found to verification.csv."""
    started, size = time.perf_counter(), bytes_to_check(run.path)
    problems = [str(problem) for problem in verify_run(run.path)]
    seconds = time.perf_counter() - started
    facts = {"epochs": len(run.epochs), "bytes": size, "seconds": round(seconds, 1)}
    pd.DataFrame([{"found": text, **facts} for text in problems or ["nothing"]]).to_csv(
        folder / VERIFICATION, index=False
    )
    print(f"Verified {size / 1e9:.2f} GB in {seconds:.0f} s: {len(problems)} problems found")


def is_damaged(folder: Path) -> bool:
    """Whether the last verification, if there was one, found problems."""
    return (folder / VERIFICATION).exists() and list(pd.read_csv(folder / VERIFICATION)["found"]) != ["nothing"]


def verification(folder: Path) -> str:
    """A summary of the last verification."""
    if not (folder / VERIFICATION).exists():
        return "not run"
    table = pd.read_csv(folder / VERIFICATION)
    first = table.iloc[0]
    amount = f"in {first['epochs']} epochs, {first['bytes'] / 1e9:.2f} GB, read again in {first['seconds']:.0f} s"
    if not is_damaged(folder):
        return f"no problems found {amount}"
    return f"{len(table)} problems found {amount}: {'; '.join(table['found'][:3])}"


def write_results(run: Run, folder: Path, origin: results.Origin) -> None:
    """Every table as CSV, two images and the page."""
    tables = {name: section.table(run) for name, section in results.SECTIONS.items()}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    write_figure_2(tables["figure2"], folder / "figure2.svg")
    write_patterns(run, folder / "patterns.webp")
    (folder / "README.md").write_text(results.results_page(run, tables, origin), "utf-8")


def _command(options: argparse.Namespace) -> str:
    """The command without this machine's folders."""
    words = ["python -m bench experiment", "--profile", Path(options.profile).name]
    words += ["--data", Path(options.data).name] if options.data else []
    words += ["--weights", Path(options.weights).name] if options.weights else []
    words += ["--run", options.run] if options.run else []
    return " ".join(words + [part for text in options.set for part in ("--set", text)])


def _parser() -> argparse.ArgumentParser:
    parser = document.parser("experiment", __doc__)
    for name in ("--data", "--weights", "--device", "--threads"):
        parser.add_argument(name, help="as for python -m compute")
    parser.add_argument("--profile", default="quick", help="as for python -m compute (default: quick)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--time-limit", metavar="SECONDS", help="of training in this call (exit code 75)")
    parser.add_argument("--run", help="name of the run and of its folder of results (default: the profile's name)")
    parser.add_argument("--runs-dir", default="runs", help="the folder of the runs (default: runs)")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="default: docs/results/NAME of the run")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="default: all, in this order")
    parser.add_argument("--note", default="", help="a sentence for the page, for instance on the machine's other load")
    return parser
