import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.metrics import robustness

CLEAN, PERTURBED = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 0])
CONSISTENCY = np.array([1.0, 0.4, 0.2, -0.2])


def test_flip_rate_is_the_share_of_changed_predictions():
    assert robustness.flip_rate(CLEAN, PERTURBED) == 0.5
    assert robustness.flip_rate(CLEAN, np.stack([CLEAN, PERTURBED])).tolist() == [0, 0.5]


def test_consistency_is_averaged_of_unchanged_predictions_and_responsiveness_of_flipped_ones():
    assert robustness.unchanged_consistency(CLEAN, PERTURBED, CONSISTENCY) == pytest.approx(0.7)
    assert robustness.responsiveness(CLEAN, PERTURBED, CONSISTENCY) == pytest.approx(1.0)
    assert np.isnan(robustness.responsiveness(CLEAN, CLEAN, CONSISTENCY))
    assert np.isnan(robustness.unchanged_consistency(CLEAN, CLEAN + 1, CONSISTENCY))


def test_images_correct_for_a_different_reason_are_correct_twice_though_the_map_moved():
    correct, still = np.array([True, True, True, False]), np.array([True, True, False, False])
    assert robustness.different_reason(correct, still, CONSISTENCY).tolist() == [False, True, False, False]
    assert robustness.different_reason_share(correct, still, CONSISTENCY) == 0.5
    assert np.isnan(robustness.different_reason_share(correct, ~correct, CONSISTENCY))


def test_the_cue_profile_matches_hand_computed_values():
    # Class 0 has logits 1 and 3 (mean 2), class 1 logits 5 and 7: pooled sd = sqrt(4 / (4 - 2)) = sqrt 2.
    clean, gray = [1.0, 3.0, 5.0, 7.0], [1.0, 3.0, 4.0, 4.0]
    cues = robustness.cue_profile([clean, gray], [0, 0, 1, 1], 3)
    assert cues.drop[:, :2] == pytest.approx(np.array([[0, 0], [0, np.sqrt(2)]]))
    # The drops of class 1 are 1 and 3, in sd: their standard error is 1 / sqrt 2.
    assert cues.error[1, :2] == pytest.approx([0, 1 / np.sqrt(2)])
    assert cues.count.tolist() == [2, 2, 0] and np.isnan(cues.drop[:, 2]).all()


def test_similar_cue_profiles_are_side_by_side():
    order = robustness.cue_order([[5, 0], [0, 5], [5.1, 0], [0, 5.1]]).tolist()
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}
    assert robustness.cue_order(np.empty((4, 0))).tolist() == [0, 1, 2, 3]


def test_without_a_deviation_the_cue_profile_is_unknown_and_one_image_has_no_standard_error():
    for logits, labels in (([[1.0, 5.0], [0.0, 1.0]], [0, 1]), ([[2.0, 2.0, 3.0], [0.0, 0.0, 1.0]], [0, 0, 1])):
        cues = robustness.cue_profile(logits, labels, 2)
        assert np.isnan(cues.drop).all() and np.isnan(cues.error).all()
    cues = robustness.cue_profile([[1.0, 2.0, 4.0], [1.0, 1.0, 3.0]], [0, 1, 1], 2)
    assert cues.drop[1, 0] == 0 and np.isnan(cues.error[1, 0])


@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=50, deadline=None)
def test_the_cue_profile_ignores_the_unit_of_the_logits(seed, scale, offset):
    random = np.random.default_rng(seed)
    logits, labels = random.normal(size=(3, 40)), random.integers(4, size=40)
    first = robustness.cue_profile(logits, labels, 4)
    second = robustness.cue_profile(logits * scale + offset, labels, 4)
    assert second.drop == pytest.approx(first.drop, abs=1e-7, nan_ok=True)
    assert np.nan_to_num(first.drop[0]) == pytest.approx(0)


def test_mean_corruption_error_weighs_kinds_alike_whatever_their_strengths():
    errors = {"blur": [0.2, 0.4], "gray": [0.9]}
    assert robustness.mean_corruption_error(errors) == pytest.approx(0.6)
    # (0.6 / 1.2 + 0.9 / 0.6) / 2
    assert robustness.mean_corruption_error(errors, {"blur": [0.6, 0.6], "gray": [0.6]}) == pytest.approx(1.0)
    assert robustness.mean_corruption_error(errors, errors) == 1
    assert np.isnan(robustness.mean_corruption_error({}))
    assert np.isnan(robustness.mean_corruption_error({"blur": [0.5]}, {"blur": [0.0]}))


def test_a_dose_line_is_straight_or_bends_as_worked_out_by_hand():
    # Two images, strengths 0, 1, 2: 0.9 - 0.2 s, and 0.9 - 0.2 s - 0.1 s^2, whose chord is 0.9 - 0.4 s: 0.1 below at 1.
    straight, bent = [0.9, 0.7, 0.5], [0.9, 0.6, 0.1]
    line = robustness.dose_line([0, 1, 2], [straight, straight])
    assert (line.slope, line.explained, line.bend) == pytest.approx((-0.2, 1, 0))
    assert robustness.dose_line([0, 1, 2], [bent, bent]).bend == pytest.approx(0.1)
    both = robustness.dose_line([0, 0.001, 0.002], [straight, bent])  # in units of the measure, whatever the strength's
    assert both.bend == pytest.approx(0.05) and both.slope == pytest.approx(-300)
    # mean (0.9, 0.65, 0.3), line 0.9167 - 0.3 s: residuals -1/60, 2/60, -1/60 of variations 0.17 / 0.9 ...
    assert both.explained == pytest.approx(1 - (6 / 3600) / (0.9**2 + 0.65**2 + 0.3**2 - 1.85**2 / 3))
    # Student's interval of two values 0 and 0.1 with one degree of freedom: 0.05 -+ 12.706 * 0.05
    assert (both.low, both.high) == pytest.approx((0.05 - 12.7062 * 0.05, 0.05 + 12.7062 * 0.05), rel=1e-4)
    assert np.isnan(robustness.dose_line([0, 1, 2], [[0.5] * 3]).explained)
    with pytest.raises(ValueError, match="three different strengths"):
        robustness.dose_line([0, 1, 1], [straight])


def test_the_bend_of_straight_images_is_found_as_often_as_its_interval_says():
    random = np.random.default_rng(0)
    strengths, images = np.array([0, 0.001, 0.005, 0.02, 0.05]), 50
    found = 0
    for _ in range(400):
        slopes = random.exponential(4, (images, 1))
        noise = random.normal(size=(images, 5)) * random.exponential(0.05, (images, 1))  # unequal from image to image
        line = robustness.dose_line(strengths, 0.9 - slopes * strengths + noise)
        found += not line.low <= 0 <= line.high
    assert found <= 32  # 5 % of 400 are 20; more than 32 happen once in 250 times
