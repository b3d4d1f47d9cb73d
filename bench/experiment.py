"""One experiment from data to tables: train and record a profile, verify the record, analyse it, write its results.

    python -m bench.experiment --profile paper --data DATA [--weights FILE] [--run NAME] [--time-limit SECONDS]

Resumes a run that is unfinished and trains nothing when it is complete. docs/results/NAME/ gets a page (README.md),
every table behind it as CSV and two images. With --time-limit a call ends between epochs with exit code 75, and the
same command goes on: 80 epochs fit into calls of a few minutes. --steps does one part at a time, --reduced leaves a
small copy of the run. Other exit codes: 0 done, 1 the record is damaged, 2 refused, 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench import results
from bench.results_charts import write_figure_2, write_patterns
from bench.results_page import Facts, page
from bench.server import ROOT
from compute import cli
from compute.config.profile import as_dict, load_profile
from compute.errors import BadOption, ComputeError
from store import Run, StoreError, open_run
from store.analysis import read_analysis
from store.check.verify import bytes_to_check, verify_run
from store.tools.prune import prune_run

STEPS = ("train", "verify", "analyse", "results")
DAMAGED, REFUSED = 1, 2
VERIFICATION = "verification.csv"
DECIDING = ("model", "training", "augmentation")  # sections in which a finished run must be what was asked for


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the steps asked for, and return the exit code; see the module."""
    options = _parser().parse_args(arguments)
    name = options.run or Path(options.profile).stem
    path, folder = Path(options.runs_dir) / name, options.results or ROOT / "docs" / "results" / name
    try:
        return _steps(options, path, folder)
    except (ComputeError, StoreError) as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)
        return REFUSED


def _steps(options: argparse.Namespace, path: Path, folder: Path) -> int:
    if "train" in options.steps and not finished(path, options):
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
        write_results(run, folder, title=Path(options.profile).stem, command=_told(options), note=options.note)
        print(f"Written to {folder}/README.md")
    if options.reduced:
        print(prune_run(run, options.reduced, epochs=options.keep_epochs, top=options.keep_top))
    return DAMAGED if damaged(folder) else 0


def finished(path: Path, options: argparse.Namespace) -> bool:
    """Whether the run at `path` is complete, so that nothing is left to train.

    Raises:
        BadOption: it is, but under other settings than those asked for.
    """
    if not (path / "run.h5").exists():
        return False
    run = open_run(path)
    if not run.complete:
        return False
    asked = as_dict(load_profile(options.profile, options.set))
    wrong = [
        f"{section}.{key}: {recorded[key]!r} recorded, {value!r} asked for"
        for section in DECIDING
        for recorded in (run.configuration.get(section, {}),)
        for key, value in asked[section].items()
        if key in recorded and recorded[key] != value
    ]
    if wrong:
        raise BadOption(
            f"The run '{path}' is complete, but it is another experiment ({'; '.join(wrong)}). Name another --run."
        )
    print(f"The run '{path}' is complete: nothing to train.")
    return True


def train_command(options: argparse.Namespace, path: Path) -> list[str]:
    """What python -m compute is asked to do."""
    words = ["train", "--profile", options.profile, "--run", path.name, "--runs-dir", str(path.parent), "--no-analysis"]
    for name in ("data", "weights", "device", "threads", "time_limit"):
        value = getattr(options, name)
        words += [f"--{name.replace('_', '-')}", str(value)] if value is not None else []
    return words + [part for text in options.set for part in ("--set", text)]


def verify(run: Run, folder: Path) -> None:
    """Re-reads every byte of the run and keeps what was found in verification.csv."""
    started, size = time.perf_counter(), bytes_to_check(run.path)
    findings = verify_run(run.path)
    seconds = time.perf_counter() - started
    facts = {"epochs": len(run.epochs), "bytes": size, "seconds": round(seconds, 1)}
    rows = [{"found": f"{finding}", **facts} for finding in findings] or [{"found": "nothing", **facts}]
    pd.DataFrame(rows).to_csv(folder / VERIFICATION, index=False)
    print(f"Verified {size / 1e9:.2f} GB in {seconds:.0f} s: {len(findings)} things are wrong")


def damaged(folder: Path) -> bool:
    """Whether the last verification, if there was one, found something wrong."""
    return (folder / VERIFICATION).exists() and list(pd.read_csv(folder / VERIFICATION)["found"]) != ["nothing"]


def verification(folder: Path) -> str:
    """What the last verification found, in words."""
    if not (folder / VERIFICATION).exists():
        return "not run"
    table = pd.read_csv(folder / VERIFICATION)
    first = table.iloc[0]
    amount = f"in {first['epochs']} epochs, {first['bytes'] / 1e9:.2f} GB, re-read in {first['seconds']:.0f} s"
    if not damaged(folder):
        return f"nothing wrong {amount}"
    return f"{len(table)} things wrong {amount}: {'; '.join(table['found'][:3])}"


def write_results(run: Run, folder: Path, *, title: str, command: str, note: str = "") -> None:
    """Every table as CSV, two images and the page."""
    tables = {
        "table1": results.table_1(run),
        "figure2": results.figure_2(run),
        "variants": results.variants(run),
        "formation": results.formation(run),
        "failure_detection": results.failure_detection(run),
        "throughput": results.throughput(run),
        "differences": results.differences(run),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    write_figure_2(tables["figure2"], folder / "figure2.svg")
    write_patterns(run, folder / "patterns.webp")
    (folder / "README.md").write_text(page(run, tables, Facts(title, command, verification(folder), note)), "utf-8")


def _told(options: argparse.Namespace) -> str:
    """The command without this machine's folders."""
    words = ["python -m bench.experiment", "--profile", Path(options.profile).name]
    words += ["--data", Path(options.data).name] if options.data else []
    words += ["--weights", Path(options.weights).name] if options.weights else []
    words += ["--run", options.run] if options.run else []
    return " ".join(words + [part for text in options.set for part in ("--set", text)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.experiment", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="quick", help="as for python -m compute (default: quick)")
    parser.add_argument("--data", help="as for python -m compute")
    parser.add_argument("--weights", help="as for python -m compute")
    parser.add_argument("--run", help="name of the run and of its folder of results (default: the profile's name)")
    parser.add_argument("--runs-dir", default="runs", help="where runs are kept (default: runs)")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="default: docs/results/NAME of the run")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:0")
    parser.add_argument("--threads", type=int, help="CPU threads of the network")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="of training in this call (exit code 75)")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="default: all, in this order")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--note", default="", help="a sentence for the page, such as what else the machine did")
    parser.add_argument("--reduced", type=Path, metavar="FOLDER", help="also leave a smaller copy of the run there")
    parser.add_argument(
        "--keep-epochs", type=int, nargs="+", metavar="EPOCH", help="epochs of that copy (default: all)"
    )
    parser.add_argument("--keep-top", type=int, default=3, help="maps of each image in that copy (default: 3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
