from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.metrics.permutation import class_means, widest_difference


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


def test_the_interval_excludes_zero_where_the_p_value_is_small():
    clear = widest_difference(np.repeat([1.0, 1.0, 4.0], 20), np.repeat([0, 1, 2], 20))
    assert clear.p == 1 / 1000
    assert 0 < clear.low < clear.value == 3 < clear.high


def test_values_that_are_all_equal_differ_by_nothing():
    found = widest_difference(np.ones(8), np.repeat([0, 1], 4))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="needs two classes, got 1"):
        widest_difference([1.0, 2.0], [3, 3])


def test_labels_that_mean_nothing_are_rejected_no_more_often_than_stated():
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
