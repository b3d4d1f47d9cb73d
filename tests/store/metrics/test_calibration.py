import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, mutual_info_score

from store.metrics import calibration

CONFIDENCE = [0.55, 0.65, 0.95, 0.85]
CORRECT = [True, False, True, True]


def random_predictions(seed, images=400, classes=5):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.5), images)
    true_class = random.integers(classes, size=images)
    return probabilities, true_class, probabilities.max(1), probabilities.argmax(1) == true_class


def test_bins_of_equal_width_match_hand_computed_values():
    bins = calibration.reliability(CONFIDENCE, CORRECT, bins=2)
    assert bins.count.tolist() == [0, 4]
    assert (bins.confidence[1], bins.accuracy[1]) == (pytest.approx(0.75), 0.75)
    assert np.isnan(bins.accuracy[0]) and bins.gap[0] == 0
    assert calibration.ece(bins) == pytest.approx(0)
    edges = calibration.reliability([0.0, 0.5, 1.0], [True] * 3, bins=2)  # one on an edge belongs to the lower bin
    assert edges.count.tolist() == [2, 1]
    bins = calibration.reliability(CONFIDENCE, CORRECT, bins=10)  # gaps .45 .65 .15 .05, one image each
    assert (calibration.ece(bins), calibration.mce(bins)) == (pytest.approx(0.325), pytest.approx(0.65))


def test_bins_of_equal_mass_hold_equally_many_images_and_keep_ties_together():
    assert calibration.reliability(CONFIDENCE, CORRECT, bins=2, edges="mass").count.tolist() == [2, 2]
    tied = calibration.reliability([0.3] * 5 + [0.9], [True] * 6, bins=3, edges="mass")
    assert tied.count.tolist() == [5, 1]
    assert calibration.reliability([0.7] * 4, CORRECT, bins=3, edges="mass").count.tolist() == [4]


def test_nll_matches_hand_computed_values_and_stays_finite_at_zero():
    assert calibration.nll([0.5, 0.25]) == pytest.approx(1.5 * np.log(2))
    assert calibration.nll([0.0]) == pytest.approx(87.3, abs=0.1)


def test_brier_spans_zero_to_two():
    assert calibration.brier([[1.0, 0.0], [1.0, 0.0]], [0, 1]) == 1
    assert calibration.brier([[0.5, 0.5]], [0]) == 0.5
    assert calibration.brier([[0.0, 1.0]], [0]) == 2


def test_columns_of_different_length_and_no_bins_are_refused():
    with pytest.raises(ValueError, match=r"same length, at least 1, got shapes \(2,\) and \(1,\)"):
        calibration.reliability([0.5, 0.5], [True])
    with pytest.raises(ValueError, match="at least one bin, got bins=0"):
        calibration.reliability(CONFIDENCE, CORRECT, bins=0)


@pytest.mark.parametrize("seed", range(3))
def test_reliability_nll_and_brier_agree_with_scikit_learn(seed):
    probabilities, true_class, confidence, correct = random_predictions(seed)
    bins = calibration.reliability(confidence, correct, bins=10)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=10)
    assert bins.accuracy[bins.count > 0] == pytest.approx(accuracy)
    assert bins.confidence[bins.count > 0] == pytest.approx(mean)
    own = probabilities[np.arange(len(true_class)), true_class]
    assert calibration.nll(own) == pytest.approx(log_loss(true_class, probabilities, labels=range(5)))
    expected = brier_score_loss(true_class, probabilities, labels=range(5), scale_by_half=False)
    assert calibration.brier(probabilities, true_class) == pytest.approx(expected)


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(["width", "mass"]))
@settings(max_examples=60, deadline=None)
def test_bins_hold_every_image_once_and_errors_are_bounded(seed, count, edges):
    _, _, confidence, correct = random_predictions(seed, images=57)
    bins = calibration.reliability(confidence, correct, bins=count, edges=edges)
    assert bins.count.sum() == 57
    assert 0 <= calibration.ece(bins) <= calibration.mce(bins) + 1e-12 <= 1
    filled = bins.count > 0
    assert (bins.confidence[filled] <= bins.upper[filled] + 1e-12).all()
    assert (bins.confidence[filled] >= bins.lower[filled] - 1e-12).all()


def test_probability_metrics_match_hand_computed_values():
    found = calibration.probability_metrics([[0.75, 0.25], [0.5, 0.5]], [0, 1])
    assert found["top1"] == 0.5
    assert found["nll"] == pytest.approx((-np.log(0.75) - np.log(0.5)) / 2)
    assert found["brier"] == pytest.approx((0.125 + 0.5) / 2)
    assert found["ece"] == pytest.approx((0.25 + 0.5) / 2)


def test_members_that_agree_have_no_disagreement():
    assert calibration.mutual_information(np.full((3, 2, 4), 0.25)) == pytest.approx([0, 0])
    assert calibration.mutual_information([[[1.0, 0.0]], [[0.0, 1.0]]]) == pytest.approx([np.log(2)])


@given(st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_mutual_information_agrees_with_scikit_learn(seed):
    counts = np.random.default_rng(seed).integers(0, 9, size=(3, 4))
    counts[:, 0] += 20 - counts.sum(1)  # members weigh the same
    counts = np.maximum(counts, 0)
    counts = counts * 0 + 5 if len(set(counts.sum(1))) > 1 else counts
    expected = mutual_info_score(None, None, contingency=counts)
    assert calibration.mutual_information((counts / counts.sum(1, keepdims=True))[:, None]) == pytest.approx([expected])
