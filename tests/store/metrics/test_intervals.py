import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from store.metrics import intervals
from store.metrics.intervals import normal_p, rank_correlation


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


def test_rank_correlations_match_hand_computed_values_and_scipy():
    # Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * 2 / (4 * 15) = 0.8.
    assert rank_correlation([1, 2, 3, 4], [10, 30, 20, 40])[0] == pytest.approx(0.8)
    random = np.random.default_rng(0)
    first, second = random.integers(9, size=(2, 50))
    assert rank_correlation(first, second)[0] == pytest.approx(scipy.stats.spearmanr(first, second).statistic)
    value, low, high = rank_correlation(np.arange(40), np.arange(40) % 8)
    half = 1.959964 * ((1 + value**2 / 2) / 37) ** 0.5
    assert (np.arctanh(low), np.arctanh(high)) == pytest.approx((np.arctanh(value) - half, np.arctanh(value) + half))


def test_within_groups_what_differs_between_them_counts_for_nothing():
    groups = np.repeat([5, 9], 4)
    first = np.array([1, 2, 3, 4, 101, 102, 103, 104])
    second = np.array([4, 3, 2, 1, 104, 103, 102, 101])
    assert rank_correlation(first, second)[0] > 0.4
    assert rank_correlation(first, second, groups)[0] == pytest.approx(-1)


@pytest.mark.parametrize("columns", [([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]), ([], [])])
def test_a_constant_column_has_no_rank_correlation(columns):
    assert np.isnan(rank_correlation(*columns)).all()
    assert rank_correlation([1, 2], [1, 2]) == (pytest.approx(1), -1, 1)


def test_the_p_value_behind_an_interval_is_that_of_its_end():
    assert normal_p(1.0, 0.0, 2.0) == pytest.approx(0.025)
    assert normal_p(-1.0, -2.0, 0.0) == pytest.approx(0.975)
    assert normal_p(1.0, 2.0, 0.0) == pytest.approx(0.025)  # of a value that was turned round
    assert normal_p(1.0, float("-inf"), float("inf")) == 1
    assert (normal_p(1, 1, 1), normal_p(-1, -1, -1)) == (0, 1)
