"""Several folders of runs as one list: how they are written, what is found, what is said of those that fail."""

import os

import pytest

from store.errors import StoreError
from store.read.run_folders import RunFolders, split_folders
from store.synthetic import create_synthetic_run, synthetic_description, write_synthetic_run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs", ["runs"]),
        ("a:/data/b", ["a", "/data/b"]),
        ("s3://bucket/runs", ["s3://bucket/runs"]),
        ("s3://bucket:/data", ["s3://bucket", "/data"]),
        ("runs:s3://bucket/runs:/data", ["runs", "s3://bucket/runs", "/data"]),
        ("http://host:9000/runs:gs://b", ["http://host:9000/runs", "gs://b"]),
        ("http://host:9000:b", ["http://host:9000", "b"]),
        ("sftp://me:word@host:22/r:x", ["sftp://me:word@host:22/r", "x"]),
        ("simplecache::s3://bucket/runs:x", ["simplecache::s3://bucket/runs", "x"]),
        ("a::b:", ["a", "b"]),
    ],
)
def test_colons_divide_folders_and_not_urls(text, expected):
    assert split_folders(text) == expected


def test_a_folder_with_a_colon_in_its_name_is_one_folder(tmp_path):
    (tmp_path / "a:b").mkdir()
    assert split_folders(str(tmp_path / "a:b")) == [str(tmp_path / "a:b")]


def test_runs_of_several_folders_have_names_of_their_own_and_the_newest_comes_first(tmp_path):
    places = [tmp_path / "one" / "same", tmp_path / "two" / "same", tmp_path / "two" / "other"]
    for age, place in enumerate(places):
        write_synthetic_run(place, epochs=1)
        os.utime(place / "epochs", (1e9 + age, 1e9 + age))
    create_synthetic_run(tmp_path / "one" / "young", synthetic_description("young", 3, 2, epochs=2))
    folders = RunFolders(f"{tmp_path}/one:{tmp_path}/two:{tmp_path}/nowhere")
    second = f"same ({tmp_path}/two)"
    assert list(folders.look().runs) == ["other", second, "same", "young"]
    assert folders.location_of(second) == str(places[1]) and folders.name_at(str(places[1])) == second
    assert folders.location_of("absent") is None


def test_runs_at_a_url_are_listed_with_those_of_a_folder(tmp_path):
    write_synthetic_run(tmp_path / "there" / "far", epochs=1)
    (tmp_path / "there" / "no-run").mkdir()
    write_synthetic_run(tmp_path / "here" / "near", epochs=1)
    found = RunFolders(f"local://{tmp_path}/there/:{tmp_path}/here").look()
    assert {name: run.location for name, run in found.runs.items()} == {
        "far": f"local://{tmp_path}/there/far",
        "near": f"{tmp_path}/here/near",
    }
    assert found.runs["far"].has_epoch and found.runs["far"].written > 1e9 and found.problems == {}


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("memory://nothing/here", r"There is nothing at 'memory://nothing/here'. Check the address"),
        ("nope://bucket/runs", r"'nope://bucket/runs' cannot be opened: Protocol not known: nope"),
        ("http://127.0.0.1:9/runs", r"web server, which does not list files. Download the run"),
    ],
)
def test_a_url_that_cannot_be_listed_is_a_problem_and_hides_no_other_folder(tmp_path, location, words):
    write_synthetic_run(tmp_path / "near", epochs=1)
    found = RunFolders(f"{location}:{tmp_path}").look()
    assert list(found.runs) == ["near"]
    with pytest.raises(StoreError, match=words):
        raise StoreError(found.problems[location])


def test_a_folder_whose_name_is_no_text_is_named_and_left_out(tmp_path):
    write_synthetic_run(tmp_path / "good", epochs=1, classes=2, images_per_class=1)
    (tmp_path / "bad\udcff").mkdir()
    found = RunFolders(str(tmp_path)).look()
    assert list(found.runs) == ["good"]
    assert found.problems == {"bad?": "its name is not UTF-8. Rename it."}


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "\udcff"])
def test_a_setting_that_can_be_no_path_holds_no_runs(text):
    assert not RunFolders(text).look().runs
