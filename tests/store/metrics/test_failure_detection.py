from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_auc_score, roc_curve

from store.metrics import failure_detection

SCORE = np.array([0.9, 0.8, 0.7, 0.6])
CORRECT = np.array([True, False, True, False])


def predictions(seed, images=60, levels=12):
    random = np.random.default_rng(seed)
    score = random.integers(levels, size=images) / levels
    correct = random.random(images) < 0.3 + 0.5 * score
    return score, correct


def curve_by_hand(correct):
    errors = np.cumsum(~np.asarray(correct))
    return errors / np.arange(1, len(correct) + 1)


def test_figures_match_hand_computed_values():
    figures = failure_detection.detection(SCORE, CORRECT)
    assert figures.auroc == 0.75  # of the four pairs only (0.7, 0.8) is in the wrong order
    assert figures.fpr95 == 0.5  # both correct predictions need a threshold of 0.7, which lets 0.8 through
    assert figures.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert figures.e_aurc == pytest.approx(figures.aurc - (0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert figures.augrc == pytest.approx(0.25 * 0.25 + 0.125)


def test_the_curve_matches_hand_computed_values_and_has_one_point_for_tied_scores():
    curve = failure_detection.risk_coverage(SCORE, CORRECT)
    assert curve.threshold.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk.tolist() == [0, 0.5, pytest.approx(1 / 3), 0.5]
    curve = failure_detection.risk_coverage([0.9, 0.5, 0.5, 0.5], CORRECT)
    assert (curve.threshold.tolist(), curve.coverage.tolist()) == ([0.9, 0.5], [0.25, 1])


def test_a_perfect_score_has_no_excess_and_a_constant_one_is_worth_chance():
    perfect = failure_detection.detection(CORRECT.astype(float), CORRECT)
    assert (perfect.auroc, perfect.fpr95, perfect.e_aurc) == (1, 0, 0)
    constant = failure_detection.detection(np.zeros(4), CORRECT)
    assert (constant.auroc, constant.fpr95, constant.aurc) == (0.5, 1, pytest.approx(0.5))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_without_a_mistake_there_is_nothing_to_detect():
    figures = failure_detection.detection(SCORE, np.ones(4, bool))
    assert np.isnan(figures.auroc) and np.isnan(figures.fpr95)
    assert (figures.aurc, figures.e_aurc, figures.augrc) == (0, 0, 0)


def test_the_perfect_area_approaches_its_published_limit():
    correct = np.arange(20000) >= 7000
    figures = failure_detection.detection(correct.astype(float), correct)
    error = 0.35
    # All correct predictions tie, so that the expectation over their order is the perfect ranking itself.
    assert figures.aurc == pytest.approx(error + (1 - error) * np.log(1 - error), abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_areas_with_ties_are_the_mean_over_every_order_of_the_tied(seed):
    random = np.random.default_rng(seed)
    score, correct = random.integers(3, size=6), random.random(6) < 0.6
    orders = [order for order in permutations(range(6)) if (np.diff(score[list(order)]) <= 0).all()]
    risks = np.array([curve_by_hand(correct[list(order)]) for order in orders])
    figures = failure_detection.detection(score, correct)
    assert figures.aurc == pytest.approx(risks.mean())
    # AUGRC: trapezoids over (n / N, errors / N) from (0, 0), as torch-uncertainty and fd-shifts integrate it.
    joint = np.concatenate([np.zeros((len(orders), 1)), risks * np.arange(1, 7) / 6], axis=1)
    assert figures.augrc == pytest.approx(np.trapezoid(joint, dx=1 / 6, axis=1).mean())


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_auroc_and_fpr95_agree_with_scikit_learn(seed):
    score, correct = predictions(seed)
    assume(0 < correct.sum() < len(correct))
    figures = failure_detection.detection(score, correct)
    assert figures.auroc == pytest.approx(roc_auc_score(correct, score))
    false, true, _ = roc_curve(correct, score, drop_intermediate=False)
    assert figures.fpr95 == pytest.approx(false[np.argmax(true >= 0.95 - 1e-12)])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_augrc_is_scikit_learns_area_under_the_generalised_risk(seed):
    score, correct = predictions(seed)
    curve = failure_detection.risk_coverage(score, correct)
    coverage, lost = np.append(0, curve.coverage), np.append(0, curve.risk * curve.coverage)
    assume(0 < correct.sum() < len(correct))
    assert failure_detection.detection(score, correct).augrc == pytest.approx(auc(coverage, lost))


@pytest.mark.parametrize(
    ("seed", "aurc", "augrc"), [(0, 0.2481321, 0.1407051), (1, 0.3091361, 0.1833333), (2, 0.2998768, 0.1971154)]
)
def test_areas_agree_with_those_of_torch_uncertainty(seed, aurc, augrc):
    """Values of torch-uncertainty 0.13.0, AURC and AUGRC; it integrates by trapezoids from the first image on."""
    random = np.random.default_rng(seed)
    score = random.permutation(40) / 40 * 0.98 + 0.01
    correct = random.random(40) < 0.2 + 0.7 * score
    curve = failure_detection.risk_coverage(score, correct)
    lost = curve.risk * curve.coverage
    assert (40 * failure_detection.detection(score, correct).aurc - curve.risk[[0, -1]].mean()) / 39 == pytest.approx(
        aurc, 1e-6
    )
    assert (lost.sum() - lost[[0, -1]].mean()) / 39 == pytest.approx(augrc, 1e-6)


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_figures_ignore_order_and_monotone_rescaling(seed):
    score, correct = predictions(seed)
    shuffled = np.random.default_rng(seed).permutation(len(score))
    for other in (
        failure_detection.detection(score[shuffled], correct[shuffled]),
        failure_detection.detection(score**3 * 7 - 2, correct),
    ):
        for figure in failure_detection.DETECTION_METRICS:
            expected = getattr(failure_detection.detection(score, correct), figure)
            assert getattr(other, figure) == pytest.approx(expected, nan_ok=True)


def test_weights_count_images_as_often_as_repeating_them():
    score, correct = predictions(5, images=30, levels=1000)
    weights = failure_detection.resamples(30, count=4, seed=1)
    assert weights.sum(1).tolist() == [30] * 4
    drawn = failure_detection.detection(score, correct, weights)
    for row, counts in enumerate(weights):
        repeated = failure_detection.detection(np.repeat(score, counts), np.repeat(correct, counts))
        for figure in failure_detection.DETECTION_METRICS:
            assert getattr(drawn, figure)[row] == pytest.approx(getattr(repeated, figure), nan_ok=True)


def test_resamples_are_seeded():
    assert np.array_equal(
        failure_detection.resamples(50, count=3, seed=2), failure_detection.resamples(50, count=3, seed=2)
    )
    assert not np.array_equal(
        failure_detection.resamples(50, count=3, seed=2), failure_detection.resamples(50, count=3, seed=3)
    )


def test_bootstrap_intervals_hold_the_estimate_and_paired_ones_are_narrower():
    score, correct = predictions(7, images=500, levels=1000)
    near = score + np.random.default_rng(1).normal(0, 0.02, len(score))
    weights = failure_detection.resamples(500, count=300)
    first, second = (failure_detection.detection(values, correct, weights).auroc for values in (score, near))
    low, high = failure_detection.interval(first)
    assert low < failure_detection.detection(score, correct).auroc < high
    paired = failure_detection.interval(first - second)
    assert paired[1] - paired[0] < (high - low) / 2


def test_a_coarse_score_keeps_the_figures_and_the_order():
    score, correct = predictions(3, images=5000, levels=4000)
    steps = failure_detection.coarse(score, levels=500)
    assert len(np.unique(steps)) <= 500
    assert (np.diff(steps[np.argsort(score)]) >= 0).all()
    exact, rounded = failure_detection.detection(score, correct), failure_detection.detection(steps, correct)
    for figure in ("auroc", "aurc", "augrc"):
        assert getattr(rounded, figure) == pytest.approx(getattr(exact, figure), abs=0.002)
    assert failure_detection.coarse(score[:500]).tolist() == score[:500].tolist()


def test_scores_that_are_not_finite_and_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="must be finite, but that of image 2 is not"):
        failure_detection.detection([0.1, 0.2, np.nan, 0.3], CORRECT)
    with pytest.raises(ValueError, match=r"same length, at least 1, got shapes \(3,\) and \(4,\)"):
        failure_detection.risk_coverage([0.1, 0.2, 0.3], CORRECT)


def test_halves_split_each_class_evenly():
    labels = np.repeat(np.arange(5), [10, 10, 7, 7, 1])
    reported = failure_detection.reported_half(labels, seed=3)
    assert np.bincount(labels[reported], minlength=5)[:2].tolist() == [5, 5]
    assert set(np.bincount(labels[reported], minlength=5)[2:4].tolist()) == {3, 4}
    assert np.array_equal(reported, failure_detection.reported_half(labels, seed=3))


def test_the_combination_beats_its_parts_on_images_it_has_not_seen():
    random = np.random.default_rng(0)
    parts = random.normal(size=(2, 4000))
    correct = random.random(4000) < 1 / (1 + np.exp(-1.5 * parts.sum(0)))
    fitted = failure_detection.fit_combination(parts, correct, random.integers(10, size=4000))
    unseen = fitted.reported
    best = max(failure_detection.detection(part[unseen], correct[unseen]).auroc for part in parts)
    assert failure_detection.detection(fitted.probability[unseen], correct[unseen]).auroc > best + 0.05


def test_the_combination_never_uses_the_predictions_that_it_is_reported_on():
    random = np.random.default_rng(1)
    parts, correct, labels = random.normal(size=(2, 200)), random.random(200) < 0.5, np.arange(200) % 4
    first = failure_detection.fit_combination(parts, correct, labels)
    changed = failure_detection.fit_combination(parts, correct ^ first.reported, labels)
    assert np.array_equal(first.probability, changed.probability)


def test_a_fitted_half_without_errors_gives_a_constant():
    fitted = failure_detection.fit_combination(np.arange(8.0)[None], np.ones(8, bool), np.zeros(8, int))
    assert fitted.probability.tolist() == [1.0] * 8


def test_joint_intervals_are_as_wide_as_single_ones_for_one_estimate_and_wider_for_many():
    random = np.random.default_rng(0)
    samples = random.normal(size=(20, 4000))
    low, high = failure_detection.joint_intervals(np.zeros(1), samples[:1])
    assert (low[0], high[0]) == (pytest.approx(-1.96, abs=0.06), pytest.approx(1.96, abs=0.06))
    low, high = failure_detection.joint_intervals(np.zeros(20), samples)
    # 20 independent estimates: the 95 % point of the largest of them is that of one at 0.95 ** (1 / 20).
    assert high == pytest.approx(np.full(20, 3.016), abs=0.2)
    assert np.all((samples > low[:, None]) & (samples < high[:, None]), axis=0).mean() == pytest.approx(0.95, abs=0.01)


def test_joint_intervals_of_equal_estimates_are_as_wide_as_single_ones():
    sample = np.random.default_rng(1).normal(size=4000)
    _, high = failure_detection.joint_intervals(np.zeros(50), np.tile(sample, (50, 1)))
    assert high == pytest.approx(np.full(50, 1.96), abs=0.1)


def test_joint_intervals_leave_out_nan_and_have_no_width_without_variation():
    samples = np.array([[1.0, 2.0, np.nan, 3.0], [0.0, 0.0, 0.0, 0.0]])
    low, high = failure_detection.joint_intervals([2.0, 0.0], samples)
    assert low[0] < 2 < high[0]
    assert (low[1], high[1]) == (0, 0)
    assert np.isnan(failure_detection.joint_intervals([0.5], [[np.nan, np.nan]])).all()


def test_a_score_that_differs_from_the_reference_by_chance_has_no_small_p_value_even_with_ties():
    random, found = np.random.default_rng(0), []
    for trial in range(200):
        correct = random.random(45) < 0.8
        scores = np.stack([random.integers(3, size=45), random.normal(size=45), random.exponential(size=45)])
        found.append(failure_detection.gain_p(scores, random.normal(size=45), correct, flips=99, seed=trial).min())
    assert np.mean(np.array(found) <= 0.05) < 0.1  # 0.05, three standard errors above


def test_the_p_value_of_a_gain_is_that_of_all_signs():
    correct = np.array([1, 1, 1, 0, 0], bool)
    score, reference = np.array([3.0, 4, 5, 1, 2]), np.array([1.0, 2, 3, 4, 5])
    # Rank differences 2 2 2 -3 -3, weights 0.8 0.8 0.8 1.8 1.8: of all signs only all alike reach their sum.
    assert failure_detection.gain_p([score], reference, correct, flips=4000)[0] == pytest.approx(2 / 2**5, abs=0.02)
    assert failure_detection.gain_p([reference], reference, correct).tolist() == [1]
