import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from store.metrics import confusion
from store.metrics.learning import NEVER


def test_onset_peak_and_resolution_match_hand_computed_values():
    counts = np.array([[0, 4, 5, 1, 0], [1, 1, 2, 1, 2], [0, 0, 0, 3, 7], [3, 0, 3, 0, 0]]).T
    events = confusion.pair_events(counts)
    assert events.onset.tolist() == [1, NEVER, 3, 0]
    assert events.resolved.tolist() == [3, NEVER, NEVER, 3]
    assert (events.peak.tolist(), events.peak_count.tolist()) == ([2, 2, 4, 0], [5, 2, 7, 3])


def test_the_slope_is_that_of_a_straight_line_over_the_window_and_none_of_a_single_epoch():
    counts = np.array([[90, 0, 2, 4, 6], [5, 5, 5, 5, 5]]).T
    assert confusion.pair_events(counts, window=4).slope.tolist() == [2, 0]
    assert confusion.pair_events([[4, 1]]).slope.tolist() == [0, 0]


def test_the_confusion_of_groups_is_that_of_their_classes_without_losing_an_image():
    counts = np.array([[5, 1, 2], [0, 6, 2], [3, 0, 5]])
    assert confusion.group_confusion(counts, [0, 0, 1]).tolist() == [[12, 4], [3, 5]]
    assert confusion.group_confusion(np.stack([counts, counts]), [0, 0, 1]).shape == (2, 2, 2)
    assert confusion.group_confusion(counts, [0, 0, 1], count=3)[2].tolist() == [0, 0, 0]


def test_row_shares_sum_to_one_where_there_are_images():
    assert confusion.row_shares([[1, 3], [0, 0]]).tolist() == [[0.25, 0.75], [0, 0]]


def test_pattern_similarity_is_the_cosine_of_every_pair():
    patterns = np.array([[[3, 4]], [[4, 3]], [[0, 0]]], np.float32)
    expected = [[1, 0.96, 0], [0.96, 1, 0], [0, 0, 0]]
    assert confusion.pattern_similarity(patterns) == pytest.approx(np.array(expected))


def test_similarity_puts_similar_patterns_side_by_side():
    base = np.eye(3).reshape(3, 1, 3)
    patterns = np.concatenate([base, base + 0.05])
    order = confusion.similarity_order(patterns).tolist()
    assert all(abs(order.index(c) - order.index(c + 3)) == 1 for c in range(3))
    assert confusion.similarity_order(patterns[:2]).tolist() == [0, 1]


def test_pair_overlap_averages_the_mistakes_of_each_pair():
    own = np.array([[[1, 0]], [[1, 1]], [[0, 1]]], np.float32)
    predicted_class = np.array([[[1, 0]], [[1, 0]], [[1, 0]]], np.float32)
    overlap = confusion.pair_overlap(own, predicted_class, true_class=[0, 0, 1], prediction=[1, 1, 0], classes=3)
    assert overlap[0, 1] == pytest.approx((1 + 0.5) / 2)
    assert overlap[1, 0] == 0
    assert np.isnan(overlap[[0, 1, 2, 0], [0, 1, 2, 2]]).all()


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_collapsing_equals_counting_the_groups_with_scikit_learn(seed):
    random = np.random.default_rng(seed)
    true_class, prediction, groups = (*random.integers(6, size=(2, 50)).tolist(), np.array([0, 1, 1, 2, 0, 2]))
    counts = confusion_matrix(true_class, prediction, labels=range(6))
    expected = confusion_matrix(groups[true_class], groups[prediction], labels=range(3))
    assert np.array_equal(confusion.group_confusion(counts, groups), expected)


@given(st.integers(0, 2**31), st.integers(2, 12))
@settings(max_examples=50, deadline=None)
def test_events_come_in_order_and_the_slope_is_numpys(seed, epochs):
    counts = np.random.default_rng(seed).integers(0, 6, size=(epochs, 5))
    events = confusion.pair_events(counts)
    resolved = events.resolved != NEVER
    assert (events.onset[resolved] < events.resolved[resolved]).all()
    assert events.slope == pytest.approx(np.polyfit(np.arange(epochs), counts, 1)[0])
