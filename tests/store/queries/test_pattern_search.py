import numpy as np
import pytest

from store import open_run, queries
from store.synthetic import write_synthetic_run


def test_the_nearest_images_share_the_class_of_a_clear_image(run):
    index = queries.pattern_index(run, epoch=3)
    table = queries.search_index(index, index.units[1].reshape(run.map_shape), k=4)
    assert table["image"][0] == 1
    assert set(table["prediction"]) == {0}
    assert table["similarity"].is_monotonic_decreasing


def test_a_class_pattern_finds_the_images_predicted_as_that_class(run):
    pattern = run.patterns(epoch=3, variant="clean")[2]
    table = queries.search_index(queries.pattern_index(run, epoch=3), pattern, k=5)
    assert sorted(table["image"]) == [7, 8, 9, 10, 11]
    own = queries.search_index(queries.pattern_index(run, epoch=3, kind="true_class"), pattern, k=4)
    assert sorted(own["image"]) == [8, 9, 10, 11]


def test_a_pattern_of_another_shape_is_refused(run):
    with pytest.raises(ValueError, match=r"shape \(4, 4\), but the run's maps have the shape \(8, 8\)"):
        queries.search_index(queries.pattern_index(run, epoch=3), np.ones((4, 4)))


def test_queries_work_on_signed_maps(tmp_path):
    signed = open_run(write_synthetic_run(tmp_path / "signed", signed=True))
    assert sorted(queries.failures(signed, epoch=3)["image"]) == [7, 15]
    index = queries.pattern_index(signed, epoch=3)
    found = queries.search_index(index, index.units[0].reshape(signed.map_shape), k=4)
    assert set(found["prediction"]) == {0}
