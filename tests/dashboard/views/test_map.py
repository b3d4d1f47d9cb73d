"""Map: where the points are and what colour they have, an area of them as tiles, and runs without a plane."""

import numpy as np
import pandas as pd
import pytest

from dashboard.marks.marked_images import MarkedImages
from dashboard.shared.theme import DARK, LIGHT
from dashboard.views.map.parts import by_kind, by_value, inside, places
from store import open_run
from store.analysis import read_analysis
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.dashboard.app import assert_no_errors, open_page, texts

LEFT_HALF = "0.0,500.0,500.1000,0.1000"


@pytest.fixture(scope="module")
def analysed_run(tmp_path_factory):
    """A run of 40 images with its analysis, alone in its folder."""
    path = write_synthetic_run(tmp_path_factory.mktemp("runs") / "run", epochs=2, classes=5, images_per_class=8)
    analyse(open_run(path))
    return open_run(path)


def in_left_half(run):
    points = read_analysis(run).table("map_points")
    return points["image"].to_numpy()[places(points, "neighbours")[:, 0] < 0.5]


# -- parts ------------------------------------------------------------------------------------------------------------


def test_places_fill_the_plane_and_keep_its_proportions():
    points = pd.DataFrame({"x": [-30.0, 10.0, 50.0], "y": [0.0, 20.0, 0.0], "component_1": 1.0, "component_2": 1.0})
    assert places(points, "neighbours") == pytest.approx(np.array([[0, 0.375], [0.5, 0.625], [1, 0.375]]))
    assert (places(points, "components") == 0.5).all()


def test_an_area_may_have_any_shape():
    arch = ((100, 900), (100, 100), (900, 100), (900, 900), (700, 900), (700, 300), (300, 300), (300, 900))
    where = np.array([[0.2, 0.8], [0.5, 0.2], [0.8, 0.8], [0.5, 0.8], [0.05, 0.5], [0.95, 0.2]])
    assert inside(where, arch).tolist() == [True, True, True, False, False, False]
    assert inside(where, arch[::-1]).tolist() == inside(where, arch).tolist()
    assert inside(where, ()).all()


@pytest.mark.parametrize("number", [3, 40, 400])
def test_each_kind_has_its_colour_and_what_is_not_in_question_has_none(number):
    order = [f"c{place}" for place in range(number)]
    colouring = by_kind(["c2", "", "c0", "c2"], order, LIGHT)
    assert colouring.codes.tolist() == [3, 0, 1, 3]
    assert len(colouring.colours) <= 256 and len(set(colouring.colours)) == len(colouring.colours)
    assert [text for _, text in colouring.legend] == ["c0 (1)", "c2 (2)", "others (1)"]


def test_a_legend_lists_a_dozen_and_counts_the_rest():
    order = [f"c{place}" for place in range(20)]
    assert by_kind(order, order, DARK).legend[-1][1] == "and 8 more: point at one for its name"


def test_values_go_from_the_first_to_the_last_colour():
    colouring = by_value(np.array([0, 1, 0.5, np.nan, 0.9]), np.array([True] * 4 + [False]), LIGHT)
    assert colouring.codes.tolist() == [1, 255, 128, 1, 0]
    assert len(colouring.colours) == 256 and [text for _, text in colouring.legend] == ["0", "0.25", "0.5", "0.75", "1"]


# -- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", ["class", "prediction", "group", "correct", "confidence", "cluster", "mark"])
def test_the_points_can_be_coloured_by_everything(opened, analysed_run, colour):
    run = analysed_run
    app = opened(run.path.parent, "map", colour=colour, layout="components", **{"class": run.classes["id"][1]})
    assert_no_errors(app, warnings=False)
    assert "**40 images** on the map" in texts(app)


def test_an_area_shows_its_images_which_can_be_marked(opened, analysed_run, monkeypatch, tmp_path):
    monkeypatch.setenv("CLASSPRINT_MARKS", str(tmp_path / "marks.sqlite"))
    chosen = in_left_half(analysed_run)
    app = opened(analysed_run.path.parent, "map", area=LEFT_HALF)
    assert_no_errors(app, warnings=False)
    assert f"**{len(chosen)} images** in the area" in texts(app)
    app.button(key="mark-Mark-map").click().run()
    marked = [bool(text) for text in MarkedImages(analysed_run).column(range(40))]
    assert marked == [image in chosen for image in range(40)]
    app = opened(analysed_run.path.parent, "map", mark="-")
    assert f"**{40 - len(chosen)} images** on the map" in texts(app)


@pytest.mark.parametrize("area", ["1.2,3.4", "a", "0.0,1001.0,5.5", "1,2,3", ",".join(["1.1"] * 65), "0.0,1.1,-1.2"])
def test_an_area_that_is_none_is_reported(opened, analysed_run, area):
    app = opened(analysed_run.path.parent, "map", area=area)
    assert_no_errors(app)
    assert "The link asks for area" in texts(app) and "**40 images** on the map" in texts(app)


def test_an_area_without_points_says_so(opened, analysed_run):
    app = opened(analysed_run.path.parent, "map", area="0.0,1.0,0.1")
    assert_no_errors(app, warnings=False)
    assert app.info[0].value.startswith("No images match")


def test_a_run_without_an_analysis_or_with_too_few_images_gets_a_sentence(monkeypatch, tmp_path, analysed_run):
    path = write_synthetic_run(tmp_path / "few", epochs=1, classes=2, images_per_class=3)
    assert "needs the cross-epoch analysis" in texts(open_page(monkeypatch, tmp_path, "map", area=LEFT_HALF))
    analyse(open_run(path))
    app = open_page(monkeypatch, tmp_path, "map", area=LEFT_HALF)
    assert_no_errors(app, warnings=False)
    assert "too few images for a map" in texts(app)
