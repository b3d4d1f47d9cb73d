"""Findings: the most striking true statements about a run, each computed, with its interval and a link.

A statement that was picked as the largest of many is only made if it survives that selection: its p-value is adjusted
for everything that it was picked from, and has to stay below 5 % over the number of kinds of tested statements
(Bonferroni). So the chance that a run yields any false tested statement is 5 % at most, whatever else is true of it,
and the intervals of all of them hold jointly at 95 %. Statements without a test are counts and means of this run, each
with an interval of its own. All of them generalise to other images of the same classes, not to another training.
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
ALWAYS_REPORTED = ("failure_ranking", "localisation")  # the network was built to answer these
TESTED_KINDS = ("predicted as", "group predicted as", "accuracy", "cue", "pair", "cluster", "formation", "ensemble")


@dataclass(frozen=True)
class Finding:
    """One statement. `value` with its interval in `unit`; `page` and `query` link to where it is shown.

    strength: 0..1, how striking, for the order.
    p: adjusted for the `comparisons` that it was picked from, NaN where nothing is tested.
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
    query: Mapping[str, Any] = field(default_factory=dict)


def adjusted(p: float, comparisons: int) -> float:
    """A p-value after Bonferroni's correction for the number of comparisons, at most 1."""
    return float(min(1.0, p * comparisons))


def joint_level(comparisons: int) -> float:
    """Level of a single interval so that `comparisons` of each kind of tested statement hold jointly at 95 %."""
    return 1 - ERROR_RATE / (max(comparisons, 1) * len(TESTED_KINDS))


def select(candidates: Sequence[Finding], *, most: int = 10) -> list[Finding]:
    """The strongest candidates that survive their test; kinds in ALWAYS_REPORTED are always among them.

    At most two of a kind, and these of different classes. The second one counts half, so that a page shows different
    things rather than one thing twice.
    """
    waiting = [entry for entry in candidates if holds(entry) or entry.kind in ALWAYS_REPORTED]
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


def holds(finding: Finding) -> bool:
    """Whether a statement survives its test, with the error rate shared by all kinds; True where nothing is tested."""
    return bool(np.isnan(finding.p) or finding.p <= ERROR_RATE / len(TESTED_KINDS))


def as_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per finding, with the fields of `Finding` as columns; query as JSON."""
    rows = [{**asdict(finding), "query": json.dumps(finding.query)} for finding in findings]
    return pd.DataFrame(rows, columns=list(Finding.__dataclass_fields__))


def from_table(table: pd.DataFrame) -> list[Finding]:
    """The findings of `as_table`."""
    return [Finding(**{**row, "query": json.loads(row["query"])}) for row in table.to_dict("records")]
