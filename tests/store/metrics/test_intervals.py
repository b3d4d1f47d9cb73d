from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from store.metrics import intervals
from store.metrics.intervals import class_means, widest_difference


@pytest.mark.parametrize("method", ["wilson", "exact"])
@given(st.integers(0, 60), st.integers(1, 60), st.sampled_from([0.9, 0.95, 1 - 1e-7]))
@settings(max_examples=60, deadline=None)
def test_the_interval_of_a_share_agrees_with_scipy(method, successes, trials, level):
    successes = min(successes, trials)
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(level, method=method)
    interval = intervals.wilson if method == "wilson" else intervals.exact_interval
    low, high = interval(successes, trials, level=level)
    assert (low, high) == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))


def test_the_interval_of_a_ratio_matches_hand_computed_values():
    # Wilson: 0.8 in 0.4902 .. 0.9433, 0.2 in 0.0567 .. 0.5098; put into the equation of the docstring.
    low, high = intervals.ratio_interval(8, 10, 2, 10)
    assert (low, high) == (pytest.approx(1.3712, abs=1e-3), pytest.approx(14.198, abs=0.02))
    assert [float(edge) for edge in intervals.wilson(0, 0)] == [0, 1]
    assert intervals.ratio_interval(0, 10, 2, 10)[0] == 0
    assert intervals.ratio_interval(2, 10, 0, 10)[1] == np.inf


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_the_interval_of_a_ratio_holds_it_and_turns_over_with_it(first, second, more, others):
    low, high = intervals.ratio_interval(first, first + more, second, second + others)
    ratio = first / (first + more) * (second + others) / second
    assert 0 <= low <= ratio * (1 + 1e-9) and ratio <= high * (1 + 1e-9)
    turned = intervals.ratio_interval(second, second + others, first, first + more)
    assert (turned[0], turned[1]) == (pytest.approx(1 / high), pytest.approx(1 / low))


def test_the_interval_of_a_ratio_of_many_trials_is_that_of_scipy():
    expected = scipy.stats.contingency.relative_risk(4000, 10000, 3000, 12000).confidence_interval()
    found = intervals.ratio_interval(4000, 10000, 3000, 12000)
    assert (found[0], found[1]) == pytest.approx((expected.low, expected.high), rel=1e-3)


def test_the_interval_of_a_mean_matches_a_hand_computed_value():
    mean, low, high = intervals.mean_interval([1.0, 2.0, 3.0])
    assert (mean, low, high) == (2, pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4), pytest.approx(4.4841, abs=1e-4))
    assert intervals.mean_interval([1.0, 3.0]) == (2, pytest.approx(2 - 12.7062), pytest.approx(2 + 12.7062))
    assert intervals.mean_interval([5.0]) == (5, float("-inf"), float("inf"))
    assert np.isnan(intervals.mean_interval([])).all()


def test_class_means_match_hand_computed_values_and_absent_classes_have_none():
    means = class_means([[1, 3, 5], [0, 0, 6]], [0, 0, 2])
    assert means[:, [0, 2]].tolist() == [[2, 5], [0, 6]]
    assert np.isnan(means[:, 1]).all()


def test_the_widest_difference_names_its_classes_even_where_labels_have_gaps():
    found = widest_difference([1, 1, 2, 2, 9, 9], [4, 4, 5, 5, 8, 8])
    assert (found.lowest, found.highest, found.value) == (4, 8, 8.0)


def test_the_p_value_is_that_of_trying_every_order():
    values, labels = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 9.0]), np.array([0, 0, 1, 1, 2, 2])
    every = [np.ptp(class_means(np.array(order), labels)) for order in permutations(values)]
    exact = np.mean(np.array(every) >= np.ptp(class_means(values, labels)))
    found = widest_difference(values, labels, resamples=4000)
    assert found.p == pytest.approx(exact, abs=0.02)


def test_clear_differences_exclude_zero_and_equal_values_have_none():
    clear = widest_difference(np.repeat([1.0, 1.0, 4.0], 20), np.repeat([0, 1, 2], 20))
    assert clear.p == 1 / 1000
    assert 0 < clear.low < clear.value == 3 < clear.high
    equal = widest_difference(np.ones(8), np.repeat([0, 1], 4))
    assert (equal.value, equal.low, equal.high, equal.p) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="needs two classes, got 1"):
        widest_difference([1.0, 2.0], [3, 3])


def test_differences_of_random_labels_are_found_no_more_often_than_stated():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 6)
    skewed = [
        widest_difference(np.minimum(random.geometric(0.6, 180), 5), labels, resamples=99, seed=trial).p
        for trial in range(150)
    ]
    assert np.mean(np.array(skewed) <= 0.05) < 0.11  # 0.05, three standard errors above


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_difference_ignores_where_zero_is_and_the_order_of_the_images(seed):
    random = np.random.default_rng(seed)
    values, labels = random.normal(size=24), np.repeat(np.arange(4), 6)
    order = random.permutation(24)
    found = widest_difference(values, labels, resamples=19)
    moved = widest_difference(values[order] + 7, labels[order], resamples=19)
    assert moved.value == pytest.approx(found.value)
    assert (moved.lowest, moved.highest) == (found.lowest, found.highest)
    assert 0 < found.p <= 1
