from itertools import permutations, product
from math import comb

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from store.metrics.significance import (
    increase_p,
    outstanding,
    paired_p,
    relabelled,
    relabelled_p,
    stratified_p,
    widest_difference,
)

RATE = 0.05
TRIALS = 150
BAND = 0.11  # 0.05 plus three standard errors of a share of 150


def test_paired_changes_have_the_p_value_of_as_many_coins():
    assert paired_p(3, 0) == pytest.approx(2 / 8)
    assert paired_p(0, 0) == 1


def test_a_count_that_rose_has_a_p_value_that_holds_for_every_rate():
    assert increase_p(0, 10, 10) == pytest.approx(0.5**20)
    # From 0 to 2 of 2: four coins of which four fall one way; from 1 to 2: three or four.
    assert increase_p(0, 2, 2) == pytest.approx(1 / 16)
    assert increase_p(1, 2, 2) == pytest.approx(5 / 16)
    for before, after, of in ((0, 4, 6), (1, 5, 6), (2, 3, 4)):
        for rate in np.linspace(0.01, 0.99, 25):
            counts = scipy.stats.binom.pmf(np.arange(of + 1), of, rate)
            chance = sum(counts[i] * counts[j] for i, j in product(range(of + 1), repeat=2) if j - i >= after - before)
            assert chance <= increase_p(before, after, of) + 1e-12


def test_strata_are_compared_within_themselves_only():
    member = np.array([1, 1, 0, 0, 1, 1, 0, 0], bool)
    wrong = np.array([1, 1, 0, 0, 0, 0, 0, 0], bool)
    assert stratified_p(member, wrong, np.zeros(8)) == pytest.approx(comb(4, 2) / comb(8, 2))
    assert stratified_p(member, wrong, [0, 0, 0, 0, 1, 1, 1, 1]) == pytest.approx(1 / comb(4, 2))
    assert stratified_p(member, wrong, [0, 0, 1, 1, 1, 1, 1, 1]) == pytest.approx(1)  # the wrong are all of a stratum


def test_the_widest_difference_names_its_classes_even_where_labels_have_gaps():
    found = widest_difference([1, 1, 2, 2, 9, 9], [4, 4, 5, 5, 8, 8])
    assert (found.lowest, found.highest, found.value) == (4, 8, 8.0)


def test_a_difference_is_measured_by_the_larger_of_own_and_pooled_spread():
    """Class 2 has the highest mean by one image; class 1 differs from class 0 more clearly."""
    values = [0, 1, 0, 1, 5, 6, 5, 6, -9, -9, -9, 50]
    found = widest_difference(values, np.repeat([0, 1, 2], 4), resamples=19)
    assert (found.lowest, found.highest, found.value) == (0, 1, 5)


def test_the_p_value_is_that_of_trying_every_order():
    values, labels = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 9.0]), np.array([0, 0, 1, 1, 2, 2])

    def clearest(values):
        own, total = values.reshape(3, 2).var(1, ddof=1), values.var()
        pooled = (own.sum() + total) / 4
        errors = np.maximum(own, pooled) / 2
        means = values.reshape(3, 2).mean(1)
        return max((means[a] - means[b]) / (errors[a] + errors[b]) ** 0.5 for a in range(3) for b in range(3))

    residuals = (values - values.reshape(3, 2).mean(1)[labels]) * 2**0.5
    orders = [clearest(np.array(order)) for order in permutations(residuals)]
    flips = [clearest(residuals * signs) for signs in product((-1, 1), repeat=6)]
    exact = max(np.mean(np.array(each) >= clearest(values) - 1e-9) for each in (orders, flips))
    assert widest_difference(values, labels, resamples=4000).p == pytest.approx(exact, abs=0.02)


def test_clear_differences_exclude_zero_and_equal_values_have_none():
    clear = widest_difference(np.repeat([1.0, 1.0, 4.0], 20), np.repeat([0, 1, 2], 20))
    assert clear.p == 1 / 1000
    assert 0 < clear.low <= clear.value == 3 <= clear.high
    equal = widest_difference(np.ones(8), np.repeat([0, 1], 4))
    assert (equal.value, equal.low, equal.high, equal.p) == (0, 0, 0, 1)
    with pytest.raises(ValueError, match="needs two classes, got 1"):
        widest_difference([1.0, 2.0], [3, 3])


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


def normal(random, labels):
    return random.normal(size=len(labels))


def exponential(random, labels):
    return random.exponential(size=len(labels))


def lognormal(random, labels):
    return random.lognormal(0, 1.5, size=len(labels))


def mixture(random, labels):
    return random.normal(size=len(labels)) * np.where(random.random(len(labels)) < 0.1, 10, 1)


def whole_numbers(random, labels):
    return np.minimum(random.geometric(0.6, size=len(labels)), 5)


def uneven(random, labels):
    """Equal means; every third class spreads five times as much, or not at all."""
    return random.normal(size=len(labels)) * np.array([1, 5, 0])[labels % 3]


@pytest.mark.parametrize("draw", [normal, exponential, lognormal, mixture, whole_numbers, uneven])
def test_classes_of_the_same_mean_are_found_to_differ_no_more_often_than_stated(draw):
    random, labels = np.random.default_rng(0), np.repeat(np.arange(20), 8)
    kept = [widest_difference(draw(random, labels), labels, resamples=99, seed=t).p for t in range(TRIALS)]
    stands = [
        outstanding([draw(random, labels), draw(random, labels)], labels, resamples=99, seed=t).p.min()
        for t in range(TRIALS)
    ]
    assert np.mean(np.array(kept) <= RATE) < BAND
    assert np.mean(np.array(stands) <= RATE) < BAND


def test_the_class_that_stands_out_is_the_one_that_was_raised():
    random, labels = np.random.default_rng(0), np.repeat([2, 4, 7], 20)
    values = random.normal(size=(2, 60))
    values[1, 20:40] += 4
    found = outstanding(values, labels)
    assert found.class_index[1] == 4 and found.p[1] == 1 / 1000
    assert found.low[1] < found.value[1] < found.high[1]
    assert found.value[1] == pytest.approx(values[1, 20:40].mean())
    assert found.others[1] == pytest.approx(np.delete(values[1], np.s_[20:40]).mean())
    assert found.p[0] > 0.05
    assert found.low[1] > found.others[1]


def ratios(values, groups):
    """T_c of each class: its mean over that of the others, by the larger of its own and the pooled variance."""
    count = len(values)
    inside = sum(((values[rows] - values[rows].mean()) ** 2).sum() for rows in groups)
    pooled = (inside + values.var()) / (count - len(groups) + 1)
    found = []
    for rows in groups:
        error = np.sqrt(max(values[rows].var(ddof=1), pooled) * (1 / len(rows) + 1 / (count - len(rows))))
        found.append((values[rows].mean() - np.delete(values, rows).mean()) / error)
    return np.array(found)


def test_the_p_value_and_the_interval_are_those_of_the_equation():
    """One draw after the other, as the equation says it, of the same random numbers."""
    values, labels, draws = np.random.default_rng(4).gamma(0.6, size=10), np.repeat([0, 1, 2], [2, 3, 5]), 199
    values[2:5] += 4
    groups = [np.flatnonzero(labels == each) for each in range(3)]
    residuals = np.concatenate(
        [np.sqrt(len(rows) / (len(rows) - 1)) * (values[rows] - values[rows].mean()) for rows in groups]
    )
    moved, flipped = np.random.default_rng(0), np.random.default_rng(0)
    by_chance = (
        [ratios(residuals[moved.permutation(10)], groups) for _ in range(draws)],
        [ratios(residuals * flipped.choice((-1.0, 1.0), 10), groups) for _ in range(draws)],
    )
    observed = ratios(values, groups)
    best = observed.argmax()
    p = max((1 + sum(each.max() >= observed[best] - 1e-9 for each in drawn)) / (1 + draws) for drawn in by_chance)
    reach = max(np.quantile([np.abs(each).max() for each in drawn], 0.95, method="higher") for drawn in by_chance)
    error = (values[groups[best]].mean() - np.delete(values, groups[best]).mean()) / observed[best]
    found = outstanding(values[None], labels, resamples=draws)
    assert found.class_index[0] == best
    assert found.p[0] == pytest.approx(p)
    assert 0.01 < p < 0.5
    assert found.low[0] == pytest.approx(values[groups[best]].mean() - reach * error)


def test_a_small_spread_by_chance_is_no_merit():
    """Of skewed values a class whose images happen to be alike lies below the others, not above."""
    labels = np.repeat(np.arange(3), 4)
    values = np.array([[1.0, 1.01, 1.0, 1.01, 0, 0, 0, 9, 2, 0, 5, 1]])
    alike = outstanding(values, labels, resamples=99)
    assert alike.class_index[0] != 0 and alike.p[0] > 0.05


def test_the_observed_order_counts_among_the_relabelled_ones():
    chance = relabelled(4, lambda order: float(order[0]), resamples=400)
    assert set(chance) == {0, 1, 2, 3}
    assert relabelled_p(chance, 4.0) == pytest.approx(1 / 401)
    assert relabelled_p(chance, [0.0, 3.0]) == pytest.approx([1, 0.25], abs=0.07)
