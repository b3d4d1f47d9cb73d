"""Patterns: the mean over all pairs of classes, and where a pair leads."""

import numpy as np
import pandas as pd
import pytest

from dashboard.views.patterns.charts import pairs_and_means, similarity_chart, similarity_trend


def test_the_trend_is_the_share_of_both_classes_images_in_each_bin():
    similarity = np.array([[1, 0.0, 1.0], [0.0, 1, 0.0], [1.0, 0.0, 1]])
    counts = np.array([[8, 0, 2], [1, 9, 0], [4, 0, 6]])
    trend = similarity_trend(similarity, counts, bins=2)
    assert trend["pairs"].tolist() == [2, 1]
    assert trend["rate"].tolist() == pytest.approx([1 / 40, 6 / 20])
    assert trend["similarity"].tolist() == [0, 1]


def test_every_pair_is_counted_once_whatever_its_similarity():
    random = np.random.default_rng(0)
    similarity = np.corrcoef(random.random((30, 64)))
    trend = similarity_trend(similarity, np.eye(30, dtype=int) * 5)
    assert trend["pairs"].sum() == 30 * 29 / 2 and (trend["rate"] == 0).all()


def test_classes_without_images_are_in_no_pair():
    counts = np.array([[5, 1, 2], [1, 6, 0], [0, 0, 0]])  # class 2 is predicted, but has no image
    assert similarity_trend(np.eye(3), counts)["pairs"].sum() == 1


def test_one_class_has_no_trend_and_the_chart_still_holds():
    trend = similarity_trend(np.ones((1, 1)), np.array([[4]]))
    assert trend.empty
    columns = ["first", "second", "first_index", "second_index", "similarity", "rate", "count"]
    pairs = pd.DataFrame([["a", "b", 0, 1, 0.5, 0.1, 2]], columns=columns)
    layers = similarity_chart(pairs_and_means(pairs, trend)).to_dict()["layer"]
    assert [layer["mark"]["type"] for layer in layers] == ["circle", "line"]


def test_a_row_of_the_most_similar_patterns_opens_the_pair(opened, tiny_run):
    app = opened(tiny_run.parent, "patterns", epoch="1")
    assert not app.exception and not app.warning
    assert {"first_index", "second_index"} <= set(app.dataframe[0].value.columns)
    assert "mean of all 10 pairs" in "\n".join(caption.value for caption in app.caption)
