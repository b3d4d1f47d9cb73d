"""Findings: the most striking true statements about a run, each computed, with its interval and a link.

A statement that was picked as the largest of many is only made if it survives the picking: its p-value is multiplied by
the number of things compared (Bonferroni), its interval holds for all of them jointly, and what remains passes
Benjamini and Hochberg (1995) at 5 %. Statements without a test are plain counts of this run's pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

RATE = 0.05
PER_KIND = 2
STANDING = ("league", "place")  # the questions that the network was built to answer: told whatever the answer is


@dataclass(frozen=True)
class Finding:
    """One statement. `figure` with its interval in `unit`; `page` and `query` say where it can be seen.

    p: adjusted for `compared` comparisons, NaN for a plain count. strength: 0..1, how striking, for the order.
    """

    kind: str
    text: str
    figure: float
    low: float
    high: float
    unit: str
    page: str
    strength: float
    p: float = float("nan")
    compared: int = 1
    query: dict[str, str | int] = field(default_factory=dict)


def adjusted(p: float, compared: int) -> float:
    """A p-value after Bonferroni's correction for the number of things compared, at most 1."""
    return float(min(1.0, p * compared))


def joint_level(compared: int) -> float:
    """Level of a single interval so that `compared` of them hold jointly at 95 %."""
    return 1 - RATE / max(compared, 1)


def select(candidates: Sequence[Finding], *, most: int = 10) -> list[Finding]:
    """The strongest candidates that hold; the standing questions are always among them.

    At most two of a kind, and these of different classes.
    """
    from scipy.stats import false_discovery_control  # here, because pages that only read findings need not wait for it

    tested = np.array([candidate.p for candidate in candidates], np.float64)
    holds = np.isnan(tested)
    if (~holds).any():
        holds[~holds] = false_discovery_control(tested[~holds]) <= RATE
    kept: list[Finding] = []
    for candidate in sorted(
        (entry for entry, true in zip(candidates, holds, strict=True) if true or entry.kind in STANDING),
        key=lambda entry: (entry.kind not in STANDING, -entry.strength),
    ):
        alike = [entry for entry in kept if entry.kind == candidate.kind]
        told = {entry.query["class"] for entry in alike if "class" in entry.query}
        if len(alike) < PER_KIND and candidate.query.get("class") not in told:
            kept.append(candidate)
    return sorted(kept[:most], key=lambda entry: -entry.strength)


def as_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per finding: kind, text, figure, low, high, unit, page, strength, p, compared, query (JSON)."""
    rows = [{**asdict(finding), "query": json.dumps(finding.query)} for finding in findings]
    columns = list(Finding.__dataclass_fields__)
    return pd.DataFrame(rows, columns=columns)


def from_table(table: pd.DataFrame) -> list[Finding]:
    """The findings of `as_table`."""
    return [Finding(**{**row, "query": json.loads(row["query"])}) for row in table.to_dict("records")]


def percent(share: float) -> str:
    """A share for people: 31 %, 0.4 %."""
    return f"{100 * share:.{0 if abs(share) >= 0.1 or share == 0 else 1}f} %"
