"""Findings: the most striking true statements about a run, each computed, with its interval and a link.

A statement that was picked as the largest of many is only made if it survives the picking: its p-value is adjusted
for everything that it was picked from, and has to stay below 5 % over the number of kinds of tested statements
(Bonferroni). So the chance that a run yields any false tested statement is 5 % at most, whatever else is true of it,
and the intervals of all of them hold jointly at 95 %. Statements without a test are counts and means of this run, each
with an interval of its own. All of it is about other images of the same classes, not about another training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

RATE = 0.05
PER_KIND = 2
STANDING = (
    "failure_ranking",
    "localisation",
)  # the questions that the network was built to prediction: told whatever the prediction is
TESTED = ("predicted as", "group predicted as", "accuracy", "cue", "pair", "cluster", "formation", "ensemble")
_PERTURBED = {
    "gray": "grayscale",
    "blur3": "a 3×3 blur",
    "blur5": "a 5×5 blur",
    "bgr": "[B, G, R] channels",
    "brg": "[B, R, G] channels",
    "rotate": "rotation",
    "shift": "a shift",
    "zoom": "a zoom",
}


@dataclass(frozen=True)
class Finding:
    """One statement. `value` with its interval in `unit`; `page` and `query` say where it can be seen.

    p: adjusted for the `comparisons` that it was picked from, NaN where nothing is tested.
    strength: 0..1, how striking, for the order.
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
    query: dict[str, str | int] = field(default_factory=dict)


def adjusted(p: float, compared: int) -> float:
    """A p-value after Bonferroni's correction for the number of things compared, at most 1."""
    return float(min(1.0, p * compared))


def joint_level(compared: int) -> float:
    """Level of a single interval so that `compared` of each kind of tested statement hold jointly at 95 %."""
    return 1 - RATE / (max(compared, 1) * len(TESTED))


def select(candidates: Sequence[Finding], *, most: int = 10) -> list[Finding]:
    """The strongest candidates that hold; the standing questions are always among them.

    At most two of a kind, and these of different classes. The second one counts half, so that a page tells different
    things rather than one thing twice.
    """
    waiting = [entry for entry in candidates if holds(entry) or entry.kind in STANDING]
    kept: list[Finding] = []

    def claim(entry: Finding) -> tuple[bool, float]:
        return entry.kind in STANDING, entry.strength / 2 ** sum(other.kind == entry.kind for other in kept)

    while waiting and len(kept) < most:
        best = waiting.pop(max(range(len(waiting)), key=lambda place: claim(waiting[place])))
        alike = [entry for entry in kept if entry.kind == best.kind]
        reported = {entry.query["class"] for entry in alike if "class" in entry.query}
        if len(alike) < PER_KIND and best.query.get("class") not in reported:
            kept.append(best)
    return sorted(kept, key=lambda entry: -entry.strength)


def holds(finding: Finding) -> bool:
    """Whether a statement survives its test, with the error rate shared by all kinds; True where nothing is tested."""
    return bool(np.isnan(finding.p) or finding.p <= RATE / len(TESTED))


def as_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """A row per finding: kind, text, value, low, high, unit, page, strength, p, comparisons, query (JSON)."""
    rows = [{**asdict(finding), "query": json.dumps(finding.query)} for finding in findings]
    columns = list(Finding.__dataclass_fields__)
    return pd.DataFrame(rows, columns=columns)


def from_table(table: pd.DataFrame) -> list[Finding]:
    """The findings of `as_table`."""
    return [Finding(**{**row, "query": json.loads(row["query"])}) for row in table.to_dict("records")]


def perturbed(variant: str) -> str:
    """A variant for people, to stand after "under": [B, R, G] channels, 0.5 % salt and pepper."""
    density = variant.removeprefix("salt_pepper_")
    if density != variant and density.replace(".", "", 1).isdigit():
        return f"{100 * float(density):g} % salt and pepper"
    return _PERTURBED.get(variant, variant.replace("_", " "))


def percent(share: float) -> str:
    """A share for people: 31 %, 0.4 %, 99.8 %; 0 % and 100 % only where they are exact."""
    exact = share == 0 or abs(share) == 1
    digits = 0 if exact or 0.1 <= abs(share) < 0.995 else 1
    while not exact and digits < 4 and round(100 * abs(share), digits) in (0, 100):
        digits += 1
    return f"{100 * share:.{digits}f} %"
