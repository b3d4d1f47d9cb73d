import numpy as np
import pytest

from store.metrics.collapse import collapse

# Two classes of two images: class means (2, 0) and (-2, 0), middle (0, 0).
FEATURES = np.array([[3, 0], [1, 0], [-2, 1], [-2, -1]], np.float32)
LABELS = np.array([0, 0, 1, 1])


def test_two_classes_by_hand():
    # S_W = diag(2/4, 2/4), S_B = diag(4, 0): tr(S_W S_B^+) / C = (0.5 / 4) / 2
    found = collapse(FEATURES, LABELS, [0, 1, 1, 1], classifier=[[1, 0], [-1, 0]])
    assert found.nc1 == pytest.approx(0.0625)
    assert found.nc2_norm == 0
    assert found.nc2_angle == pytest.approx(0)  # cos = -1 = -1 / (C - 1)
    assert found.nc3 == pytest.approx(0, abs=1e-7)
    assert found.nc4 == 0.25  # one prediction is not the nearest mean's


def test_a_classifier_that_points_elsewhere_is_the_square_root_of_two_away():
    assert collapse(FEATURES, LABELS, LABELS, classifier=[[0, 1], [0, -1]]).nc3 == pytest.approx(np.sqrt(2))


def test_full_collapse_to_a_simplex_is_zero_throughout():
    corners = np.eye(4) - 1 / 4
    labels = np.repeat(np.arange(4), 3)
    found = collapse(corners[labels], labels, labels, classifier=corners)
    assert np.allclose([found.nc1, found.nc2_norm, found.nc2_angle, found.nc3, found.nc4], 0, atol=1e-6)


def test_nc1_is_that_of_the_matrices_and_their_pseudo_inverse():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 12)
    features = random.normal(size=(60, 9)) + random.normal(size=(5, 9))[labels] * 2 + 10
    means = np.stack([features[labels == label].mean(0) for label in range(5)])
    deviations, centred = features - means[labels], means - means.mean(0)
    between = centred.T @ centred / 5
    expected = np.trace(deviations.T @ deviations / 60 @ np.linalg.pinv(between, rcond=1e-10)) / 5
    found = collapse(features, labels, labels)
    assert found.nc1 == pytest.approx(expected, rel=1e-4)
    nearest = ((features[:, None] - means) ** 2).sum(2).argmin(1)
    assert found.nc4 == (nearest != labels).mean()
    assert np.isnan(found.nc3)


def test_features_that_do_not_know_the_class_have_no_nc1():
    found = collapse(np.ones((4, 3)), LABELS, LABELS)
    assert np.isnan(found.nc1)
    assert np.isnan(found.nc2_norm)


def test_a_class_without_an_image_is_refused():
    with pytest.raises(ValueError, match="two classes"):
        collapse(FEATURES, [0, 0, 2, 2], LABELS)
