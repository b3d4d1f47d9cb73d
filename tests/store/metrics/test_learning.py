from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from store.metrics import learning

ANSWERS = arrays.arrays(np.int64, st.tuples(st.integers(1, 7), st.integers(1, 4)), elements=st.integers(0, 2))


def columns(*images):
    return np.array(images).T


def test_a_map_is_formed_once_its_similarity_stays_above_the_threshold():
    similarity = columns([0.2, 0.95, 0.5, 0.9, 1.0], [0.9, 0.9, 0.9, 0.9, 1.0], [0.1, 0.1, 0.1, 0.1, 1.0])
    assert learning.formation(similarity).tolist() == [3, 0, 4]


def test_a_map_that_is_silent_at_the_end_never_forms():
    assert learning.formation(columns([0.0, 0.0, 0.0])).tolist() == [learning.NEVER]


def test_an_answer_settles_at_its_last_change():
    assert learning.stabilisation(columns([3, 1, 3, 3], [2, 2, 2, 2], [0, 1, 2, 3])).tolist() == [2, 0, 3]


def test_learned_first_right_and_forgotten_match_hand_computed_values():
    right = columns([0, 1, 0, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]).astype(bool)
    assert learning.learned(right).tolist() == [3, -1, -1]
    assert learning.first_correct(right).tolist() == [1, 0, -1]
    assert learning.forgetting_count(right).tolist() == [1, 1, 0]


def test_flips_count_changes_from_one_epoch_to_the_next():
    assert learning.flip_count(columns([3, 1, 3, 3], [2, 2, 2, 2]).astype(np.uint16)).tolist() == [2, 0]


def test_the_map_leads_when_it_forms_before_the_answer_settles():
    assert learning.map_lead([5, 2, 3, learning.NEVER], [2, 5, learning.NEVER, 1]).tolist() == [3, -3, 0, 0]


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("11111111", "always correct"),
        ("01111111", "learned"),
        ("00000011", "learned late"),
        ("01010101", "flip-flopping"),
        ("01111110", "forgotten"),
        ("00000000", "never correct"),
    ],
)
def test_each_history_is_recognised(right, expected):
    predictions = np.array([letter == "1" for letter in right])[:, None]
    assert learning.HISTORIES[learning.history(predictions)[0]] == expected


@given(ANSWERS)
@settings(max_examples=100, deadline=None)
def test_events_are_consistent_with_each_other(predictions):
    right = predictions == 0
    stabilised, learned = learning.stabilisation(predictions), learning.learned(right)
    assert ((stabilised >= 0) & (stabilised < len(predictions))).all()
    assert (learning.forgetting_count(right) <= learning.flip_count(predictions)).all()
    assert ((learned == learning.NEVER) == ~right[-1]).all()
    assert (learned[right[-1]] == stabilised[right[-1]]).all()
    assert (learning.first_correct(right)[right[-1]] <= learned[right[-1]]).all()
