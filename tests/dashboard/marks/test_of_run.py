import hashlib
import shutil

import pytest

from dashboard.marks import of_run
from dashboard.marks.marks_file import Mark, MarksError, MarksFile
from store import open_run


@pytest.fixture
def runs(tiny_run, tmp_path, monkeypatch):
    """Two runs of the same images in one folder."""
    monkeypatch.delenv("CLASSPRINT_MARKS", raising=False)
    monkeypatch.delenv("CLASSPRINT_READ_ONLY", raising=False)
    return [open_run(shutil.copytree(tiny_run, tmp_path / name)) for name in ("first", "second")]


def test_marks_follow_an_image_from_run_to_run_in_one_file_beside_them(runs, tmp_path):
    first, second = runs
    assert of_run.add_mark(first, [0, 2], "wrong label", note="a dog", reader="anna") == 2
    (mark,) = of_run.marks_by_image(second)[2]
    assert (mark.mark, mark.note, mark.reader, mark.name) == ("wrong label", "a dog", "anna", first.image_names[2])
    assert sorted(of_run.marks_by_image(second)) == [0, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second", "marks.sqlite"}
    assert of_run.remove_mark(second, [0, 1, 2], "wrong label") == 2
    assert of_run.marks_by_image(first) == {}


def test_nothing_is_written_into_a_run(runs):
    before = {path: path.stat().st_mtime_ns for path in runs[0].path.rglob("*")}
    of_run.add_mark(runs[0], [1], "odd")
    assert {path: path.stat().st_mtime_ns for path in runs[0].path.rglob("*")} == before


def test_hashes_are_those_of_the_pixels_whether_or_not_the_run_holds_them(runs, monkeypatch):
    run = runs[0]
    pixels = run.pixels([0, 1], variant=run.variants[0])
    expected = tuple(hashlib.sha256(image.tobytes()).digest() for image in pixels)
    assert of_run.image_hashes(run)[:2] == expected
    monkeypatch.setattr(type(run), "image_sha256", lambda self: None)
    assert of_run.image_hashes.__wrapped__(run)[:2] == expected


def test_counts_columns_and_filters_follow_the_marks(runs):
    run = runs[0]
    of_run.add_mark(run, [0, 1], "wrong label")
    of_run.add_mark(run, [1], "own words")
    images = [0, 1, 2]
    assert of_run.mark_counts(run, images) == {"wrong label": 2, "ambiguous": 0, "bad image": 0, "own words": 1}
    assert of_run.mark_column(run, images) == ["wrong label", "own words, wrong label", ""]
    assert of_run.has_mark(run, images, of_run.ANY).tolist() == [True, True, False]
    assert of_run.has_mark(run, images, of_run.WITHOUT).tolist() == [False, False, True]
    assert of_run.has_mark(run, images, "own words").tolist() == [False, True, False]


def test_a_read_only_dashboard_shows_marks_and_sets_none(runs, monkeypatch):
    run = runs[0]
    of_run.add_mark(run, [0], "odd")
    monkeypatch.setenv("CLASSPRINT_READ_ONLY", "1")
    assert 0 in of_run.marks_by_image(run)
    for act in (of_run.add_mark, of_run.remove_mark):
        with pytest.raises(MarksError, match="is read-only"):
            act(run, [0], "odd")
    with pytest.raises(MarksError, match="is read-only"):
        of_run.add_marks(run, [Mark(bytes(32), "x")])
    assert len(of_run.marks_by_image(run)) == 1


def test_the_operator_may_name_another_file(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("CLASSPRINT_MARKS", str(tmp_path / "elsewhere.sqlite"))
    of_run.add_mark(runs[0], [0], "odd")
    assert len(MarksFile(tmp_path / "elsewhere.sqlite").read().rows) == 1
    assert not (tmp_path / "marks.sqlite").exists()


def test_a_damaged_file_is_a_problem_and_no_error(runs, tmp_path):
    (tmp_path / "marks.sqlite").write_bytes(b"no database" * 500)
    assert "not a database" in of_run.problem(runs[0])
    assert of_run.marks_by_image(runs[0]) == {} and of_run.all_marks(runs[0]) == ()
    assert of_run.mark_column(runs[0], [0, 1]) == ["", ""]


def test_a_folder_that_may_not_be_written_is_told_before_anybody_marks(runs, monkeypatch):
    monkeypatch.setattr(of_run.os, "access", lambda path, mode: False)
    assert "may not write" in of_run.obstacle(runs[0])
    with pytest.raises(MarksError, match="CLASSPRINT_MARKS"):
        of_run.add_mark(runs[0], [0], "odd")
