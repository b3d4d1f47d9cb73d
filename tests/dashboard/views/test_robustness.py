"""Robustness: the names and shares of the outcomes."""

from __future__ import annotations

import pandas as pd

from dashboard.views.robustness.charts import OUTCOME_NAMES, outcome_bars
from store.queries.perturbation import OUTCOMES


def test_every_outcome_has_a_name_and_its_share_is_drawn():
    assert set(OUTCOME_NAMES) == set(OUTCOMES)
    frame = pd.DataFrame(
        [("gray", "gray", "stable", 3, 0.75), ("gray", "gray", "different reason", 1, 0.25)],
        columns=["variant", "variant_label", "outcome", "images", "share"],
    )
    rows = next(iter(outcome_bars(frame).to_dict()["datasets"].values()))
    assert [row["outcome_name"] for row in rows] == ["correct both times, same map", "correct for a different reason"]
