"""How often does the Findings page state something that is false? `python -m bench nulls`

Runs are drawn of which it is known what is true, because it was drawn: classes that do not differ in what a statement
is about, variants that change nothing, maps that know nothing of the class or of the object. Each is written as a run,
analysed and read as the page reads it, so the whole way from the record to the sentence is tried. What such a run
states all the same is false; over all its statements together, 5 % of the runs of each kind may have one.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import document
from bench.null_kinds import CELLS, NULLS, VARIANTS, Draw, Null
from store import ClassInfo, RunDescription, Variant, create_run, open_run, resume_run
from store.analysis import Finding, from_table, read_analysis
from store.analysis.analyse import analyse
from store.metrics.intervals import wilson

RUNS = 300  # of each kind


def is_false(finding: Finding, null: Null) -> bool:
    """Whether a statement goes beyond what is measured and is false in runs of this kind."""
    words = {
        "localisation": ("The maps encode", "The maps locate", "The maps move"),
        "failure_ranking": (" better than", " less well than"),
        "surer": ("surer",),
    }
    states = finding.kind == "formation before prediction" or not np.isnan(finding.p)
    if finding.kind in words:
        states = any(word in finding.text for word in words[finding.kind])
    return states and finding.kind not in null.true


def write_null_run(path: Path, drawn: Draw, random: np.random.Generator) -> None:
    """Write a drawn run, with objects at random places, independent of everything."""
    epochs, variants, images, classes = drawn.logits.shape
    corners = random.integers(0, 8, size=(images, 2))
    description = RunDescription(
        name=path.name,
        classes=tuple(ClassInfo(f"c{i}", f"class {i}", f"group {i // 2}") for i in range(classes)),
        variants=tuple(map(Variant, VARIANTS[:variants])),
        labels=drawn.labels,
        image_names=tuple(f"{i}.png" for i in range(images)),
        image_shape=(16, 16),
        map_shape=CELLS,
        boxes=np.concatenate([corners, corners + 8], axis=1).astype(np.int16),
        planned_epochs=epochs,
        signed=drawn.signed,
        evidence="exact" if drawn.signed else "network",
    )
    pixels = random.integers(256, size=(images, 16, 16, 3), dtype=np.uint8)
    with create_run(path, description) as new:
        for variant in description.variant_names:
            new.write_images(variant, 0, pixels)
    writer = resume_run(path)
    shapes = np.broadcast_to(drawn.shapes, (*drawn.logits.shape, *CELLS))
    for epoch in range(epochs):
        with writer.epoch(epoch + 1, {}, threads=1) as recording:
            for number, variant in enumerate(description.variant_names):
                maps = shapes[epoch, number]
                if not drawn.signed:
                    logits = np.maximum(drawn.logits[epoch, number], 0)
                    maps = maps / maps.mean((-2, -1), keepdims=True) * logits[..., None, None]
                recording.write(variant, 0, maps.astype(np.float32))


def false_findings(null: Null, random: np.random.Generator) -> list[Finding]:
    """The false statements about one run of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "null"
        write_null_run(path, null.draw(random), random)
        run = open_run(path)
        analyse(run)
        analysis = read_analysis(run)
        assert analysis is not None
        return [entry for entry in from_table(analysis.table("findings")) if is_false(entry, null)]


@dataclass(frozen=True)
class Tried:
    """How many runs of a kind were tried, how many of them state something false, and of which kinds, as a text."""

    name: str
    runs: int
    false: int
    kinds: str = ""

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        low, high = (100 * float(limit) for limit in wilson(self.false, self.runs))
        what = NULLS[self.name].what if self.name in NULLS else ""
        share = f"{self.false} ({100 * self.false / self.runs:.1f} %)"
        return self.name, what, str(self.runs), share, f"{low:.1f} to {high:.1f} %", self.kinds


def try_kind(name: str, runs: int) -> Tried:
    """Draw so many runs of a kind, and count those that state something false."""
    random = np.random.default_rng(list(NULLS).index(name))
    kinds = [{entry.kind for entry in false_findings(NULLS[name], random)} for _ in range(runs)]
    counts = Counter(kind for found in kinds for kind in found)
    by_kind = ", ".join(f"{kind} {times}" for kind, times in counts.most_common()) or "none"
    return Tried(name, runs, sum(map(bool, kinds)), by_kind)


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the table of docs/findings.md."""
    parser = document.parser("nulls", __doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each kind (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=NULLS, metavar="KIND", help="print the rows of some kinds")
    parser.add_argument("--output", type=Path, default=document.ROOT / "docs" / "findings.md")
    options = parser.parse_args(arguments)
    tried = []
    for name in options.only or NULLS:
        tried.append(try_kind(name, options.runs))
        print(" | ".join(tried[-1].cells()), flush=True)
    if not options.only:
        command = "python -m bench nulls" + (f" --runs {options.runs}" if options.runs != RUNS else "")
        block = (
            f"\n{table(tried)}\n\n`store.analysis.findings` · `{command}`\n\n{document.now()}, {document.machine()}.\n"
        )
        options.output.write_text(document.replace_blocks(options.output.read_text("utf-8"), {"null": block}), "utf-8")
    return 0


def table(tried: Sequence[Tried]) -> str:
    """A row for each kind, and one for all those in which the page's error rate is promised."""
    promised = [each for each in tried if NULLS[each.name].promised]
    total = Tried("all that are promised", sum(each.runs for each in promised), sum(each.false for each in promised))
    headings = ("kind", "what is so", "runs", "with a false statement", "95 % interval", "of which kinds")
    return document.table(headings, [each.cells() for each in (*tried, total)], text_columns=len(headings))
