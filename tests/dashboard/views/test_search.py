"""Search: painted patterns in the link, and the search among some images."""

import numpy as np
import pytest

from dashboard.components.painter import pattern_text, text_pattern
from store import queries
from store.queries import search_index


@pytest.mark.parametrize("signed", [False, True])
def test_a_painted_pattern_survives_the_link(signed):
    pattern = np.array([[0, 0.4, 1], [0.2, 1, 0]], np.float32) * (-1 if signed else 1)
    text = pattern_text(pattern, signed=signed)
    back = text_pattern(text, (2, 3), signed=signed)
    assert back is not None
    np.testing.assert_allclose(back, pattern, atol=1 / 14)
    assert pattern_text(back, signed=signed) == text
    assert not text_pattern("8" * 6 if signed else "0" * 6, (2, 3), signed=signed).any()


@pytest.mark.parametrize("text", ["", "0" * 63, "g" * 64, "<script>"])
def test_an_invalid_pattern_is_rejected(text):
    assert text_pattern(text, (8, 8), signed=False) is None


def test_a_search_among_some_images_finds_only_these_and_the_most_similar_first(run):
    index = queries.pattern_index(run, epoch=3, kind="true_class")
    pattern = run.true_class_maps(epoch=3, variant="clean", images=[7])[0]
    found = search_index(index, pattern, k=4)
    assert found["similarity"].is_monotonic_decreasing and found["similarity"].iloc[0] == pytest.approx(1)
    assert set(found["label"]) == {run.labels[7]}
    among = np.flatnonzero(run.labels != run.labels[7])
    others = search_index(index, pattern, k=50, among=among)
    assert set(others["image"]) == set(among)
