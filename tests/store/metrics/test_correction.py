from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from store.metrics import correction

PREDICTED = np.array([[6.0, 1.0], [3.0, 0.0]])
TRUE_CLASS = np.array([[1.0, 2.0], [1.0, 1.0]])  # D = 5 -1 2 -1, sum 5
GRIDS = arrays.arrays(np.float64, (2, 3), elements=st.integers(-8, 8).map(float))


def test_difference_averages_to_the_margin_of_the_logits():
    assert correction.difference(PREDICTED, TRUE_CLASS).tolist() == [[5, -1], [2, -1]]
    assert correction.difference(PREDICTED, TRUE_CLASS).mean() == PREDICTED.mean() - TRUE_CLASS.mean()


@pytest.mark.parametrize(
    ("predicted_class", "true_class", "cells"),
    [
        (PREDICTED, TRUE_CLASS, 1),  # 5 - 5 = 0: the true class ties, which counts
        (PREDICTED + np.array([[0, 0.1], [0, 0]]), TRUE_CLASS, 2),  # a hair above the tie
        (TRUE_CLASS, PREDICTED, 0),  # correct
        (TRUE_CLASS, TRUE_CLASS, 0),  # a tie
        (np.full((3, 3), 0.1), np.zeros((3, 3)), 9),  # a mistake made by every cell
    ],
)
def test_the_fewest_cells_match_hand_computed_values(predicted_class, true_class, cells):
    assert correction.correction_cells(predicted_class, true_class) == cells
    assert correction.correction_cells(np.stack([predicted_class] * 2), true_class).tolist() == [cells] * 2


def test_cells_are_removed_from_the_largest_difference_down_and_ties_in_reading_order():
    assert correction.removal_order([[5, -1], [2, -1]]).tolist() == [0, 2, 1, 3]


def test_logits_after_removal_match_hand_computed_values():
    maps, order = np.stack([PREDICTED, TRUE_CLASS]), correction.removal_order([[5, -1], [2, -1]])
    expected = {0: [2.5, 1.25], 1: [1.0, 1.0], 2: [0.25, 0.75], 4: [0, 0]}
    for k, logits in expected.items():
        assert correction.logits_after_removal(maps, order, k).tolist() == logits


def test_logits_after_removal_take_another_k_for_each_image():
    maps = np.stack([[PREDICTED, TRUE_CLASS]] * 2)
    order = np.stack([correction.removal_order([[5, -1], [2, -1]])] * 2)
    assert correction.logits_after_removal(maps, order, [0, 2]).tolist() == [[2.5, 1.25], [0.25, 0.75]]


THIRD = np.array([[0.0, 3.0], [0.0, 3.0]])  # 1.5 against 1.0 after the removal of the first cell
TIES = np.array([[9.0, 2.0], [1.0, 1.0]])


@pytest.mark.parametrize(
    ("maps", "predicted_class", "true_class", "cells", "winner"),
    [
        ([PREDICTED, TRUE_CLASS, THIRD], 0, 1, 1, 2),  # a third class can win
        ([PREDICTED, TRUE_CLASS, THIRD * 0], 0, 1, 1, 1),
        ([PREDICTED, TRUE_CLASS, THIRD], 0, 0, 0, 0),
        ([PREDICTED, TRUE_CLASS, TIES], 0, 1, 1, 1),  # one that only ties does not
        ([PREDICTED, TIES, TRUE_CLASS], 0, 2, 1, 2),
        ([PREDICTED, TRUE_CLASS], 1, 1, 0, 1),  # a correct prediction wins whatever the maps say
    ],
)
def test_the_corrected_prediction_matches_hand_computed_values(maps, predicted_class, true_class, cells, winner):
    found = correction.corrected_prediction(np.stack([maps] * 2), [predicted_class] * 2, [true_class] * 2)
    assert [values.tolist() for values in found] == [[cells] * 2, [winner] * 2]


def test_the_interval_of_k_matches_hand_computed_values_and_refuses_a_negative_error():
    d = np.array([[5.0, -1.0], [2.0, -1.0]])
    assert [int(k) for k in correction.k_interval(d, 0.0)] == [1, 1]
    assert [int(k) for k in correction.k_interval(d, 0.25)] == [1, 2]  # D + 0.25 leaves 0.75 after one cell
    assert [int(k) for k in correction.k_interval(d, 1.25)] == [0, 4]  # D - 1.25 sums to 0: perhaps no mistake at all
    with pytest.raises(ValueError, match=r"cannot be negative, got -0\.5"):
        correction.k_interval(np.zeros((2, 2, 2)), [0.5, -0.5])


@given(GRIDS, GRIDS)
@settings(max_examples=150, deadline=None)
def test_k_agrees_with_trying_every_set_of_cells(predicted_class, true_class):
    d = (predicted_class - true_class).ravel()
    tried = next(
        k
        for k in range(d.size + 1)
        if any(d.sum() - d[list(removed)].sum() <= 0 for removed in combinations(range(d.size), k))
    )
    assert correction.correction_cells(predicted_class, true_class) == tried


@given(GRIDS, st.floats(0, 2), st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_the_interval_of_k_holds_for_any_error_within_the_bound(d, error, seed):
    noisy = d + np.random.default_rng(seed).uniform(-error, error, d.shape)
    low, high = correction.k_interval(d, error)
    assert low <= correction.correction_cells(noisy, np.zeros_like(d)) <= high


@given(GRIDS, GRIDS)
@settings(max_examples=100, deadline=None)
def test_removing_k_cells_lets_the_true_class_tie_and_one_fewer_does_not(predicted_class, true_class):
    k = correction.correction_cells(predicted_class, true_class)
    order = correction.removal_order(predicted_class - true_class)
    after = correction.logits_after_removal(np.stack([predicted_class, true_class]), order, k)
    assert after[1] >= after[0] - 1e-6
    if k > 0:
        before = correction.logits_after_removal(np.stack([predicted_class, true_class]), order, k - 1)
        assert before[0] > before[1]


def test_random_cells_correct_a_mistake_as_often_as_their_sum_reaches_the_margin():
    d = np.array([[[9.0, -2.0], [-2.0, -2.0]], [[1.0, 1.0], [1.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]])
    assert correction.random_correction_share(d, 1, draws=2000)[0] == pytest.approx(1 / 4, abs=0.03)
    assert correction.random_correction_share(d, 2, draws=2000) == pytest.approx([1 / 2, 0, 2 / 3], abs=0.04)
    assert correction.random_correction_share(d, 4).tolist() == [1, 1, 1]
