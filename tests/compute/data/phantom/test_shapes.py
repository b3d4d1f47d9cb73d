"""The outlines of the phantom and distances from them."""

import numpy as np
import pytest

from compute.data.phantom.shapes import LARGEST, SHAPES, TABLE_REACH, outline, signed_distance


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_are_centred_and_fit_the_distance_table(shape):
    points = np.concatenate(outline(shape))
    reach = np.hypot(*points.T).max()
    assert 0.999 < reach <= LARGEST < TABLE_REACH
    assert np.allclose(points.min(0), -points.max(0))


def test_signed_distance_of_a_square_with_a_hole():
    square = np.array([(-2, -2), (2, -2), (2, 2), (-2, 2)], float)
    points = np.array([(3, 0), (1.5, 0), (0.5, 0), (4, 6), (2, 0)], float)
    # Outside by 1; half a unit from both edges; half a unit inside of the hole; off a corner; on an edge.
    distances = signed_distance(points, [square, square / 2])
    assert np.allclose(distances, [1, -0.5, 0.5, np.hypot(2, 4), 0])
