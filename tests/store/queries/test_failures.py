import pytest

from store import queries


def test_failures_are_the_wrong_predictions_most_confident_first(run):
    table = queries.failures(run, epoch=3)
    assert sorted(table["image"]) == [7, 15]
    assert table["confidence"].is_monotonic_decreasing
    assert not table["correct"].any()


@pytest.mark.parametrize(
    ("where", "images"),
    [
        ({"true_class": 3}, [15]),
        ({"predicted_class": 1}, [0]),
        ({"group": "food"}, [8]),
        ({"confidence": (0.0, 0.0)}, []),
        ({"cells": (65, 99)}, []),
        ({"cells": (1, 64), "true_class": 1}, [7]),
    ],
)
def test_failures_can_be_filtered(run, where, images):
    table = queries.failures(run, epoch=3, variant="bgr", where=queries.FailureFilter(**where))
    assert sorted(table["image"]) == images


def test_failures_can_be_limited_to_a_few_of_each_pair(run):
    table = queries.failures(run, epoch=1, where=queries.FailureFilter(most_per_pair=1))
    assert sorted(table["label"]) == [1, 3]


def test_sorting_by_an_unknown_column_is_refused(run):
    with pytest.raises(ValueError, match="Cannot sort by 'beauty': the columns are image, name"):
        queries.failures(run, epoch=3, where=queries.FailureFilter(sort="beauty"))


def test_a_point_of_the_curve_opens_the_errors_that_it_accepts(run):
    curve = queries.risk_coverage(run, epoch=3, variant="gray")
    for coverage, risk in zip(curve["coverage"], curve["risk"], strict=True):
        table = queries.accepted_errors(run, epoch=3, variant="gray", coverage=coverage)
        assert len(table) == round(risk * coverage * 20)
        assert table["confidence_score"].is_monotonic_decreasing and not table["correct"].any()
    with pytest.raises(ValueError, match=r"above 0 and at most 1, got 1\.5"):
        queries.accepted_errors(run, epoch=3, coverage=1.5)


def test_failures_can_be_filtered_by_what_happened_over_the_epochs(learned):
    def listed(**where):
        return queries.failures(learned, epoch=4, where=queries.FailureFilter(**where))["image"].tolist()

    assert sorted(listed()) == [2, 4]
    assert listed(history="forgotten") == [2]
    assert listed(min_error_run=2) == [4]
    assert listed(label_issues=True) == [4]
    assert listed(sort="persistence") == [4, 2]
