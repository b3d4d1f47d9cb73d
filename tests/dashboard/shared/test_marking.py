"""Marks on the pages: set, counted, filtered, sorted, and shown as plain text."""

import shutil

import pytest

from dashboard.components import tiles
from dashboard.components.tiles import Tile, TileSet
from dashboard.marks.marked_images import FILE_VARIABLE, READ_ONLY_VARIABLE, SUGGESTED, MarkedImages
from dashboard.shared import marking
from store import open_run
from tests.dashboard.app import assert_no_errors, open_page, texts

HOSTILE = "<img src=x onerror=alert(1)> **bold** [a](http://b)"


@pytest.fixture
def run(tiny_run, tmp_path, monkeypatch):
    """A run alone in its folder, in which nothing is marked."""
    for name in (FILE_VARIABLE, READ_ONLY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLASSPRINT_RUNS", str(tmp_path))
    return open_run(shutil.copytree(tiny_run, tmp_path / "tiny"))


def wrong_images(run):
    table = run.predictions(epoch=run.epochs[-1], variant=run.variants[0])
    return table["image"][~table["correct"]].tolist()


def options(app, label):
    return next(box for box in app.selectbox if box.label == label).options


def test_tiles_carry_the_marks_of_their_images_and_what_can_be_set(run, monkeypatch):
    MarkedImages(run).add([1], "odd")
    content = TileSet((Tile("0", "a"), Tile("1", "b")))
    data = tiles.payload(marking.with_marks(MarkedImages(run), content))
    assert [tile["marks"] for tile in data["tiles"]] == [(), ("odd",)]
    assert data["marking"] == SUGGESTED
    monkeypatch.setenv(READ_ONLY_VARIABLE, "1")
    data = tiles.payload(marking.with_marks(MarkedImages(run), content))
    assert data["tiles"][1]["marks"] == ("odd",) and data["marking"] is None


def test_only_the_tiles_that_are_shown_can_be_marked(run):
    mark = marking.on_mark(MarkedImages(run), TileSet((Tile("0", "a"), Tile("1", "b"))))
    mark({"images": ["1", "2", "x"], "mark": "odd", "note": "n", "remove": False})
    assert {image: own[0].note for image, own in MarkedImages(run).marks().items()} == {1: "n"}
    mark({"images": ["1"], "mark": "odd", "note": "", "remove": True})
    assert MarkedImages(run).marks() == {}


@pytest.mark.parametrize("page", ["failures", "gallery", "image"])
def test_hostile_marks_are_shown_as_they_are_and_marks_are_counted(run, monkeypatch, page):
    wrong = wrong_images(run)
    MarkedImages(run).add(wrong, HOSTILE, note=HOSTILE, reader=HOSTILE)
    app = open_page(monkeypatch, run.path.parent, page, image=str(wrong[0]))
    assert_no_errors(app)
    for line in texts(app).splitlines():
        assert "<img" not in line.replace("\\<", "") and "**bold**" not in line
    if page == "failures":
        assert f"{HOSTILE} ({len(wrong)})" in options(app, "Mark")
        assert "not marked (0)" in options(app, "Mark")


def test_failures_are_filtered_and_sorted_by_mark(run, monkeypatch):
    wrong = wrong_images(run)
    MarkedImages(run).add(wrong[:1], "ambiguous")
    everything = open_page(monkeypatch, run.path.parent, "failures", sort="number")
    assert f"**{len(wrong)} wrong" in texts(everything)
    for value, number in (("ambiguous", 1), ("*", 1), ("-", len(wrong) - 1), ("+", len(wrong)), ("bad image", 0)):
        app = open_page(monkeypatch, run.path.parent, "failures", mark=value)
        assert_no_errors(app, warnings=False)
        assert f"**{number} wrong" in texts(app), value
    MarkedImages(run).add(wrong[-1:], "wrong label")
    table = open_page(monkeypatch, run.path.parent, "failures", mark="+", sort="number").dataframe[0].value
    assert table["image"].tolist()[:2] == [wrong[-1], wrong[0]]
    invalid = open_page(monkeypatch, run.path.parent, "failures", mark="never set")
    assert "The link asks for mark “never set”" in texts(invalid)


def test_the_images_of_a_cell_of_the_matrix_are_filtered_by_mark(run, monkeypatch):
    wrong = wrong_images(run)
    MarkedImages(run).add(wrong, "odd")
    app = open_page(monkeypatch, run.path.parent, "confusion", mark="odd")
    assert_no_errors(app, warnings=False)
    assert not app.info
    app = open_page(monkeypatch, run.path.parent, "confusion", mark="ambiguous")
    assert_no_errors(app, warnings=False)
    assert app.info[0].value.startswith("No images match")


def test_all_images_of_a_filter_are_marked_at_once(run, monkeypatch):
    wrong = wrong_images(run)
    app = open_page(monkeypatch, run.path.parent, "failures")
    app.selectbox(key="mark-word-failures").set_value("bad image")
    app.text_input(key="mark-note-failures").set_value("blurred").run()
    app.button(key="mark-Mark-failures").click().run()
    assert_no_errors(app)
    assert {image: own[0].note for image, own in MarkedImages(run).marks().items()} == dict.fromkeys(wrong, "blurred")
    app.button(key="mark-Remove from-failures").click().run()
    assert MarkedImages(run).marks() == {}


def test_one_image_is_marked_and_the_mark_is_taken_back(run, monkeypatch):
    app = open_page(monkeypatch, run.path.parent, "image", image="0")
    app.button(key="mark-ambiguous-image").click().run()
    assert_no_errors(app)
    assert MarkedImages(run).column([0]) == ["ambiguous"]
    app.button(key="unmark-image-0").click().run()
    assert MarkedImages(run).column([0]) == [""]


def test_a_read_only_dashboard_shows_marks_and_offers_nothing(run, monkeypatch):
    MarkedImages(run).add(wrong_images(run), "odd")
    monkeypatch.setenv(READ_ONLY_VARIABLE, "1")
    app = open_page(monkeypatch, run.path.parent, "failures")
    assert_no_errors(app)
    assert "read-only" in texts(app) and f"odd ({len(wrong_images(run))})" in options(app, "Mark")
    assert not [button.key for button in app.button if (button.key or "").startswith("mark-")]


def test_a_damaged_file_of_marks_stops_no_page(run, monkeypatch):
    (run.path.parent / "marks.sqlite").write_bytes(b"no database" * 900)
    for page in ("failures", "gallery", "image"):
        app = open_page(monkeypatch, run.path.parent, page)
        assert_no_errors(app)
    assert "not a database" in texts(open_page(monkeypatch, run.path.parent, "failures"))
