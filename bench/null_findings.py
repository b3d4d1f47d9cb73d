"""How often does the findings page claim something where there is nothing? `python -m bench.null_findings RUN`

The run's own predictions, scores and maps are shuffled so that each kind of tested statement has nothing to find while
sizes, ties and skew stay as they are; then the statements are made and selected as ever. A claim is a false one. The
share of shuffles with any claim, over all kinds together, is promised to be 5 % at most.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import surroundings
from bench.findings import refreshed
from store import Run, open_run
from store.analysis import events, findings_learning, findings_network, findings_perturbation, read_analysis
from store.analysis.checkpoint_selection import gains, mean_probabilities, memberships
from store.analysis.findings import Finding, select
from store.analysis.gather import EpochRecord
from store.metrics import confusion, robustness
from store.metrics.intervals import wilson

HEADING = """| run | shuffles | with a false claim | 95 % interval | false claims by kind | CPU s |
|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Shuffled:
    """What statements ask of a run: its description, and the confusions of shuffled predictions (V, N)."""

    labels: NDArray[np.int64]
    classes: pd.DataFrame
    variants: tuple[str, ...]
    image_names: tuple[str, ...]
    predictions: NDArray

    def confusion(self, *, epoch: int, variant: str) -> NDArray[np.int64]:
        """As `Run.confusion`, of the shuffled predictions."""
        count = len(self.classes)
        pairs = self.labels * count + self.predictions[self.variants.index(variant)]
        return np.bincount(pairs, minlength=count**2).reshape(count, count)


class Null:
    """A run's columns, and shuffles of them."""

    def __init__(self, run: Run, images: pd.DataFrame, clusters: pd.DataFrame) -> None:
        self.run, self.images, self.clusters = run, images, clusters
        last = run.epochs[-1]
        self.clean = run.columns("prediction", variant=run.variants[0])
        self.predictions = np.stack([run.column("prediction", epoch=last, variant=variant) for variant in run.variants])
        scores = np.stack([run.column("label_logit", epoch=last, variant=variant) for variant in run.variants])
        drops = scores[0] - scores.astype(np.float64)
        # Without the classes' means no class differs from the others; what is left is drawn from all images alike.
        count = np.bincount(run.labels)
        means = np.stack([np.bincount(run.labels, row) / np.maximum(count, 1) for row in drops])
        self.residuals = drops - means[:, run.labels]
        record = EpochRecord(run, run.epochs)
        self.members = memberships(record)
        self.right = np.stack([mean_probabilities(record, each).argmax(1) for _, _, each in self.members]) == run.labels

    def claims(self, random: np.random.Generator) -> list[Finding]:
        """The tested statements that one shuffle yields."""
        found = [*self._variants(random), *self._cues(random), *self._pairs(random)]
        found += [*self._clusters(random), *self._forming(random), *self._ensembles(random)]
        return select(found, most=len(found))

    def _tables(
        self, predictions: NDArray, columns: list[NDArray], **tables: pd.DataFrame
    ) -> findings_perturbation.FindingInputs:
        run = self.run
        shuffled = Shuffled(run.labels, run.classes, run.variants, run.image_names, predictions)
        record = EpochRecord(shuffled, run.epochs, predictions=predictions)  # type: ignore[arg-type]
        return findings_perturbation.FindingInputs(record, tables)

    def _variants(self, random: np.random.Generator) -> list[Finding]:
        """Each image's predictions are dealt to the variants anew."""
        dealt = random.permuted(self.predictions, axis=0)
        tables = self._tables(dealt, [dealt])
        return findings_perturbation.predicted_as(tables) + findings_perturbation.accuracy_lost(tables)

    def _cues(self, random: np.random.Generator) -> list[Finding]:
        """Each image's drops are dealt to the classes anew."""
        run = self.run
        if len(run.variants) == 1:
            return []
        drops = self.residuals[:, random.permutation(len(run.labels))]
        cues = robustness.cue_profile(random.normal(size=len(run.labels)) - drops, run.labels, len(run.classes))
        rows = [
            pd.DataFrame({"variant": name, "class_index": range(len(run.classes)), "drop": drop, "error": error})
            for name, drop, error in zip(run.variants[1:], cues.drop[1:], cues.error[1:], strict=True)
        ]
        return findings_perturbation.cues(self._tables(self.predictions, [], cues=pd.concat(rows, ignore_index=True)))

    def _pairs(self, random: np.random.Generator) -> list[Finding]:
        """Each image's predictions are dealt to the epochs anew."""
        run, dealt = self.run, random.permuted(self.clean, axis=0)
        ever, series, _ = events.pair_series(run.labels, list(dealt), len(run.classes))
        life = confusion.pair_events(series)
        sides = {"true_class_index": ever // len(run.classes), "predicted_class_index": ever % len(run.classes)}
        numbers = {
            name: events.epoch_numbers(run.epochs, position)
            for name, position in (("peak", life.peak), ("resolved", life.resolved))
        }
        pairs = pd.DataFrame({**sides, **numbers, "peak_count": life.peak_count, "last_count": series[-1]})
        return findings_learning.pairs_overcome(
            self._tables(self.predictions, [row[None] for row in dealt], pairs=pairs)
        )

    def _clusters(self, random: np.random.Generator) -> list[Finding]:
        """The predictions are dealt anew among the images of each class."""
        labels = self.run.labels
        order = np.lexsort((random.random(len(labels)), labels))
        dealt = np.empty_like(self.clean[-1])
        dealt[np.argsort(labels, kind="stable")] = self.clean[-1][order]
        return findings_learning.failing_clusters(
            self._tables(self.predictions, [dealt[None]], clusters=self.clusters, images=self.images)
        )

    def _forming(self, random: np.random.Generator) -> list[Finding]:
        """The formation epochs are dealt to the images anew."""
        images = self.images.assign(formation=random.permutation(self.images["formation"].to_numpy()))
        return findings_learning.forming(self._tables(self.predictions, [], images=images))

    def _ensembles(self, random: np.random.Generator) -> list[Finding]:
        """By a coin for each image, the last epoch and the ensembles change roles."""
        swap = random.random(self.right.shape[1]) < 0.5
        rows = []
        for (name, label, _), after in zip(self.members, self.right, strict=True):
            before, mine = np.where(swap, after, self.right[0]), np.where(swap, self.right[0], after)
            rows.append({"name": name, "label": label, **gains(mine, before)})
        return findings_network.together(self._tables(self.predictions, [], ensembles=pd.DataFrame(rows)))


def main() -> int:
    """Shuffle, count the claims and print them as Markdown; 1 if there are surely more than promised."""
    parser = argparse.ArgumentParser(prog="python -m bench.null_findings", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of analysed runs")
    parser.add_argument("--shuffles", type=int, default=200, help="shuffles of each run (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="also refresh the block of this document")
    options = parser.parse_args()
    lines, worst = [HEADING], 0.0
    for path in options.runs:
        run = open_run(path)
        analysis = read_analysis(run)
        if analysis is None:
            parser.error(f"the run '{path}' has no analysis; `python -m compute analyse {path}` makes it.")
        line, low = counted(Null(run, analysis.table("images"), analysis.table("clusters")), options.shuffles)
        lines.append(line)
        worst = max(worst, low)
    reported = "\n".join(lines)
    print(reported)
    if options.output:
        names = " ".join(path.name for path in options.runs)
        command = f"`python -m bench.null_findings {names} --shuffles {options.shuffles}`, {surroundings.now()}"
        text = refreshed(options.output.read_text("utf-8"), {"null": f"\n{reported}\n\n{command}\n"})
        options.output.write_text(text, "utf-8")
    return int(worst > 0.05)


def counted(null: Null, shuffles: int) -> tuple[str, float]:
    """A row of the table for one run, and the lower bound of the share of shuffles with a false claim."""
    started, random = time.process_time(), np.random.default_rng(0)
    kinds = [{entry.kind for entry in null.claims(random)} for _ in range(shuffles)]
    false, each = sum(map(bool, kinds)), Counter(kind for found in kinds for kind in found)
    low, high = (float(edge) for edge in wilson(false, shuffles))
    reported = ", ".join(f"{kind} {times}" for kind, times in each.most_common()) or "none"
    share = f"{false} ({100 * false / shuffles:.1f} %) | {100 * low:.1f} to {100 * high:.1f} %"
    return f"| {null.run.name} | {shuffles} | {share} | {reported} | {time.process_time() - started:.0f} |", low


if __name__ == "__main__":
    sys.exit(main())
