import hashlib
import os
import shutil

import numpy as np
import pytest

from dashboard.marks import marked_images
from dashboard.marks.marked_images import ANY, WITHOUT, MarkedImages
from dashboard.marks.marks_file import Mark, MarksError, MarksFile
from store import open_run, resume_run


@pytest.fixture
def runs(tiny_run, tmp_path, monkeypatch):
    """Two runs of the same images in one folder."""
    monkeypatch.delenv("CLASSPRINT_MARKS", raising=False)
    monkeypatch.delenv("CLASSPRINT_READ_ONLY", raising=False)
    monkeypatch.setenv("CLASSPRINT_RUNS", str(tmp_path))
    return [MarkedImages(open_run(shutil.copytree(tiny_run, tmp_path / name))) for name in ("first", "second")]


def test_marks_follow_an_image_from_run_to_run_in_one_file_beside_them(runs, tmp_path):
    first, second = runs
    assert first.add([0, 2], "wrong label", note="a dog", reader="anna") == 2
    (mark,) = second.marks()[2]
    assert (mark.mark, mark.note, mark.reader, mark.name) == ("wrong label", "a dog", "anna", first.names()[2])
    assert sorted(second.marks()) == [0, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second", "marks.sqlite"}
    assert second.remove([0, 1, 2], "wrong label") == 2
    assert first.marks() == {}


def test_nothing_is_written_into_a_run(runs):
    before = {path: path.stat().st_mtime_ns for path in runs[0].run.path.rglob("*")}
    runs[0].add([1], "odd")
    assert {path: path.stat().st_mtime_ns for path in runs[0].run.path.rglob("*")} == before


@pytest.mark.parametrize("in_the_run", [True, False])
def test_hashes_are_those_of_the_pixels_whether_or_not_the_run_holds_them(runs, monkeypatch, in_the_run):
    run = runs[0].run
    pixels = run.pixels([0, 1], variant=run.variants[0])
    if not in_the_run:
        monkeypatch.setattr(type(run), "image_sha256", lambda self: None)
    assert runs[0].hashes[:2] == tuple(hashlib.sha256(image.tobytes()).digest() for image in pixels)


def test_counts_columns_and_filters_follow_the_marks(runs):
    run = runs[0]
    run.add([0, 1], "wrong label")
    run.add([1], "own words")
    images = [0, 1, 2]
    assert run.counts(images) == {"wrong label": 2, "ambiguous": 0, "bad image": 0, "own words": 1}
    assert run.column(images) == ["wrong label", "own words, wrong label", ""]
    assert run.have(images, ANY).tolist() == [True, True, False]
    assert run.have(images, WITHOUT).tolist() == [False, False, True]
    assert run.have(images, "own words").tolist() == [False, True, False]


def test_a_read_only_dashboard_shows_marks_and_sets_none(runs, monkeypatch):
    run = runs[0]
    run.add([0], "odd")
    monkeypatch.setenv("CLASSPRINT_READ_ONLY", "1")
    assert 0 in run.marks()
    for act in (run.add, run.remove):
        with pytest.raises(MarksError, match="is read-only"):
            act([0], "odd")
    with pytest.raises(MarksError, match="is read-only"):
        marked_images.add_marks([Mark(bytes(32), "x")])
    assert len(run.marks()) == 1


def test_the_operator_may_name_another_file(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("CLASSPRINT_MARKS", str(tmp_path / "elsewhere.sqlite"))
    runs[0].add([0], "odd")
    assert len(MarksFile(tmp_path / "elsewhere.sqlite").read().rows) == 1
    assert not (tmp_path / "marks.sqlite").exists()


def test_a_damaged_file_is_a_problem_and_no_error(runs, tmp_path):
    (tmp_path / "marks.sqlite").write_bytes(b"no database" * 500)
    assert "not a database" in marked_images.problem()
    assert runs[0].marks() == {} and marked_images.all_marks().rows == ()
    assert runs[0].column([0, 1]) == ["", ""]


def test_a_folder_that_may_not_be_written_is_told_before_anybody_marks(runs, monkeypatch):
    monkeypatch.setattr(marked_images.os, "access", lambda path, mode: False)
    assert "may not write" in marked_images.obstacle()
    with pytest.raises(MarksError, match="CLASSPRINT_MARKS"):
        runs[0].add([0], "odd")


def test_images_that_trained_a_network_share_the_marks_of_equal_ones_that_validate_it(runs):
    validation = runs[0]
    writer = resume_run(validation.run.path)
    hashes = np.stack([np.frombuffer(validation.hashes[image], np.uint8) for image in (4, 0)])
    writer.write_training_images(["a.png", "b.png"], np.array([1, 0]), hashes)
    writer.write_training_epoch(1, dict.fromkeys(("prediction", "label_probability", "margin", "loss"), np.zeros(2)))
    training = MarkedImages(open_run(validation.run.path), training=True)
    assert training.hashes == (validation.hashes[4], validation.hashes[0])
    validation.add([0], "ambiguous")
    assert sorted(training.marks()) == [1]
    training.add([0], "wrong label")
    (mark,) = validation.marks()[4]
    assert (mark.mark, mark.name, mark.class_name) == ("wrong label", "a.png", training.run.classes["name"][1])


def test_training_images_without_content_hashes_cannot_be_marked(runs):
    resume_run(runs[0].run.path).write_training_images(["a.png"], np.array([0]))
    training = MarkedImages(open_run(runs[0].run.path), training=True)
    assert "does not say which content" in training.obstacle() and training.marks() == {}


# -- where the file is ------------------------------------------------------------------------------------------------


@pytest.fixture
def own_data(tmp_path_factory, monkeypatch):
    """The folder of the user's own data."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.delenv("CLASSPRINT_MARKS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return folder


def test_one_file_serves_several_folders_of_runs_and_buckets(own_data, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    second.mkdir()
    monkeypatch.setenv("CLASSPRINT_RUNS", f"s3://bucket/runs:{first}:{second}")
    assert marked_images.marks_path() == second / "marks.sqlite"  # there is no first folder
    first.mkdir()
    assert marked_images.marks_path() == first / "marks.sqlite"
    monkeypatch.setenv("CLASSPRINT_RUNS", "s3://bucket/runs")
    assert marked_images.marks_path() == own_data / "classprint" / "marks.sqlite"


def test_runs_that_may_only_be_read_are_marked_among_the_users_own_data(runs, own_data, tmp_path, monkeypatch):
    access = os.access
    monkeypatch.setattr(marked_images.os, "access", lambda path, mode: path != tmp_path and access(path, mode))
    assert marked_images.obstacle() == ""
    runs[0].add([0], "odd")
    assert [mark.mark for mark in MarksFile(own_data / "classprint" / "marks.sqlite").read().rows] == ["odd"]
    (tmp_path / "marks.sqlite").touch()  # of somebody who may write there: his marks are shown
    assert runs[0].marks() == {} and "may not write" in marked_images.obstacle()
