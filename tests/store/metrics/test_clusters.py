import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from store.metrics import clusters


def blobs(seed, *counts):
    """Maps whose evidence sits in another corner for each cluster."""
    random = np.random.default_rng(seed)
    maps = []
    for cluster, count in enumerate(counts):
        centre = np.zeros((4, 4))
        centre[divmod(cluster * 5, 4)] = 8
        maps.append(centre + random.random((count, 4, 4)))
    return np.concatenate(maps).astype(np.float32)


def test_clusters_are_found_and_numbered_by_size():
    found = clusters.find_clusters(blobs(0, 5, 12, 8))
    assert found.member.tolist() == [2] * 5 + [0] * 12 + [1] * 8
    assert found.count.tolist() == [12, 8, 5]
    assert found.silhouette > 0.5


def test_a_medoid_is_the_map_nearest_to_all_others_of_its_cluster():
    maps = np.array([[[1, 0]], [[8, 2]], [[6, 4]], [[0, 1]], [[1, 9]], [[2, 9]], [[1, 11]]], np.float32)
    found = clusters.find_clusters(maps)
    assert found.count.tolist() == [4, 3]
    assert found.medoid.tolist() == [4, 1]


@pytest.mark.parametrize("maps", [np.random.default_rng(0).random((40, 8, 8)), np.zeros((7, 4, 4)), np.ones((1, 4, 4))])
def test_maps_without_structure_silent_and_equal_ones_are_one_cluster(maps):
    found = clusters.find_clusters(maps)
    assert (found.count.tolist(), found.silhouette) == ([len(maps)], 0)
    assert 0 <= found.medoid[0] < len(maps)


def test_clusters_ignore_how_strong_a_map_is():
    maps = blobs(1, 6, 6)
    strengths = np.random.default_rng(2).uniform(0.01, 100, (12, 1, 1))
    assert np.array_equal(clusters.find_clusters(maps).member, clusters.find_clusters(maps * strengths).member)


def test_other_maps_are_assigned_to_the_nearest_medoid():
    maps = blobs(3, 6, 5)
    found = clusters.find_clusters(maps)
    assert clusters.assign(blobs(4, 2, 3) * 7, maps[found.medoid]).tolist() == [0, 0, 1, 1, 1]


def test_the_lift_of_a_cluster_matches_hand_computed_values():
    member, wrong = np.repeat([0, 1], 10), np.r_[[1] * 8, [0] * 2, [1] * 2, [0] * 8].astype(bool)
    lift = clusters.error_lift(member, wrong)
    assert lift.error == pytest.approx([0.8, 0.2])
    assert lift.lift == pytest.approx([1.6, 0.4])
    # 0.8 / 0.2 lies in 1.371 .. 14.20, see below; half of the class each: r / (r / 2 + 1 / 2).
    assert lift.low[0] == pytest.approx(1.3712 / 1.1856, abs=1e-3)
    assert lift.high[0] == pytest.approx(14.198 / 7.599, abs=1e-3)
    assert lift.low + lift.high[::-1] == pytest.approx([2, 2])  # what one half has more, the other has less


def test_clusters_without_errors_or_with_all_of_them_and_whole_classes_have_the_lift_that_is_possible():
    lift = clusters.error_lift(np.array([0] * 6 + [1] * 2), np.array([0] * 6 + [1] * 2, bool))
    assert (lift.lift.tolist(), lift.low[0], lift.high[1]) == ([0, 4], 0, 4)
    assert 0 < lift.high[0] < 1 < lift.low[1] < 4
    lift = clusters.error_lift(np.zeros(4, int), np.array([1, 0, 0, 0], bool))
    assert (lift.lift.tolist(), lift.low.tolist(), lift.high.tolist()) == ([1], [1], [1])
    lift = clusters.error_lift(np.array([0, 0, 1]), np.zeros(3, bool))
    assert lift.error.tolist() == [0, 0]
    assert np.isnan([lift.lift, lift.low, lift.high]).all()


@pytest.mark.parametrize(
    ("images", "inside", "errors"), [(10, 4, (0.75, 0.1)), (50, 10, (0.8, 0.4)), (50, 3, (0.5, 0.5))]
)
def test_the_interval_of_the_lift_holds_the_true_value_about_as_often_as_stated(images, inside, errors):
    random, member = np.random.default_rng(0), (np.arange(images) < inside).astype(int)
    rates = np.where(member == 1, *errors)
    found = [clusters.error_lift(member, random.random(images) < rates) for _ in range(600)]
    covered = [lift.low[1] <= errors[0] / rates.mean() <= lift.high[1] for lift in found if np.isfinite(lift.low[1])]
    assert 0.925 <= np.mean(covered) <= 0.99  # 0.95, three standard errors below


def test_the_survival_of_a_cluster_is_the_share_that_stays_in_it():
    found = clusters.survival([0, 0, 0, 0, 1, 1], [0, 0, 1, 0, 0, 1], clusters=3)
    assert found.count.tolist() == [4, 2, 0]
    assert found.share[:2].tolist() == [0.75, 0.5] and np.isnan(found.share[2])
    assert found.low[0] == pytest.approx(0.3006, abs=1e-4) and found.high[0] == pytest.approx(0.9544, abs=1e-4)
    assert (found.low[2], found.high[2]) == (0, 1)


@given(st.integers(0, 2**32 - 1))
def test_a_map_that_a_perturbation_only_rescales_stays_in_its_cluster(seed):
    random = np.random.default_rng(seed)
    maps = random.random((12, 3, 3))
    medoids = maps[:3]
    before = clusters.assign(maps, medoids)
    after = clusters.assign(maps * random.uniform(0.1, 9, (12, 1, 1)), medoids)
    found = clusters.survival(before, after, clusters=3)
    assert found.share[found.count > 0] == pytest.approx(1)
    assert found.count.sum() == 12


@given(st.integers(0, 2**31), st.integers(2, 5))
@settings(max_examples=50, deadline=None)
def test_the_silhouette_agrees_with_scikit_learn(seed, count):
    random = np.random.default_rng(seed)
    points = random.normal(size=(25, 3))
    member = np.concatenate([np.arange(count), random.integers(count, size=25 - count)])
    distances = squareform(pdist(points))
    expected = silhouette_score(distances, member, metric="precomputed")
    assert clusters.silhouette(distances, member) == pytest.approx(expected)
