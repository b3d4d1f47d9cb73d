"""Measure the program, refresh the figures of the documents, or run an experiment.

    python -m bench [--run RUN] [--data DATA]             every benchmark, into docs/benchmarks.md
    python -m bench store|compute|dashboard|memory ...    one benchmark; further options are its own (--help)
    python -m bench findings RUN [RUN ...]                the figures of docs/findings.md
    python -m bench nulls                                 how often findings are false where nothing is to be found
    python -m bench results RUN                           the page, tables and images of docs/results/RUN
    python -m bench same_record OLD_RUN NEW_RUN           whether two versions of the code record the same
    python -m bench adoption [--cost]                     architectures of others, their maps and cost: docs/adoption.md
    python -m bench demo                                  the run that travels with the repository, in demo/
    python -m bench ablations [--data DATA] [--seeds 3]   the paper's network part by part: docs/ablations.md
    python -m bench bucket --run RUN                      a run in a bucket 20 ms away: requests, bytes and seconds
    python -m bench scale                                 50,000 images of 1,000 classes: writing, queries and pages

Each benchmark runs in a process of its own. All four take most of an hour; nothing else should be running. A benchmark
replaces its own section of the document and leaves the others as they are.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import document
from store.errors import StoreError
from store.terminal import accept_any_text

COMMANDS = ("findings", "nulls", "results", "same_record", "adoption", "ablations", "scale", "demo", "bucket")
BENCHMARKS = {
    "store": "Store",
    "compute": "Compute",
    "dashboard": "Dashboard",
    "memory": "Dashboard: memory over a long session",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command named first, or the benchmarks; 1 if one of them failed."""
    accept_any_text()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        try:
            return int(importlib.import_module(f"bench.{words[0]}").main(words[1:]) or 0)
        except StoreError as err:  # such as a run that does not exist
            print(err, file=sys.stderr)
            return 1
    if words and words[0] in BENCHMARKS and {"-h", "--help"} & set(words):  # its own options, not those of all
        return subprocess.run([sys.executable, "-m", f"bench.{words[0]}", "--help"]).returncode
    parser = document.parser("", __doc__)
    parser.add_argument("benchmark", nargs="?", choices=BENCHMARKS, help="only this one (default: all)")
    parser.add_argument("--run", default="runs/quick", help="a recorded run (default: %(default)s)")
    parser.add_argument("--data", help="images for the benchmark compute, as for python -m compute (default: phantom)")
    parser.add_argument("--output", type=Path, default=document.ROOT / "docs" / "benchmarks.md")
    options, own = parser.parse_known_args(words)
    if own and not options.benchmark:
        parser.error(f"unknown options {' '.join(own)}. Name one benchmark to give it options of its own.")
    if not Path(options.run, "run.h5").is_file():
        parser.error(f"there is no run at '{options.run}'. Make one with `make compute`, or name another with --run.")
    failed = []
    for name in [options.benchmark] if options.benchmark else BENCHMARKS:
        data = ["--data", options.data] if options.data else []
        body = measure(name, [*(data if name == "compute" else ["--run", options.run]), *own])
        if body:
            document.write_section(options.output, BENCHMARKS[name], body, order=list(BENCHMARKS.values()))
        else:
            failed.append(name)
    print(f"Written to {options.output}." + (f" Failed: {', '.join(failed)}." if failed else ""), file=sys.stderr)
    return int(bool(failed))


def measure(name: str, arguments: Sequence[str]) -> str:
    """The Markdown of one benchmark, headed by where and when it was measured; '' where it failed."""
    command = ["-m", f"bench.{name}", *arguments]
    print(f"Measuring: python {' '.join(command)}", file=sys.stderr, flush=True)
    before = document.load()
    # A process of its own: no benchmark inherits the threads, caches or memory of the one before.
    process = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    if process.returncode:
        print(f"Failed with status {process.returncode}: {name}. Its section stays as it was.", file=sys.stderr)
        return ""
    head = [
        f"`python -m bench {name} {' '.join(arguments)}`, {document.now()}.  ",
        f"{document.machine()}.  ",
        f"{document.versions()}.  ",
        f"Load average before: {before}; after: {document.load()}.",
    ]
    return "\n".join([*head, "", process.stdout.strip()])


if __name__ == "__main__":
    sys.exit(main())
