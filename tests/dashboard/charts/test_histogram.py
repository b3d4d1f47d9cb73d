"""Histograms of predictions: bins, the chosen range, the axis."""

import numpy as np

from dashboard.charts.histogram import value_bins, value_histogram


def test_bins_count_every_prediction_once():
    bins = value_bins(
        np.array([0.0, 0.04, 0.99, 1.0, 0.51]), np.array([True, False, True, True, False]), limits=(0, 1), bins=2
    )
    assert bins["count"].tolist() == [1, 2, 1, 1]
    assert bins["prediction"].tolist() == ["correct", "correct", "wrong", "wrong"]


def test_every_prediction_is_in_one_bin_and_whole_numbers_get_a_bin_each():
    values, right = np.array([0, 1, 1, 5, np.nan]), np.array([True, False, False, False, True])
    bins = value_bins(values, right, limits=(0, 5), whole=True)
    wrong = bins[bins["prediction"] == "wrong"].set_index("low")["count"]
    assert wrong.to_dict() == {-0.5: 0, 0.5: 2, 1.5: 0, 2.5: 0, 3.5: 0, 4.5: 1}
    assert bins[bins["prediction"] == "correct"]["count"].sum() == 1  # the one without a figure is left out
    beyond = value_bins(np.array([-3.0, 9.0]), np.zeros(2, bool), limits=(0, 1), bins=2)
    assert beyond[beyond["prediction"] == "wrong"]["count"].tolist() == [1, 1]


def test_the_histogram_is_pale_outside_the_range_and_leaves_out_absent_predictions():
    bins = value_bins(np.linspace(0, 1, 20), np.zeros(20, bool), limits=(0, 1), bins=10)
    drawn = value_histogram(bins, title="margin", chosen=(0.0, 0.5)).to_dict()
    rows = next(iter(drawn["datasets"].values()))
    assert [row["chosen"] for row in rows] == [True] * 5 + [False] * 5
    assert {row["prediction"] for row in rows} == {"wrong"}
    assert drawn["encoding"]["color"]["legend"] is None


def test_a_count_on_an_axis_is_a_whole_number_in_digits():
    bins = value_bins(np.full(150, 0.5), np.zeros(150, bool), limits=(0, 1), bins=10)
    axis = value_histogram(bins, title="margin", chosen=(0.0, 1.0)).to_dict()["encoding"]["y"]["axis"]
    assert axis["format"] == ",d" and axis["tickMinStep"] == 1
