"""Robustness: the names and shares of the outcomes, and the curve over strengths."""

import pandas as pd

from dashboard.views.robustness.charts import OUTCOME_NAMES, outcome_bars
from store import Variant
from store.queries.perturbation import OUTCOMES
from store.synthetic import write_synthetic_run


def test_every_outcome_has_a_name_and_its_share_is_drawn():
    assert set(OUTCOME_NAMES) == set(OUTCOMES)
    frame = pd.DataFrame(
        [("gray", "gray", "stable", 3, 0.75), ("gray", "gray", "different reason", 1, 0.25)],
        columns=["variant", "variant_label", "outcome", "images", "share"],
    )
    rows = next(iter(outcome_bars(frame).to_dict()["datasets"].values()))
    assert [row["outcome_name"] for row in rows] == ["correct both times, same map", "correct for a different reason"]


def test_a_kind_with_strengths_has_its_curve_and_says_whether_it_is_a_line(opened, tmp_path):
    strengths = {f"salt_pepper_{each:g}": {"density": each} for each in (0.001, 0.005, 0.02)}
    variants = [Variant(name, parameters=each) for name, each in ({"clean": {}} | strengths).items()]
    write_synthetic_run(tmp_path / "run", epochs=1, variants=tuple(variants))
    app = opened(tmp_path, "robustness")
    assert not app.exception and not app.error
    assert any(part.value == "From weak to strong: salt pepper" for part in app.subheader)
    text = next(part.value for part in app.caption if "A straight line explains" in part.value)
    assert "no bend stands out from chance" in text or "But it bends" in text
