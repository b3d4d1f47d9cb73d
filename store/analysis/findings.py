"""Findings: the most striking true statements about a run, each computed, with its interval and a link.

A statement is either a measurement or a claim. A measurement (a share, a mean, a count) says what is so in this run's
images, whatever it is. A claim says that something goes beyond chance, and it is made only if its test allows it: its
p-value, adjusted for everything that it was picked from, has to stay below 5 % over the number of kinds of claims
(Bonferroni). So the chance that a page makes any false claim is 5 % at most, whatever else is true of the run, and the
intervals of claims hold jointly at 95 %. Measurements have 95 % intervals of their own. All of it generalises to other
images of the same classes, not to another training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

ERROR_RATE = 0.05  # of any false tested statement about a run
PER_KIND = 2
MOST = 12  # statements on a page
# The network was built to answer these: they are reported whatever the answer is, and their test decides which it is.
ALWAYS_REPORTED = ("failure_ranking", "localisation", "seed")
TESTED_KINDS = (
    *("predicted as", "group predicted as", "accuracy", "cue", "pair", "cluster", "formation", "ensemble"),
    *("formation before prediction", "surer"),
    *ALWAYS_REPORTED,
)
RATE = ERROR_RATE / len(TESTED_KINDS)  # of any false claim of one kind


@dataclass(frozen=True)
class Finding:
    """One statement. `value` with its interval in `unit`; `page` and `query` link to where it is shown.

    strength: 0..1, how striking, for the order.
    p: adjusted for the `comparisons` that it was picked from, NaN for a measurement.
    no_effect: what the value would be if there were no effect, NaN where it is not compared with anything.
    """

    kind: str
    text: str
    value: float
    low: float
    high: float
    unit: str
    page: str
    strength: float
    p: float = float("nan")
    comparisons: int = 1
    no_effect: float = float("nan")
    query: Mapping[str, Any] = field(default_factory=dict)


def adjusted(p: float, comparisons: int) -> float:
    """A p-value after Bonferroni's correction for the number of comparisons, at most 1."""
    return float(min(1.0, p * comparisons))


def joint_level(comparisons: int) -> float:
    """Level of a single interval so that `comparisons` of each kind of claim hold jointly at 95 %."""
    return 1 - RATE / max(comparisons, 1)


def select(candidates: Sequence[Finding], *, most: int = MOST) -> list[Finding]:
    """The strongest measurements and significant claims; kinds in ALWAYS_REPORTED are always among them.

    At most two of a kind, and these of different classes. The second one counts half, so that a page shows different
    things rather than one thing twice.
    """
    waiting = [entry for entry in candidates if may_report(entry)]
    chosen: list[Finding] = []

    def priority(entry: Finding) -> tuple[bool, float]:
        return entry.kind in ALWAYS_REPORTED, entry.strength / 2 ** sum(other.kind == entry.kind for other in chosen)

    while waiting and len(chosen) < most:
        best = waiting.pop(max(range(len(waiting)), key=lambda position: priority(waiting[position])))
        same_kind = [entry for entry in chosen if entry.kind == best.kind]
        classes = {entry.query["class"] for entry in same_kind if "class" in entry.query}
        if len(same_kind) < PER_KIND and best.query.get("class") not in classes:
            chosen.append(best)
    return sorted(chosen, key=lambda entry: -entry.strength)


def may_report(finding: Finding) -> bool:
    """Whether a statement is a measurement, a significant claim, or one that is reported whatever its answer is."""
    return bool(np.isnan(finding.p) or significant(finding.p) or finding.kind in ALWAYS_REPORTED)


def significant(p: float) -> bool:
    """Whether an adjusted p-value allows a claim, with the error rate shared by all kinds; False for NaN."""
    return p <= RATE


def as_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per finding, with the fields of `Finding` as columns; query as JSON."""
    rows = [{**asdict(finding), "query": json.dumps(finding.query)} for finding in findings]
    return pd.DataFrame(rows, columns=list(Finding.__dataclass_fields__))


def from_table(table: pd.DataFrame) -> list[Finding]:
    """The findings of `as_table`."""
    return [Finding(**{**row, "query": json.loads(row["query"])}) for row in table.to_dict("records")]
