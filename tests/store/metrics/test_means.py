import numpy as np

from store.metrics.means import class_means, class_sums, quotient


def test_a_quotient_says_what_it_is_where_there_is_nothing_to_divide_by():
    assert quotient([[1, 2], [3, 4]], [[2], [0]], 9).tolist() == [[0.5, 1], [9, 9]]
    assert np.isnan(quotient([1, 1], [-1, np.nan])).all()  # nothing below 0 is a count or a length
    assert quotient(np.float32(1), 3, 0).dtype == np.float64


def test_class_sums_match_hand_computed_values_and_absent_classes_have_zero():
    assert class_sums([[1, 2], [3, 4], [5, 6]], [2, 0, 2], 4).tolist() == [[3, 4], [0, 0], [6, 8], [0, 0]]


def test_class_means_match_hand_computed_values_and_absent_classes_have_none():
    means = class_means([[1, 3, 5], [0, 0, 6]], [0, 0, 2])
    assert means[:, [0, 2]].tolist() == [[2, 5], [0, 6]]
    assert np.isnan(means[:, 1]).all()
    assert class_means([1.0], [0], 3).shape == (3,)
