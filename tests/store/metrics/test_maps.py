from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics.pairwise import cosine_similarity

from store.metrics import maps as measure

CELLS = st.floats(min_value=-100, max_value=100, width=32)
MAPS = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), elements=CELLS)
PAIRS = arrays.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 4), st.integers(2, 5)), elements=CELLS)
SINGLE = np.array([[0, 0], [0, 3]], np.float32)
FLAT = np.full((2, 2), 0.5, np.float32)
SILENT = np.zeros((2, 2), np.float32)


def test_a_score_is_the_mean_of_its_map():
    maps = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    assert measure.logits(maps).tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]
    assert measure.logits(maps).dtype == np.float32


def test_scores_of_a_strided_view_equal_those_of_its_copy():
    maps = np.random.default_rng(0).normal(size=(6, 3, 8, 8)).astype(np.float32)
    assert np.array_equal(measure.logits(maps[::2, :, ::-1]), measure.logits(maps[::2, :, ::-1].copy()))


def test_scores_in_parts_equal_scores_at_once():
    maps = np.random.default_rng(0).normal(size=(7, 5, 8, 8)).astype(np.float32)
    parts = np.concatenate([measure.logits(maps[:3]), measure.logits(maps[3:])])
    assert np.array_equal(parts, measure.logits(maps))


def test_softmax_matches_hand_computed_and_scipy_values():
    assert measure.softmax([0.0, np.log(3.0)]) == pytest.approx([0.25, 0.75])
    scores = np.random.default_rng(1).normal(0, 20, (50, 200)).astype(np.float32)
    assert measure.softmax(scores) == pytest.approx(scipy.special.softmax(scores.astype(np.float64), axis=-1), abs=1e-7)


def test_softmax_survives_huge_scores():
    assert measure.softmax([1e30, 0.0, -1e30]).tolist() == [1, 0, 0]


def test_softmax_ignores_a_common_offset():
    scores = np.random.default_rng(2).normal(size=(4, 9))
    assert measure.softmax(scores) == pytest.approx(measure.softmax(scores + 50), abs=1e-6)


def test_normalised_maps_peak_at_one_and_silent_maps_stay_zero():
    maps = np.stack([[[1.0, 2.0], [0.0, 4.0]], SILENT, [[-8.0, 4.0], [0.0, 2.0]]])
    expected = [[[0.25, 0.5], [0.0, 1.0]], [[0, 0], [0, 0]], [[-1.0, 0.5], [0.0, 0.25]]]
    assert measure.normalise(maps).tolist() == expected


def test_sharpness_is_one_for_a_single_cell_and_zero_for_flat_or_silent_maps():
    assert measure.sharpness(np.stack([SINGLE, FLAT, SILENT])).tolist() == [1, 0, 0]


def test_sharpness_matches_a_hand_computed_value():
    # |M|_1 = 7, |M|_2 = 5, n = 4: (2 - 7/5) / (2 - 1)
    assert measure.sharpness([[3, 0], [4, 0]]) == pytest.approx(0.6)


def test_sharpness_of_maps_with_one_cell_is_zero():
    assert measure.sharpness([[[5.0]], [[0.0]]]).tolist() == [0, 0]


def test_map_entropy_is_zero_for_a_single_cell_and_highest_for_flat_or_silent_maps():
    entropy = measure.map_entropy(np.stack([SINGLE, FLAT, SILENT]))
    assert entropy == pytest.approx([0, np.log(4), np.log(4)])


def test_peak_share_matches_hand_computed_values():
    assert measure.peak_share([[[1, 2], [0, 5]], FLAT, SILENT]) == pytest.approx([0.625, 0.25, 0.25])


def test_negative_cells_are_no_evidence():
    signed, positive = np.array([[-9, 1], [3, -2]]), np.array([[0, 1], [3, 0]])
    for function in (measure.sharpness, measure.map_entropy, measure.peak_share):
        assert function(signed) == function(positive)
    assert measure.overlap(signed, positive) == pytest.approx(1)


def test_cosine_sees_signs_and_is_zero_for_a_zero_map():
    a = np.stack([SINGLE, SINGLE, SILENT, [[3.0, 4.0], [0.0, 0.0]]])
    b = np.stack([SINGLE * 2, -SINGLE, SINGLE, [[4.0, 3.0], [0.0, 0.0]]])
    assert measure.cosine(a, b) == pytest.approx([1, -1, 0, 0.96])


def test_overlap_matches_a_hand_computed_value():
    # shares (.25 .75 0 0) and (.5 .25 .25 0): .25 + .25
    assert measure.overlap([[1, 3], [0, 0]], [[2, 1], [1, 0]]) == pytest.approx(0.5)
    assert measure.overlap(SINGLE, SILENT) == 0


def test_pairs_broadcast_over_leading_axes():
    maps = np.random.default_rng(3).normal(size=(3, 5, 4, 4))
    assert measure.cosine(maps, maps[:1]).shape == measure.overlap(maps, maps[:1]).shape == (3, 5)


def test_maps_without_two_axes_are_refused():
    with pytest.raises(ValueError, match=r"axes y and x at the end, got an array of shape \(4,\)"):
        measure.sharpness([1, 2, 3, 4])


@given(MAPS)
@settings(max_examples=150, deadline=None)
def test_measures_stay_within_their_bounds(maps):
    cells = maps.shape[-2] * maps.shape[-1]
    assert ((measure.sharpness(maps) >= 0) & (measure.sharpness(maps) <= 1)).all()
    assert ((measure.map_entropy(maps) >= 0) & (measure.map_entropy(maps) <= np.log(cells) + 1e-6)).all()
    assert ((measure.peak_share(maps) >= 1 / cells - 1e-6) & (measure.peak_share(maps) <= 1)).all()
    assert (np.abs(measure.normalise(maps)) <= 1).all()
    assert measure.softmax(measure.logits(maps)).sum() == pytest.approx(1, abs=1e-5)


@given(MAPS, st.sampled_from([1e-6, 0.25, 1e6]), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_measures_ignore_scale_and_the_order_of_cells(maps, scale, random):
    maps = np.where(np.abs(maps) < 1e-3, 0, maps)
    order = random.sample(range(maps[0].size), maps[0].size)
    moved = (maps.reshape(len(maps), -1)[:, order] * np.float32(scale)).reshape(maps.shape)
    for function in (measure.sharpness, measure.map_entropy, measure.peak_share):
        assert function(moved) == pytest.approx(function(maps), abs=2e-5)


@given(PAIRS)
@settings(max_examples=150, deadline=None)
def test_cosine_and_overlap_are_symmetric_and_bounded(pair):
    a, b = pair
    assert -1 <= measure.cosine(a, b) == measure.cosine(b, a) <= 1
    assert 0 <= measure.overlap(a, b) == measure.overlap(b, a) <= 1


@given(MAPS)
@settings(max_examples=100, deadline=None)
def test_map_entropy_agrees_with_scipy_and_cosine_with_scikit_learn(maps):
    cells = np.maximum(maps.reshape(len(maps), -1).astype(np.float64), 0)
    loud = cells.sum(-1) > 0
    assert measure.map_entropy(maps)[loud] == pytest.approx(scipy.stats.entropy(cells[loud], axis=-1), abs=1e-5)
    flat = np.concatenate([cells, cells[::-1]]) + 1e-3
    ours = measure.cosine(flat[:, None, :], flat[::-1, None, :])
    assert ours == pytest.approx(np.diag(cosine_similarity(flat, flat[::-1])), abs=1e-5)
