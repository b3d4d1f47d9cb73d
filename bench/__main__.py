"""Measure store, compute and dashboard, each in a process of its own, and gather the figures in one document.

    python -m bench [store|compute|dashboard|soak ...] [--run runs/quick] [--data DATA] [--output FILE]

Without names all four are measured, which takes most of an hour; nothing else should be running. A part that is
measured replaces its section in the document and leaves the others as they are.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from bench import surroundings
from bench.server import ROOT

PARTS = {
    "store": ("Store", "bench.store_bench", ("--run", "{run}")),
    "compute": ("Compute", "bench.compute_bench", ()),
    "dashboard": ("Dashboard", "bench.dashboard_bench", ("--run", "{run}")),
    "soak": ("Dashboard: memory over a long walk", "bench.soak", ("--run", "{run}")),
}
OPENING = """# Benchmarks

Written by `python -m bench` (`make bench`). Each section says where, when and with what load beside it was measured.
Ratios between lines of one table carry over to other machines better than the figures themselves.
"""


def main() -> int:
    """Measure the parts asked for and write the document; 1 if a part failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"one of {', '.join(PARTS)}; default: all")
    parser.add_argument("--run", type=Path, default=Path("runs/quick"), help="a recorded run (default: %(default)s)")
    parser.add_argument("--data", help="images for the part compute, as for python -m compute (default: phantom)")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks.md")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part '{unknown[0]}'; there are {', '.join(PARTS)}.")
    if not (options.run / "run.h5").is_file():
        parser.error(f"there is no run at '{options.run}'; `make compute` makes one, or name another with --run.")
    failed = []
    for part in options.parts or PARTS:
        title, body, good = measured(part, options.run, options.data)
        failed += [] if good else [part]
        if body:
            write_section(options.output, title, body)
    print(f"Written to {options.output}." + (f" Failed: {', '.join(failed)}." if failed else ""), file=sys.stderr)
    return 1 if failed else 0


def measured(part: str, run: Path, data: str | None = None) -> tuple[str, str, bool]:
    """A part's title, its Markdown ('' where it cannot be measured here), and whether it went well."""
    title, module, arguments = PARTS[part]
    if find_spec(module) is None:
        print(f"Skipped: {part}, because the module {module} is not there.", file=sys.stderr)
        return title, "", True
    filled = [argument.format(run=run) for argument in arguments]
    filled += ["--data", data] if part == "compute" and data else []
    print(f"Measuring: python -m {module} {' '.join(filled)}", file=sys.stderr, flush=True)
    before = surroundings.load()
    done = subprocess.run([sys.executable, "-m", module, *filled], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"Failed: {part} ended with status {done.returncode}; its section is left as it was.", file=sys.stderr)
        return title, "", False
    reported = (
        f"`python -m {module} {' '.join(filled)}`, {surroundings.now()}.  \n{surroundings.machine()}.  \n"
        f"{surroundings.versions()}.  \nLoad average before: {before}; after: {surroundings.load()}."
    )
    return title, f"{reported}\n\n{done.stdout.strip()}", True


def write_section(document: Path, title: str, body: str) -> None:
    """Put a section into the document in place of the one with its title; the others stay, in the order of `PARTS`."""
    sections = read_sections(document.read_text("utf-8")) if document.is_file() else {}
    sections[title] = body
    order = [known for known, _, _ in PARTS.values()]
    ordered = sorted(sections, key=lambda name: order.index(name) if name in order else len(order))
    text = "\n".join([OPENING, *(f"## {name}\n\n{sections[name].strip()}\n" for name in ordered)])
    document.parent.mkdir(parents=True, exist_ok=True)
    unfinished = document.with_suffix(".new")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(document)


def read_sections(text: str) -> dict[str, str]:
    """The document's sections by title."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {title.strip(): body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}


if __name__ == "__main__":
    sys.exit(main())
