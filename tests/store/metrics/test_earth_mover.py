from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from store.metrics.earth_mover import earth_mover


def lit(*cells, shape=(4, 4)):
    result = np.zeros(shape)
    for cell in cells:
        result[cell] = 1
    return result


def test_a_single_cell_travels_rows_plus_columns():
    assert earth_mover(lit((0, 0)), lit((3, 2))) == pytest.approx(5)
    assert earth_mover(lit((0, 0)), lit((0, 1))) == pytest.approx(1)


def test_half_of_the_evidence_travels_half_as_far_on_average():
    assert earth_mover(lit((1, 1), (2, 2)), 8 * lit((1, 1))) == pytest.approx(1)


def test_unlike_the_overlap_it_tells_near_from_far():
    near, far = earth_mover(lit((0, 0)), np.stack([lit((0, 1)), lit((3, 3))]))
    assert near < far


def test_equal_shapes_are_at_no_distance_whatever_their_strength():
    pattern = np.random.default_rng(0).random((4, 4))
    assert earth_mover(pattern, 3 * pattern) == pytest.approx(0, abs=1e-12)
    assert earth_mover(np.ones((1, 1)), np.full((1, 1), 2.0)) == 0


def test_a_silent_map_has_nothing_to_carry_and_negative_cells_are_no_evidence():
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
def test_it_is_a_distance(seed):
    a, b, c = np.random.default_rng(seed).random((3, 3, 4))
    ab, bc, ac = earth_mover(np.stack([a, b, a]), np.stack([b, c, c]))
    assert earth_mover(b, a) == pytest.approx(ab)
    assert ac <= ab + bc + 1e-9
    assert 0 <= ab <= 3 + 4 - 2
