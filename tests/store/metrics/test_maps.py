from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance
from sklearn.metrics.pairwise import cosine_similarity

from store.metrics import maps as measure
from store.metrics.maps import earth_mover

CELLS = st.floats(min_value=-100, max_value=100, width=32)
MAPS = arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), elements=CELLS)
PAIRS = arrays.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 4), st.integers(2, 5)), elements=CELLS)
SINGLE = np.array([[0, 0], [0, 3]], np.float32)
FLAT = np.full((2, 2), 0.5, np.float32)
SILENT = np.zeros((2, 2), np.float32)


def test_a_logit_is_the_mean_of_its_map():
    maps = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    assert measure.logits(maps).tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]
    assert measure.logits(maps).dtype == np.float32


def test_logits_of_a_strided_view_equal_those_of_its_copy():
    maps = np.random.default_rng(0).normal(size=(6, 3, 8, 8)).astype(np.float32)
    assert np.array_equal(measure.logits(maps[::2, :, ::-1]), measure.logits(maps[::2, :, ::-1].copy()))


def test_logits_in_parts_equal_logits_at_once():
    maps = np.random.default_rng(0).normal(size=(7, 5, 8, 8)).astype(np.float32)
    parts = np.concatenate([measure.logits(maps[:3]), measure.logits(maps[3:])])
    assert np.array_equal(parts, measure.logits(maps))


def test_softmax_matches_hand_computed_and_scipy_values():
    assert measure.softmax([0.0, np.log(3.0)]) == pytest.approx([0.25, 0.75])
    logits = np.random.default_rng(1).normal(0, 20, (50, 200)).astype(np.float32)
    assert measure.softmax(logits) == pytest.approx(scipy.special.softmax(logits.astype(np.float64), axis=-1), abs=1e-7)


def test_softmax_survives_huge_logits():
    assert measure.softmax([1e30, 0.0, -1e30]).tolist() == [1, 0, 0]


def test_softmax_ignores_a_common_offset():
    logits = np.random.default_rng(2).normal(size=(4, 9))
    assert measure.softmax(logits) == pytest.approx(measure.softmax(logits + 50), abs=1e-6)


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


def lit(*cells, shape=(4, 4)):
    result = np.zeros(shape)
    for cell in cells:
        result[cell] = 1
    return result


def test_evidence_of_a_single_cell_travels_rows_plus_columns():
    assert earth_mover(lit((0, 0)), lit((3, 2))) == pytest.approx(5)
    assert earth_mover(lit((0, 0)), lit((0, 1))) == pytest.approx(1)


def test_half_of_the_evidence_travels_half_as_far_on_average():
    assert earth_mover(lit((1, 1), (2, 2)), 8 * lit((1, 1))) == pytest.approx(1)


def test_unlike_the_overlap_it_grows_with_the_distance():
    near, far = earth_mover(lit((0, 0)), np.stack([lit((0, 1)), lit((3, 3))]))
    assert near < far


def test_equal_shapes_are_at_no_distance_whatever_their_strength():
    pattern = np.random.default_rng(0).random((4, 4))
    assert earth_mover(pattern, 3 * pattern) == pytest.approx(0, abs=1e-12)
    assert earth_mover(np.ones((1, 1)), np.full((1, 1), 2.0)) == 0


def test_a_silent_map_has_no_distance_and_negative_cells_are_no_evidence():
    assert np.isnan(earth_mover(lit((0, 0)), np.zeros((4, 4))))
    assert np.isnan(earth_mover(-lit((0, 0)), lit((0, 0))))
    assert earth_mover(lit((0, 0)) - lit((3, 3)), lit((0, 0))) == 0


def test_maps_broadcast_over_leading_axes():
    maps = np.random.default_rng(1).random((2, 3, 4, 4))
    found = earth_mover(maps, maps[0, 0])
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(earth_mover(maps[1, 2], maps[0, 0]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_the_distance_along_a_line_agrees_with_scipy(seed, cells):
    random = np.random.default_rng(seed)
    a, b = random.random((2, 1, cells))
    expected = wasserstein_distance(np.arange(cells), np.arange(cells), a[0], b[0])
    assert earth_mover(a, b) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_flow_over_neighbours_costs_what_the_transport_between_all_cells_costs(seed):
    random = np.random.default_rng(seed)
    a, b = random.random((2, 9)) * (random.random((2, 9)) < 0.7) + 1e-3
    a, b = a / a.sum(), b / b.sum()
    places = np.stack(np.unravel_index(np.arange(9), (3, 3)), axis=1)
    costs = np.abs(places[:, None] - places[None]).sum(-1)
    leaves, arrives = np.kron(np.eye(9), np.ones(9)), np.kron(np.ones(9), np.eye(9))
    expected = linprog(costs.ravel(), A_eq=np.vstack([leaves, arrives[:-1]]), b_eq=np.concatenate([a, b[:-1]])).fun
    assert earth_mover(a.reshape(3, 3), b.reshape(3, 3)) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_earth_mover_distance_is_a_metric(seed):
    a, b, c = np.random.default_rng(seed).random((3, 3, 4))
    ab, bc, ac = earth_mover(np.stack([a, b, a]), np.stack([b, c, c]))
    assert earth_mover(b, a) == pytest.approx(ab)
    assert ac <= ab + bc + 1e-9
    assert 0 <= ab <= 3 + 4 - 2


def test_the_most_similar_maps_come_first():
    maps = np.array([[[1, 0]], [[0, 1]], [[3, 3]], [[4, 1]], [[0, 0]]], np.float32)
    rows, cosines = measure.nearest([[2, 0]], measure.units(maps), k=3)
    assert rows.tolist() == [0, 3, 2]
    assert cosines == pytest.approx([1, 4 / 17**0.5, 0.5**0.5])


def test_a_blank_pattern_has_similarity_zero_and_few_candidates_give_few_rows():
    units = measure.units(np.eye(4, dtype=np.float32).reshape(4, 2, 2))
    rows, cosines = measure.nearest(np.zeros((2, 2)), units, k=2)
    assert (rows.tolist(), cosines.tolist()) == ([0, 1], [0, 0])
    assert measure.nearest(np.ones((2, 2)), units, k=99)[0].tolist() == [0, 1, 2, 3]
    assert measure.nearest(np.ones((2, 2)), units[:0])[0].tolist() == []


def test_tiny_maps_are_found_like_large_ones():
    units = measure.units(np.array([[[1e-30, 2e-30]], [[2.0, 1.0]]], np.float32))
    assert measure.nearest([[1, 2]], units, k=1)[1] == pytest.approx([1])


def test_a_pattern_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"pattern has 4 cells, but the candidates are an array of shape \(3, 9\)"):
        measure.nearest(np.ones((2, 2)), measure.units(np.ones((3, 3, 3))))


@given(st.integers(0, 2**31), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_nearest_equals_sorting_all_cosines(seed, k):
    random = np.random.default_rng(seed)
    maps, query = random.normal(size=(20, 3, 3)), random.normal(size=(3, 3))
    flat = maps.reshape(20, -1)
    cosines = flat @ query.ravel() / np.linalg.norm(flat, axis=1) / np.linalg.norm(query)
    rows, found = measure.nearest(query, measure.units(maps), k=k)
    assert rows.tolist() == np.argsort(-cosines)[:k].tolist()
    assert found == pytest.approx(cosines[rows], abs=1e-6)
