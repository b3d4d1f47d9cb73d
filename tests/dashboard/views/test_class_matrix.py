"""All classes over the epochs, and the other pages' predictions to the class that the sidebar chose."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.components.matrix import Matrix, payload
from dashboard.views.learning.parts import class_matrix_values
from store import open_run, queries


def test_the_letter_is_held_against_its_last_form():
    last = np.array([[1.0, 0], [0, 0]])
    patterns = np.stack([np.array([[0.0, 1], [0, 0]]), np.array([[1.0, 1], [0, 0]]), last])[:, None]
    assert class_matrix_values(patterns, np.zeros((1, 3)), "similarity")[0] == pytest.approx([0, np.sqrt(0.5), 1])


def test_a_letter_that_was_the_opposite_is_nothing_alike():
    patterns = np.stack([-np.eye(2), np.eye(2)])[:, None]
    assert class_matrix_values(patterns, np.zeros((1, 2)), "similarity")[0] == pytest.approx([0, 1])


def test_the_accuracy_needs_no_patterns():
    accuracy = np.array([[0.0, 0.5], [1.0, 1.0]])
    assert class_matrix_values(None, accuracy, "accuracy") is accuracy


def test_a_matrix_says_how_tall_it_may_become():
    matrix = Matrix(np.ones((3, 2)), ["a", "b", "c"], ["1", "2"], tallest=620)
    assert payload(matrix, title="t")["tallest"] == 620


@pytest.mark.parametrize("cell", ["accuracy", "similarity"])
@pytest.mark.parametrize("order", ["group", "name", "accuracy"])
def test_the_strip_is_on_the_learning_page_in_every_order(opened, tiny_run, cell, order):
    app = opened(tiny_run.parent, "learning", cell=cell, order=order, **{"class": "n00000002"})
    assert not app.exception and not app.warning
    assert "All classes over the epochs" in [part.value for part in app.subheader]


def test_calibration_of_a_class_counts_its_images_only(tiny_run):
    run = open_run(tiny_run)
    table = queries.calibration_table(run, epoch=3, label=2)
    assert table["count"].sum() == (run.labels == 2).sum()
    confidence = run.column("confidence", epoch=3, variant="clean")[run.labels == 2]
    assert np.nansum(table["confidence"] * table["count"]) == pytest.approx(confidence.sum(), rel=1e-5)


def test_trust_tells_whose_images_it_counts(opened, tiny_run):
    app = opened(tiny_run.parent, "trust", **{"class": "n00000002"})
    assert "4 images of guacamole" in "\n".join(caption.value for caption in app.caption)


def test_the_image_page_begins_with_a_image_of_the_class_and_stays_in_it(opened, tiny_run):
    app = opened(tiny_run.parent, "image", **{"class": "n00000002"})
    reported = "\n".join(caption.value for caption in app.caption)
    assert "of 4 in its class" in reported and "of the class." in reported
    labels = open_run(tiny_run).labels
    app = opened(tiny_run.parent, "image", image=str(np.flatnonzero(labels == 2)[-1]), **{"class": "n00000002"})
    following = next(button for button in app.button if button.label == "Next")
    assert following.disabled


def test_a_class_without_an_answer_shows_its_row_of_the_confusion(opened, tiny_run):
    run = open_run(tiny_run)
    wrong = ((run.column("prediction", epoch=1, variant="brg") != run.labels) & (run.labels == 2)).sum()
    app = opened(tiny_run.parent, "confusion", epoch="1", variant="brg", **{"class": "n00000002"})
    assert not app.exception
    assert "guacamole predicted as other classes" in [part.value for part in app.subheader]
    assert f"{wrong} wrong prediction" in "\n".join(caption.value for caption in app.caption)
