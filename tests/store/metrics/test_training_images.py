"""AUM, dataset maps, EL2N and forgetting: values worked by hand, and images that were in no batch."""

import numpy as np
import pytest

from store.metrics.training_images import (
    aum,
    aum_threshold,
    confidence,
    el2n,
    forgetting_events,
    precision_at,
    variability,
)

NAN = np.nan


def test_aum_is_the_mean_margin_over_the_epochs():
    # an easy image, one whose label the others contradict, one seen in two of three epochs, one never seen
    margins = np.array([[1, -2, 3, NAN], [2, -4, NAN, NAN], [6, 0, 5, NAN]])
    assert aum(margins) == pytest.approx([3, -2, 4, NAN], nan_ok=True)


def test_the_threshold_is_the_99th_percentile_of_the_threshold_samples():
    assert aum_threshold(np.arange(101.0)) == 99
    assert aum_threshold(np.array([1.0, 3.0]), percentile=50) == 2
    with pytest.raises(ValueError, match="at least one threshold sample"):
        aum_threshold(np.array([]))


def test_the_axes_of_a_dataset_map_are_mean_and_population_deviation():
    probabilities = np.array([[0.2, 0.9], [0.4, NAN], [0.9, 0.9]])
    assert confidence(probabilities) == pytest.approx([0.5, 0.9])
    # deviations -0.3, -0.1, 0.4: variance (0.09 + 0.01 + 0.16) / 3
    assert variability(probabilities) == pytest.approx([np.sqrt(0.26 / 3), 0])


def test_el2n_is_the_mean_length_of_the_error():
    # p = (0.6, 0.4), label 0: (-0.4, 0.4), of length 0.4 * sqrt(2); then p = (0, 1): sqrt(2)
    lengths = np.array([[0.4 * np.sqrt(2)], [np.sqrt(2)]])
    assert el2n(lengths) == pytest.approx([0.7 * np.sqrt(2)])


def test_forgetting_counts_correct_predictions_that_become_wrong():
    # by image: kept, forgotten twice, never learned, learned late
    correct = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1], [1, 0, 0, 1]], bool)
    assert forgetting_events(correct, np.ones_like(correct)).tolist() == [0, 2, 0, 0]


def test_an_epoch_without_the_image_is_no_forgetting():
    correct = np.array([[1, 1], [0, 0], [1, 0]], bool)
    seen = np.array([[1, 1], [0, 0], [1, 1]], bool)
    assert forgetting_events(correct, seen).tolist() == [0, 1]


def test_precision_counts_the_wrong_labels_among_the_first():
    wrong = np.array([0, 1, 1, 0], bool)
    assert precision_at(np.array([0.1, 0.9, 0.8, 0.85]), wrong, 2) == 0.5
    assert precision_at(np.array([0.1, 0.9, 0.8, 0.85]), wrong, 3) == pytest.approx(2 / 3)
