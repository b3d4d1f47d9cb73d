"""How often does the Findings page state something where there is nothing? A block of docs/findings.md.

The run's own predictions, logits and maps are shuffled so that each kind of tested statement has nothing to find while
sizes, ties and skew stay as they are; then statements are made and selected as usual, and each of them is false. The
share of shuffles with any statement, over all kinds together, must be 5 % at most.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import document
from bench.findings_table import AnalysedRun
from store import Variant
from store.analysis import finding_candidates
from store.analysis.checkpoint_selection import gains, mean_probabilities, memberships
from store.analysis.findings import Finding, select
from store.analysis.gather import EpochRecord
from store.analysis.tables import epoch_numbers, pair_series
from store.metrics import confusion, robustness
from store.metrics.intervals import wilson

SHUFFLES = 300  # of each run


@dataclass(frozen=True)
class ShuffledRun:
    """The parts of a run that statements need: its description, and the confusions of shuffled predictions (V, N)."""

    labels: NDArray[np.int64]
    classes: pd.DataFrame
    variants: tuple[str, ...]
    image_names: tuple[str, ...]
    predictions: NDArray

    def variant(self, name: str) -> Variant:
        """As `Run.variant`."""
        return Variant(name)

    def confusion(self, *, epoch: int, variant: str) -> NDArray[np.int64]:
        """As `Run.confusion`, of the shuffled predictions."""
        count = len(self.classes)
        pairs = self.labels * count + self.predictions[self.variants.index(variant)]
        return np.bincount(pairs, minlength=count**2).reshape(count, count)


class Shuffler:
    """A run's columns, and shuffles of them; each method leaves one kind of statement nothing to find."""

    def __init__(self, analysed: AnalysedRun) -> None:
        run = self.run = analysed.run
        self.images, self.clusters = (analysed.analysis.table(name) for name in ("images", "clusters"))
        last = run.epochs[-1]
        self.clean = run.columns("prediction", variant=run.variants[0])
        self.predictions = np.stack([run.column("prediction", epoch=last, variant=variant) for variant in run.variants])
        logits = np.stack([run.column("label_logit", epoch=last, variant=variant) for variant in run.variants])
        drops = logits[0] - logits.astype(np.float64)
        # Without the classes' means no class differs from the others; what is left is drawn from all images alike.
        count = np.bincount(run.labels)
        means = np.stack([np.bincount(run.labels, row) / np.maximum(count, 1) for row in drops])
        self.residuals = drops - means[:, run.labels]
        record = EpochRecord(run, run.epochs)
        self.members = memberships(record)
        self.correct = np.stack([mean_probabilities(record, each).argmax(1) for *_, each in self.members]) == run.labels

    def false_findings(self, random: np.random.Generator) -> list[Finding]:
        """The tested statements that one shuffle yields."""
        found = [*self._variants(random), *self._cues(random), *self._pairs(random)]
        found += [*self._clusters(random), *self._formation(random), *self._ensembles(random)]
        return select(found, most=len(found))

    def _inputs(
        self, predictions: NDArray, by_epoch: list[NDArray] | None = None, **tables: pd.DataFrame
    ) -> finding_candidates.FindingInputs:
        """The inputs of the functions that make statements.

        Args:
            predictions: at the last epoch, (V, N).
            by_epoch: predictions of each epoch, (V, N) or (1, N); only of the last unless given.
        """
        run = self.run
        shuffled = ShuffledRun(run.labels, run.classes, run.variants, run.image_names, predictions)
        record = EpochRecord(shuffled, run.epochs, predictions=by_epoch or [predictions])  # type: ignore[arg-type]
        return finding_candidates.FindingInputs(record, tables)

    def _variants(self, random: np.random.Generator) -> list[Finding]:
        """Each image's predictions are shuffled over the variants."""
        inputs = self._inputs(random.permuted(self.predictions, axis=0))
        return finding_candidates.predicted_as(inputs) + finding_candidates.accuracy_drops(inputs)

    def _cues(self, random: np.random.Generator) -> list[Finding]:
        """Each image's drops are shuffled over the classes."""
        run = self.run
        if len(run.variants) == 1:
            return []
        drops = self.residuals[:, random.permutation(len(run.labels))]
        cues = robustness.cue_profile(random.normal(size=len(run.labels)) - drops, run.labels, len(run.classes))
        tables = [
            pd.DataFrame({"variant": name, "class_index": range(len(run.classes)), "drop": drop, "error": error})
            for name, drop, error in zip(run.variants[1:], cues.drop[1:], cues.error[1:], strict=True)
        ]
        return finding_candidates.cues(self._inputs(self.predictions, cues=pd.concat(tables, ignore_index=True)))

    def _pairs(self, random: np.random.Generator) -> list[Finding]:
        """Each image's predictions are shuffled over the epochs."""
        run, dealt = self.run, random.permuted(self.clean, axis=0)
        ever, series, _ = pair_series(run.labels, list(dealt), len(run.classes))
        life = confusion.pair_events(series)
        columns = {
            "true_class_index": ever // len(run.classes),
            "predicted_class_index": ever % len(run.classes),
            "peak": epoch_numbers(run.epochs, life.peak),
            "resolved": epoch_numbers(run.epochs, life.resolved),
            "peak_count": life.peak_count,
            "last_count": series[-1],
        }
        by_epoch = [row[None] for row in dealt]
        return finding_candidates.resolved_pairs(self._inputs(self.predictions, by_epoch, pairs=pd.DataFrame(columns)))

    def _clusters(self, random: np.random.Generator) -> list[Finding]:
        """The predictions are shuffled among the images of each class."""
        labels = self.run.labels
        order = np.lexsort((random.random(len(labels)), labels))
        dealt = np.empty_like(self.clean[-1])
        dealt[np.argsort(labels, kind="stable")] = self.clean[-1][order]
        inputs = self._inputs(self.predictions, [dealt[None]], clusters=self.clusters, images=self.images)
        return finding_candidates.failing_clusters(inputs)

    def _formation(self, random: np.random.Generator) -> list[Finding]:
        """The formation epochs are shuffled over the images."""
        images = self.images.assign(formation=random.permutation(self.images["formation"].to_numpy()))
        return finding_candidates.formation(self._inputs(self.predictions, images=images))

    def _ensembles(self, random: np.random.Generator) -> list[Finding]:
        """By a coin for each image, the last epoch and the ensembles change roles."""
        swap = random.random(self.correct.shape[1]) < 0.5
        rows = []
        for (name, label, _), ensemble in zip(self.members, self.correct, strict=True):
            last, mixed = np.where(swap, ensemble, self.correct[0]), np.where(swap, self.correct[0], ensemble)
            rows.append({"name": name, "label": label, **gains(mixed, last)})
        return finding_candidates.ensembles(self._inputs(self.predictions, ensembles=pd.DataFrame(rows)))


def null_table(analysed: Sequence[AnalysedRun]) -> str:
    """How many of the shuffles of each run yield a false finding, and of which kinds."""
    rows = [count_false(Shuffler(each), SHUFFLES) for each in analysed]
    headings = ("run", "shuffles", "with a false finding", "95 % interval", "false findings by kind", "CPU s")
    return document.table(headings, rows, text_columns=len(headings))


def count_false(shuffler: Shuffler, shuffles: int) -> tuple[str, ...]:
    """A row of the table for one run."""
    started, random = time.process_time(), np.random.default_rng(0)
    kinds = [{finding.kind for finding in shuffler.false_findings(random)} for _ in range(shuffles)]
    false, counts = sum(map(bool, kinds)), Counter(kind for found in kinds for kind in found)
    low, high = (float(limit) for limit in wilson(false, shuffles))
    by_kind = ", ".join(f"{kind} {times}" for kind, times in counts.most_common()) or "none"
    share = (f"{false} ({100 * false / shuffles:.1f} %)", f"{100 * low:.1f} to {100 * high:.1f} %")
    return shuffler.run.path.name, str(shuffles), *share, by_kind, f"{time.process_time() - started:.0f}"
