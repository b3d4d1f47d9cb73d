"""Trust: calibration of a class; a bin, a range and a point of the risk-coverage curve open their images."""

import numpy as np
import pandas as pd
import pytest

from dashboard.views.trust.charts import acceptance_chart, with_percent_marks
from store import open_run, queries


def curves():
    coverage = np.linspace(0.01, 1, 100)
    parts = [pd.DataFrame({"coverage": coverage, "risk": coverage / 2, "score": name, "key": name}) for name in "ab"]
    return pd.concat(parts)


def test_every_curve_has_twenty_points_at_the_shares_that_they_name():
    table = with_percent_marks(curves())
    points = table[table["percent"] > 0]
    assert points.groupby("score").size().tolist() == [20, 20]
    assert np.allclose(points["coverage"], points["percent"] / 100)


def test_a_short_curve_has_points_only_where_it_has_rows():
    assert with_percent_marks(curves().iloc[[9, 99]])["percent"].tolist() == [10, 100]


def test_the_chosen_point_is_ringed():
    table = with_percent_marks(curves())
    plain, ringed = (acceptance_chart(table, chosen=chosen).to_dict() for chosen in (None, ("a", 40)))
    assert len(ringed["layer"]) == len(plain["layer"]) + 1
    assert "datum.percent == 40" in str(ringed["layer"][-1])


def test_a_range_of_confidence_shows_correct_and_wrong_images(opened, tiny_run):
    run = open_run(tiny_run)
    confidence = run.column("confidence", epoch=3, variant="clean")
    low, high = np.sort(confidence)[[3, 12]]
    app = opened(tiny_run.parent, "trust", confidence=f"{low - 1e-4:.4f}-{high + 1e-4:.4f}")
    assert not app.exception and not app.warning
    assert "10 images" in "\n".join(part.value for part in app.markdown)
    next(button for button in app.button if button.label == "Close").click().run()
    assert "confidence" not in app.query_params


def test_a_point_of_the_curve_shows_what_it_wrongly_accepts(opened, tiny_run):
    run = open_run(tiny_run)
    wrong = int((run.column("prediction", epoch=1, variant="clean") != run.labels).sum())
    app = opened(tiny_run.parent, "trust", epoch="1", score="margin", accepted="margin.100")
    assert not app.exception and not app.warning
    assert f"{wrong} wrong predictions among 20" in "\n".join(part.value for part in app.markdown)


def test_a_point_that_is_on_no_curve_is_reported(opened, tiny_run):
    app = opened(tiny_run.parent, "trust", accepted="sharpness.41")
    assert not app.exception
    assert "“sharpness.41”" in app.warning[0].value


def test_calibration_of_a_class_counts_its_images_only(tiny_run):
    run = open_run(tiny_run)
    table = queries.calibration_table(run, epoch=3, label=2)
    assert table["count"].sum() == (run.labels == 2).sum()
    confidence = run.column("confidence", epoch=3, variant="clean")[run.labels == 2]
    assert np.nansum(table["confidence"] * table["count"]) == pytest.approx(confidence.sum(), rel=1e-5)


def test_the_page_says_whose_images_it_counts(opened, tiny_run):
    app = opened(tiny_run.parent, "trust", **{"class": "n00000002"})
    assert "4 images of guacamole" in "\n".join(caption.value for caption in app.caption)


def test_recalibration_and_removal_are_computed_once_they_are_opened(opened, tiny_run):
    app = opened(tiny_run.parent, "trust")
    assert "Temperature" not in "\n".join(part.value for part in app.markdown)
    app.session_state["recalibration"] = app.session_state["removal"] = True
    app.run()
    assert not app.exception
    assert "**Temperature " in "\n".join(part.value for part in app.markdown)
    shown = "\n".join(part.value for part in app.caption)
    assert "20 images drawn at random" in shown and "Split conformal" in shown
