import numpy as np
import pytest

from store.metrics.correction import removal_order
from store.metrics.removal import area, deletion_curve, insertion_curve

# Two classes, a map of two cells: S = (ln 3, 0); without the first cell (0, 0).
MAPS = np.array([[[[2 * np.log(3), 0.0]], [[0.0, 0.0]]]], np.float32)


def test_deletion_and_insertion_by_hand():
    order = removal_order(MAPS[:, 0])
    assert order.tolist() == [[0, 1]]
    assert deletion_curve(MAPS, order, [0])[0] == pytest.approx([0.75, 0.5, 0.5])
    assert insertion_curve(MAPS, order, [0])[0] == pytest.approx([0.5, 0.75, 0.75])


def test_the_area_is_by_trapezoids():
    assert area([1.0, 0.5, 0.0]) == pytest.approx(0.5)
    assert area([[0.75, 0.5, 0.5], [1, 1, 1]]) == pytest.approx([0.5625, 1.0])


def test_curves_are_those_of_maps_that_were_really_emptied():
    random = np.random.default_rng(0)
    maps = random.random((3, 4, 2, 3)).astype(np.float32)
    order = random.permuted(np.tile(np.arange(6), (3, 1)), axis=1)
    curve = deletion_curve(maps, order, [0, 1, 2])
    for image in range(3):
        left = maps[image].reshape(4, 6).astype(np.float64)
        for step, cell in enumerate(order[image]):
            odds = np.exp(left.mean(1))
            assert curve[image, step] == pytest.approx(odds[image] / odds.sum(), rel=1e-5)
            left[:, cell] = 0
        assert curve[image, 6] == pytest.approx(1 / 4)
