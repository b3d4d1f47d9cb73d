from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from store.metrics import ensembles, pattern_search, persistence


def test_entrenchment_matches_hand_computed_values():
    predictions = np.array([[1, 2, 0], [1, 0, 0], [1, 1, 2]])
    confidences = np.array([[0.2, 0.9, 0.5], [0.4, 0.9, 0.5], [0.6, 0.8, 0.5]])
    found = persistence.persistence(predictions, confidences, labels=[0, 0, 2], agreement=[0.5, 1.0, 1.0])
    assert found.run.tolist() == [3, 1, 0]
    assert found.confidence == pytest.approx([0.4, 0.8, 0])
    assert found.score == pytest.approx([0.6, 0.8, 0])


def test_agreement_counts_the_variants_that_give_the_clean_answer():
    assert persistence.variant_agreement([[0, 1], [0, 2], [3, 1], [0, 2]]) == pytest.approx([2 / 3, 1 / 3])
    assert persistence.variant_agreement([[0, 1]]).tolist() == [1, 1]


def test_label_candidates_have_both_a_low_truth_and_a_lasting_mistake():
    self_confidence, run = np.linspace(0, 1, 100), np.zeros(100, int)
    run[[0, 50]] = 5
    run[1] = 1
    assert np.flatnonzero(persistence.label_issue_candidates(self_confidence, run)).tolist() == [0]


def test_a_varied_list_keeps_its_order_and_at_most_k_of_each_pair():
    true_class, prediction = np.array([0, 0, 0, 1, 0]), np.array([1, 1, 1, 0, 2])
    order = [2, 0, 3, 1, 4]
    assert persistence.at_most_per_pair(order, true_class, prediction, most=1).tolist() == [2, 3, 4]
    assert persistence.at_most_per_pair(order, true_class, prediction, most=2).tolist() == [2, 0, 3, 4]
    assert persistence.at_most_per_pair([], true_class, prediction, most=2).tolist() == []


def test_ensemble_figures_match_hand_computed_values():
    figures = ensembles.ensemble_metrics([[0.75, 0.25], [0.5, 0.5]], [0, 1])
    assert figures.top1 == 0.5
    assert figures.nll == pytest.approx((-np.log(0.75) - np.log(0.5)) / 2)
    assert figures.brier == pytest.approx((0.125 + 0.5) / 2)
    assert figures.ece == pytest.approx((0.25 + 0.5) / 2)


def test_members_that_agree_share_all_information():
    assert ensembles.mutual_information(np.full((3, 2, 4), 0.25)) == pytest.approx([0, 0])
    assert ensembles.mutual_information([[[1.0, 0.0]], [[0.0, 1.0]]]) == pytest.approx([np.log(2)])


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_mutual_information_agrees_with_scikit_learn(seed):
    counts = np.random.default_rng(seed).integers(0, 9, size=(3, 4))
    counts[:, 0] += 20 - counts.sum(1)  # members weigh the same
    counts = np.maximum(counts, 0)
    counts = counts * 0 + 5 if len(set(counts.sum(1))) > 1 else counts
    expected = mutual_info_score(None, None, contingency=counts)
    assert ensembles.mutual_information((counts / counts.sum(1, keepdims=True))[:, None]) == pytest.approx([expected])


def test_the_most_similar_maps_come_first():
    maps = np.array([[[1, 0]], [[0, 1]], [[3, 3]], [[4, 1]], [[0, 0]]], np.float32)
    rows, cosines = pattern_search.nearest([[2, 0]], pattern_search.units(maps), k=3)
    assert rows.tolist() == [0, 3, 2]
    assert cosines == pytest.approx([1, 4 / 17**0.5, 0.5**0.5])


def test_a_blank_pattern_is_like_nothing_and_few_candidates_give_few_rows():
    units = pattern_search.units(np.eye(4, dtype=np.float32).reshape(4, 2, 2))
    rows, cosines = pattern_search.nearest(np.zeros((2, 2)), units, k=2)
    assert (rows.tolist(), cosines.tolist()) == ([0, 1], [0, 0])
    assert pattern_search.nearest(np.ones((2, 2)), units, k=99)[0].tolist() == [0, 1, 2, 3]
    assert pattern_search.nearest(np.ones((2, 2)), units[:0])[0].tolist() == []


def test_tiny_maps_are_found_like_large_ones():
    units = pattern_search.units(np.array([[[1e-30, 2e-30]], [[2.0, 1.0]]], np.float32))
    assert pattern_search.nearest([[1, 2]], units, k=1)[1] == pytest.approx([1])


def test_a_pattern_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"pattern has 4 cells, but the candidates are an array of shape \(3, 9\)"):
        pattern_search.nearest(np.ones((2, 2)), pattern_search.units(np.ones((3, 3, 3))))


@given(st.integers(0, 2**31), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_nearest_equals_sorting_all_cosines(seed, k):
    random = np.random.default_rng(seed)
    maps, query = random.normal(size=(20, 3, 3)), random.normal(size=(3, 3))
    flat = maps.reshape(20, -1)
    cosines = flat @ query.ravel() / np.linalg.norm(flat, axis=1) / np.linalg.norm(query)
    rows, found = pattern_search.nearest(query, pattern_search.units(maps), k=k)
    assert rows.tolist() == np.argsort(-cosines)[:k].tolist()
    assert found == pytest.approx(cosines[rows], abs=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_entrenchment_is_bounded_by_the_epochs_and_ignores_the_order_of_the_images(seed):
    random = np.random.default_rng(seed)
    predictions, labels = random.integers(3, size=(5, 12)), random.integers(3, size=12)
    confidences, agreement = random.random((5, 12)), random.random(12)
    found = persistence.persistence(predictions, confidences, labels, agreement)
    wrong = predictions[-1] != labels
    assert ((found.run > 0) == wrong).all()
    assert ((found.score >= 0) & (found.score <= 5)).all() and (found.run <= 5).all()
    order = random.permutation(12)
    moved = persistence.persistence(predictions[:, order], confidences[:, order], labels[order], agreement[order])
    assert moved.score == pytest.approx(found.score[order])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_varied_list_is_that_of_pandas(seed, most):
    random = np.random.default_rng(seed)
    true_class, prediction, order = random.integers(3, size=20), random.integers(3, size=20), random.permutation(20)
    table = pd.DataFrame({"row": order, "true_class": true_class[order], "prediction": prediction[order]})
    expected = table.groupby(["true_class", "prediction"]).head(most)["row"].tolist()
    assert persistence.at_most_per_pair(order, true_class, prediction, most=most).tolist() == expected


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_agreement_ignores_the_order_of_the_perturbed_variants(seed):
    random = np.random.default_rng(seed)
    predictions = random.integers(3, size=(5, 10))
    shuffled = np.concatenate([predictions[:1], random.permutation(predictions[1:])])
    found = persistence.variant_agreement(predictions)
    assert found.tolist() == persistence.variant_agreement(shuffled).tolist()
    assert ((found >= 0) & (found <= 1)).all()
