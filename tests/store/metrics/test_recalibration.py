import numpy as np
import pytest

from store.metrics.calibration import nll
from store.metrics.recalibration import at_temperature, fit_temperature, set_threshold


def test_a_temperature_divides_the_logits():
    # softmax(ln 4 / 2, 0) = (2, 1) / 3
    assert at_temperature([[np.log(4), 0]], 2.0) == pytest.approx(np.array([[2 / 3, 1 / 3]]))


def test_the_temperature_of_two_classes_by_hand():
    # Logit gap ln 9, so P = 0.9, but 3 of 4 are correct: T makes it 0.75, ln 9 / T = ln 3
    logits = np.tile([np.log(9), 0], (4, 1))
    assert fit_temperature(logits, [0, 0, 0, 1]) == pytest.approx(2.0, rel=1e-4)


def test_the_temperature_that_was_applied_is_found_again():
    random = np.random.default_rng(1)
    logits = random.normal(size=(20_000, 10)) * 2
    labels = (random.random((20_000, 1)) > at_temperature(logits, 1.0).cumsum(1)).sum(1).clip(0, 9)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3.0, rel=0.05)


def test_no_temperature_has_a_lower_nll_than_the_fitted_one():
    random = np.random.default_rng(2)
    logits = random.normal(size=(300, 5)) * 4
    labels = np.where(random.random(300) < 0.6, logits.argmax(1), random.integers(0, 5, 300))

    def loss(temperature: float) -> float:
        return nll(at_temperature(logits, temperature)[np.arange(300), labels])

    best = fit_temperature(logits, labels)
    assert all(loss(best) <= loss(best * factor) + 1e-9 for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_the_temperature_stays_finite_where_everything_is_correct():
    assert 0.02 <= fit_temperature([[5.0, 0], [5.0, 0]], [0, 0]) < 0.5


def test_the_threshold_by_hand():
    # n = 9, miss 0.2: the ceil(10 * 0.8) = 8th largest; miss 0.1: the 9th; miss 0.05 would need a 10th
    probabilities = np.arange(1, 10) / 10
    assert set_threshold(probabilities, miss=0.2) == pytest.approx(0.2)
    assert set_threshold(probabilities, miss=0.1) == pytest.approx(0.1)
    assert set_threshold(probabilities, miss=0.05) == 0


def test_sets_keep_their_promise_over_many_samples():
    random = np.random.default_rng(3)
    missed = []
    for _ in range(400):
        draw = random.beta(2, 1, size=200)
        missed.append((draw[100:] < set_threshold(draw[:100], miss=0.1)).mean())
    assert 0.08 < np.mean(missed) <= 0.1 + 2 * np.std(missed) / 20
