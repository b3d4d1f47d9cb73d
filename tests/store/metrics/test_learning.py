import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from store.metrics import learning

PREDICTIONS = arrays.arrays(np.int64, st.tuples(st.integers(1, 7), st.integers(1, 4)), elements=st.integers(0, 2))


def columns(*images):
    return np.array(images).T


CORRECT = columns([0, 1, 0, 1, 1], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]).astype(bool)
EVENTS = {
    "a map is formed once its similarity stays above the threshold": (
        learning.formation,
        [columns([0.2, 0.95, 0.5, 0.9, 1.0], [0.9, 0.9, 0.9, 0.9, 1.0], [0.1, 0.1, 0.1, 0.1, 1.0])],
        [3, 0, 4],
    ),
    "a map that is silent at the end never forms": (learning.formation, [columns([0.0, 0.0, 0.0])], [learning.NEVER]),
    "a prediction stabilises at its last change": (
        learning.stabilisation,
        [columns([3, 1, 3, 3], [2, 2, 2, 2], [0, 1, 2, 3])],
        [2, 0, 3],
    ),
    "learned": (learning.learned, [CORRECT], [3, -1, -1]),
    "first correct": (learning.first_correct, [CORRECT], [1, 0, -1]),
    "forgotten": (learning.forgetting_count, [CORRECT], [1, 1, 0]),
    "flips": (learning.flip_count, [columns([3, 1, 3, 3], [2, 2, 2, 2]).astype(np.uint16)], [2, 0]),
    "lead of the map": (learning.map_lead, [[5, 2, 3, learning.NEVER], [2, 5, learning.NEVER, 1]], [3, -3, 0, 0]),
    "agreement": (learning.variant_agreement, [[[0, 1], [0, 2], [3, 1], [0, 2]]], [2 / 3, 1 / 3]),
    "agreement of the clean images alone": (learning.variant_agreement, [[[0, 1]]], [1, 1]),
}


@pytest.mark.parametrize("case", EVENTS)
def test_events_match_hand_worked_values(case):
    function, arguments, expected = EVENTS[case]
    assert function(*arguments).tolist() == expected


@pytest.mark.parametrize(
    ("correct", "expected"),
    [
        ("11111111", "always correct"),
        ("01111111", "learned"),
        ("00000011", "learned late"),
        ("01010101", "flip-flopping"),
        ("01111110", "forgotten"),
        ("00000000", "never correct"),
    ],
)
def test_each_history_is_recognised(correct, expected):
    predictions = np.array([digit == "1" for digit in correct])[:, None]
    assert learning.HISTORIES[learning.history(predictions)[0]] == expected


@given(PREDICTIONS)
@settings(max_examples=100, deadline=None)
def test_events_are_consistent_with_each_other(predictions):
    correct = predictions == 0
    stabilised, learned = learning.stabilisation(predictions), learning.learned(correct)
    assert ((stabilised >= 0) & (stabilised < len(predictions))).all()
    assert (learning.forgetting_count(correct) <= learning.flip_count(predictions)).all()
    assert ((learned == learning.NEVER) == ~correct[-1]).all()
    assert (learned[correct[-1]] == stabilised[correct[-1]]).all()
    assert (learning.first_correct(correct)[correct[-1]] <= learned[correct[-1]]).all()


def test_persistence_matches_hand_computed_values():
    predictions = np.array([[1, 2, 0], [1, 0, 0], [1, 1, 2]])
    confidences = np.array([[0.2, 0.9, 0.5], [0.4, 0.9, 0.5], [0.6, 0.8, 0.5]])
    found = learning.persistence(predictions, confidences, labels=[0, 0, 2], agreement=[0.5, 1.0, 1.0])
    assert found.run.tolist() == [3, 1, 0]
    assert found.confidence == pytest.approx([0.4, 0.8, 0])
    assert found.score == pytest.approx([0.6, 0.8, 0])


def test_label_candidates_have_both_a_low_probability_and_a_persistent_error():
    self_confidence, run = np.linspace(0, 1, 100), np.zeros(100, int)
    run[[0, 50]] = 5
    run[1] = 1
    assert np.flatnonzero(learning.label_issue_candidates(self_confidence, run)).tolist() == [0]


def test_a_varied_list_keeps_its_order_and_at_most_k_of_each_pair():
    true_class, prediction = np.array([0, 0, 0, 1, 0]), np.array([1, 1, 1, 0, 2])
    order = [2, 0, 3, 1, 4]
    assert learning.at_most_per_pair(order, true_class, prediction, most=1).tolist() == [2, 3, 4]
    assert learning.at_most_per_pair(order, true_class, prediction, most=2).tolist() == [2, 0, 3, 4]
    assert learning.at_most_per_pair([], true_class, prediction, most=2).tolist() == []


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_persistence_is_bounded_by_the_epochs_and_ignores_the_order_of_the_images(seed):
    random = np.random.default_rng(seed)
    predictions, labels = random.integers(3, size=(5, 12)), random.integers(3, size=12)
    confidences, agreement = random.random((5, 12)), random.random(12)
    found = learning.persistence(predictions, confidences, labels, agreement)
    wrong = predictions[-1] != labels
    assert ((found.run > 0) == wrong).all()
    assert ((found.score >= 0) & (found.score <= 5)).all() and (found.run <= 5).all()
    order = random.permutation(12)
    moved = learning.persistence(predictions[:, order], confidences[:, order], labels[order], agreement[order])
    assert moved.score == pytest.approx(found.score[order])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_varied_list_is_that_of_pandas(seed, most):
    random = np.random.default_rng(seed)
    true_class, prediction, order = random.integers(3, size=20), random.integers(3, size=20), random.permutation(20)
    table = pd.DataFrame({"row": order, "true_class": true_class[order], "prediction": prediction[order]})
    expected = table.groupby(["true_class", "prediction"]).head(most)["row"].tolist()
    assert learning.at_most_per_pair(order, true_class, prediction, most=most).tolist() == expected


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_agreement_ignores_the_order_of_the_perturbed_variants(seed):
    random = np.random.default_rng(seed)
    predictions = random.integers(3, size=(5, 10))
    shuffled = np.concatenate([predictions[:1], random.permutation(predictions[1:])])
    found = learning.variant_agreement(predictions)
    assert found.tolist() == learning.variant_agreement(shuffled).tolist()
    assert ((found >= 0) & (found <= 1)).all()


def test_churn_is_the_share_that_two_epochs_predict_differently():
    assert learning.churn([[0, 1, 2, 3], [0, 0, 0, 0]], [[0, 1, 3, 2], [0, 0, 0, 0]]).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(("within", "limit"), [(0.8, 0.8), (1.0, 0.999), (-0.2, 0), (float("nan"), learning.FORMED)])
def test_a_map_has_formed_when_it_is_as_similar_as_two_of_its_class(within, limit):
    assert learning.form_limit(within) == limit
