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


ORDINARY = np.random.default_rng(0).normal(size=(7, 5, 8, 8)).astype(np.float32)
HAND_WORKED = {
    "the mean": (measure.logits, [np.arange(12.0).reshape(3, 2, 2)], [1.5, 5.5, 9.5]),
    "probabilities": (measure.softmax, [[0.0, np.log(3.0)]], [0.25, 0.75]),
    "huge logits": (measure.softmax, [[1e30, 0.0, -1e30]], [1, 0, 0]),
    "peaks of one, silent maps of zero": (
        measure.normalise,
        [np.stack([[[1.0, 2.0], [0.0, 4.0]], SILENT, [[-8.0, 4.0], [0.0, 2.0]]])],
        np.array([[[0.25, 0.5], [0.0, 1.0]], [[0, 0], [0, 0]], [[-1.0, 0.5], [0.0, 0.25]]]),
    ),
    "one cell is sharp": (measure.sharpness, [np.stack([SINGLE, FLAT, SILENT])], [1, 0, 0]),
    "|M|_1 = 7, |M|_2 = 5, n = 4: (2 - 7/5) / (2 - 1)": (measure.sharpness, [[[3, 0], [4, 0]]], 0.6),
    "maps of one cell": (measure.sharpness, [[[[5.0]], [[0.0]]]], [0, 0]),
    "entropy": (measure.map_entropy, [np.stack([SINGLE, FLAT, SILENT])], [0, np.log(4), np.log(4)]),
    "peak share": (measure.peak_share, [[[[1, 2], [0, 5]], FLAT, SILENT]], [0.625, 0.25, 0.25]),
    "cosine sees signs": (
        measure.cosine,
        [
            np.stack([SINGLE, SINGLE, SILENT, [[3.0, 4.0], [0.0, 0.0]]]),
            np.stack([SINGLE * 2, -SINGLE, SINGLE, [[4.0, 3.0], [0.0, 0.0]]]),
        ],
        [1, -1, 0, 0.96],
    ),
    "shares (.25 .75 0 0) and (.5 .25 .25 0): .25 + .25": (measure.overlap, [[[1, 3], [0, 0]], [[2, 1], [1, 0]]], 0.5),
    "nothing to share": (measure.overlap, [SINGLE, SILENT], 0),
}


@pytest.mark.parametrize("case", HAND_WORKED)
def test_measures_match_hand_worked_values(case):
    function, arguments, expected = HAND_WORKED[case]
    found = function(*arguments)
    assert found == pytest.approx(expected) and found.dtype == np.float32


def test_maps_relative_to_their_mean_do_not_see_what_all_classes_share():
    maps = np.array([[[1, 0], [-2, 5]], [[3, 4], [2, 5]]], np.float32)
    relative, mean = measure.relative_to_mean(maps)
    assert mean.tolist() == [[2, 2], [0, 5]]
    assert relative.tolist() == [[[-1, -2], [-2, 0]], [[1, 2], [2, 0]]]
    for shared in (np.float32(1000), np.array([[7, -3], [0, 64]], np.float32)):
        again, moved = measure.relative_to_mean(maps + shared)
        assert np.array_equal(again, relative) and np.array_equal(moved, mean + shared)


def test_logits_of_views_and_parts_equal_those_of_the_whole():
    assert np.array_equal(measure.logits(ORDINARY[::2, :, ::-1]), measure.logits(ORDINARY[::2, :, ::-1].copy()))
    parts = np.concatenate([measure.logits(ORDINARY[:3]), measure.logits(ORDINARY[3:])])
    assert np.array_equal(parts, measure.logits(ORDINARY))


def test_softmax_agrees_with_scipy_and_ignores_a_common_offset():
    logits = np.random.default_rng(1).normal(0, 20, (50, 200)).astype(np.float32)
    assert measure.softmax(logits) == pytest.approx(scipy.special.softmax(logits.astype(np.float64), axis=-1), abs=1e-7)
    assert measure.softmax(logits[:, :9] + 50) == pytest.approx(measure.softmax(logits[:, :9]), abs=1e-6)


def test_negative_cells_are_no_evidence():
    signed, positive = np.array([[-9, 1], [3, -2]]), np.array([[0, 1], [3, 0]])
    for function in (measure.sharpness, measure.map_entropy, measure.peak_share):
        assert function(signed) == function(positive)
    assert measure.overlap(signed, positive) == pytest.approx(1)


def test_pairs_broadcast_and_maps_without_two_axes_are_refused():
    assert measure.cosine(ORDINARY, ORDINARY[:1]).shape == measure.overlap(ORDINARY, ORDINARY[:1]).shape == (7, 5)
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


PATTERN = np.random.default_rng(0).random((4, 4))


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        (lit((0, 0)), lit((3, 2)), 5),  # rows plus columns
        (lit((0, 0)), lit((0, 1)), 1),
        (lit((1, 1), (2, 2)), 8 * lit((1, 1)), 1),  # half of the evidence, two cells
        (lit((0, 0)), lit((3, 3)), 6),
        (PATTERN, 3 * PATTERN, 0),  # equal shapes, whatever their strength
        (np.ones((1, 1)), np.full((1, 1), 2.0), 0),
        (lit((0, 0)), np.zeros((4, 4)), np.nan),  # a silent map has no distance
        (-lit((0, 0)), lit((0, 0)), np.nan),
        (lit((0, 0)) - lit((3, 3)), lit((0, 0)), 0),  # negative cells are no evidence
    ],
)
def test_evidence_travels_from_cell_to_cell(first, second, distance):
    assert earth_mover(first, second) == pytest.approx(distance, abs=1e-12, nan_ok=True)


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


def test_blank_patterns_few_candidates_and_tiny_maps_are_searched_and_other_shapes_refused():
    units = measure.units(np.eye(4, dtype=np.float32).reshape(4, 2, 2))
    rows, cosines = measure.nearest(np.zeros((2, 2)), units, k=2)
    assert (rows.tolist(), cosines.tolist()) == ([0, 1], [0, 0])
    assert measure.nearest(np.ones((2, 2)), units, k=99)[0].tolist() == [0, 1, 2, 3]
    assert measure.nearest(np.ones((2, 2)), units[:0])[0].tolist() == []
    tiny = measure.units(np.array([[[1e-30, 2e-30]], [[2.0, 1.0]]], np.float32))
    assert measure.nearest([[1, 2]], tiny, k=1)[1] == pytest.approx([1])
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


def test_similarity_to_others_leaves_the_image_itself_out():
    found = np.array([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]], [[5.0, 2.0]]])
    # the others of class 0: (1, 2), (2, 1) and (1, 1); class 1 has one image only
    expected = [1 / np.sqrt(5), 1 / np.sqrt(5), 1.0, np.nan]
    assert np.allclose(measure.similarity_to_others(found, [0, 0, 0, 1]), expected, equal_nan=True)
