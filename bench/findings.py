"""Write the figures of docs/findings.md anew: `python -m bench.findings RUN [RUN ...]`

Each run is analysed (unless --keep), its figures are worked out from the record, and the document's blocks between
`<!-- figures: NAME -->` and `<!-- end -->` are replaced, all of them or `--only` some; the prose between them stays.
"""

from __future__ import annotations

import argparse
import math
import re
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import surroundings
from bench.server import ROOT
from store import Run, open_run
from store.analysis import Analysis, read_analysis
from store.analysis.analyse import analyse

BLOCK = re.compile(r"(<!-- figures: ([a-z_-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Subject:
    """A run with its analysis, and the processor seconds that the analysis took (NaN where it was kept)."""

    run: Run
    analysis: Analysis
    seconds: float

    @property
    def last(self) -> int:
        """The last recorded epoch."""
        return self.run.epochs[-1]

    @property
    def clean(self) -> str:
        """Name of the clean variant."""
        return self.run.variants[0]

    @property
    def phantom(self) -> bool:
        """Whether the correct predictions are known because the images were made."""
        return self.setting("data", "source") == "phantom"

    def setting(self, section: str, name: str) -> str:
        """A setting of the run's configuration; '–' where it does not say."""
        found = self.run.configuration.get(section, {})
        return str(found.get(name, "–") if isinstance(found, dict) else found)


Rows = Mapping[str, str]


def table(subjects: Sequence[Subject], rows: Callable[[Subject], Rows]) -> str:
    """A Markdown table with a row per figure and a column per run; '–' where a run has no such figure."""
    found = [rows(subject) for subject in subjects]
    labels = list(dict.fromkeys(label for each in found for label in each))
    names = [subject.run.path.name for subject in subjects]
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {label} | {' | '.join(each.get(label, '–') for each in found)} |" for label in labels]
    return "\n".join(lines)


def share(successes: float, of: float) -> str:
    """A share with its Wilson interval: '27 % [24, 30] (256 of 945)'."""
    from store.metrics.intervals import wilson

    if not of:
        return "–"
    low, high = (100 * float(edge) for edge in wilson(successes, of))
    return f"{100 * successes / of:.1f} % [{low:.1f}, {high:.1f}] ({int(successes)} of {int(of)})"


def figure(value: float, low: float, high: float, digits: int = 3) -> str:
    """A figure with its interval: '0.31 [0.30, 0.32]'; alone where that is endless, '–' where there is none."""
    if math.isnan(value):
        return "–"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def refreshed(document: str, blocks: Mapping[str, str]) -> str:
    """The document with the figures of each named block replaced; its other blocks stay.

    Raises:
        ValueError: the document has no place for one of the blocks.
    """
    places = [name for _, name, _ in BLOCK.findall(document)]
    missing = sorted(set(blocks) - set(places))
    if missing:
        raise ValueError(f"The document has no block for {', '.join(missing)}, only for {', '.join(places)}.")
    return BLOCK.sub(
        lambda match: f"{match[1]}{blocks[match[2]]}\n{match[3]}" if match[2] in blocks else match[0], document
    )


def examined(path: Path, *, keep: bool) -> Subject:
    """The run at `path` with its analysis, made anew and timed unless `keep`."""
    run = open_run(path)
    seconds = float("nan")
    if not keep:
        before = resource.getrusage(resource.RUSAGE_SELF)
        analyse(run)
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = read_analysis(run)
    if found is None:
        raise ValueError(f"The run '{path}' has no analysis: leave out --keep to make it.")
    return Subject(run, found, seconds)


def main() -> int:
    """Refresh the document; 1 if it has no place for some figures."""
    from bench.findings_sections import SECTIONS  # which needs the names above

    parser = argparse.ArgumentParser(prog="python -m bench.findings", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of recorded runs")
    parser.add_argument("--keep", action="store_true", help="take the analyses as they are")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, metavar="BLOCK", help="leave the other blocks as they are"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "findings.md")
    options = parser.parse_args()
    subjects = [examined(path, keep=options.keep) for path in options.runs]
    command = f"python -m bench.findings {' '.join(subject.run.path.name for subject in subjects)}"
    command += f" --only {' '.join(options.only)}" if options.only else ""
    blocks = {}
    for name in options.only or SECTIONS:
        print(f"Working out: {name}", file=sys.stderr, flush=True)
        blocks[name] = f"\n{SECTIONS[name].figures(subjects)}\n\n{SECTIONS[name].source} · `{command}`\n"
    dated = "runs" if "runs" in blocks else options.only[-1]
    blocks[dated] += f"\n{surroundings.now()}, {surroundings.machine()}.\n"
    try:
        text = refreshed(options.output.read_text("utf-8"), blocks)
    except ValueError as err:
        print(err, file=sys.stderr)
        return 1
    options.output.write_text(text, "utf-8")
    print(f"Written to {options.output}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
