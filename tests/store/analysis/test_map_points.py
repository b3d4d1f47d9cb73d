"""The plane of images by their maps: neighbours stay neighbours, the same each time, and what has no plane."""

import numpy as np
import pytest

from store.analysis import map_points as module
from store.analysis.map_points import COLUMNS, map_points


@pytest.fixture(scope="module")
def grouped():
    """60 maps (8, 8) of three groups, each near one pattern at many strengths."""
    random = np.random.default_rng(0)
    patterns = random.random((3, 8, 8)) ** 4
    maps = patterns[np.arange(60) % 3] + random.normal(0, 0.02, (60, 8, 8))
    return (maps * random.uniform(0.1, 50, (60, 1, 1))).astype(np.float32)


@pytest.mark.parametrize("layout", [["x", "y"], ["component_1", "component_2"]])
def test_maps_of_one_pattern_lie_side_by_side_whatever_their_strength(grouped, layout):
    table = map_points(grouped)
    assert tuple(table) == COLUMNS and table["image"].tolist() == list(range(60))
    places = table[layout].to_numpy()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(60, np.inf))
    nearest = distances.argsort(1)[:, :10]
    assert (nearest % 3 == np.arange(60)[:, None] % 3).all()


def test_the_plane_is_the_same_each_time(grouped):
    assert map_points(grouped).equals(map_points(grouped))


def test_an_even_sample_of_many_images_is_placed(grouped, monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 25)
    assert map_points(grouped)["image"].tolist() == list(range(0, 60, 3))


def test_signed_silent_and_missing_maps_have_a_place(grouped):
    maps = grouped - grouped.mean()
    maps[3], maps[4] = 0, np.nan
    table = map_points(maps)
    assert len(table) == 60 and np.isfinite(table.to_numpy()).all()


@pytest.mark.parametrize(
    "maps",
    [
        np.random.default_rng(0).random((11, 4, 4)),
        np.ones((40, 4, 4)) * np.arange(1, 41)[:, None, None],
        np.zeros((40, 4, 4)),
        np.full((40, 4, 4), np.nan),
        np.random.default_rng(0).random((40, 1, 1)),
    ],
    ids=["few", "one direction", "silent", "missing", "one cell"],
)
def test_what_has_no_plane_gives_an_empty_table(maps):
    table = map_points(maps.astype(np.float32))
    assert table.empty and tuple(table) == COLUMNS
