"""Folders of images: what is read from them, and what is refused by name; nothing is left out in silence."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from compute.errors import BadLayout
from tests.compute.data.conftest import write_image


def test_a_folder_tree_becomes_a_data_set(fruit, load):
    dataset = load(fruit)
    assert dataset.name == "fruit"
    assert [(info.id, info.name, info.group) for info in dataset.classes] == [
        ("apple", "apple", "all"),
        ("pear_tree", "pear tree", "all"),
        ("plum", "plum", "all"),
    ]
    assert dataset.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert dataset.train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert dataset.validation.images[:, 0, 0, 0].tolist() == [100, 101, 110, 111, 120, 121]
    assert dataset.validation.names[2] == "val/pear_tree/0.png"
    assert dataset.validation.boxes is None


@pytest.mark.parametrize("name", ["valid", "validation", "test"])
def test_other_names_of_the_validation_folder_are_known(fruit, load, name):
    (fruit / "val").rename(fruit / name)
    assert len(load(fruit).validation) == 6


def test_the_folder_above_may_be_given_and_system_files_do_not_matter(fruit, load, tmp_path):
    for folder in (fruit, fruit / "train", fruit / "train" / "apple"):
        (folder / ".DS_Store").write_text("x")
        (folder / "Thumbs.db").write_text("x")
    (tmp_path / "outer").mkdir()
    fruit.rename(tmp_path / "outer" / "fruit")
    assert len(load(tmp_path / "outer").train) == 12


def test_a_class_table_gives_names_and_groups(fruit, load):
    rows = [("plum", "a plum", "stone"), ("apple", "an apple", "pome"), ("pear_tree", "a pear", "pome")]
    with (fruit / "classes.csv").open("w", newline="") as out:
        csv.writer(out).writerows([("id", "name", "group"), *rows])
    assert [(info.name, info.group) for info in load(fruit).classes] == [
        ("an apple", "pome"),
        ("a pear", "pome"),
        ("a plum", "stone"),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"id,label\napple,x\n", "lacks the columns 'group', 'name'"),
        (b"id,name,group\napple,x,\nplum,y,\n", "no name for the classes 'pear_tree'"),
        (b"id,name,group\napple,  ,f\nplum,p,f\npear_tree,y,\n", "has no name for the classes 'apple'"),
        (b"id,name,group\napple,x,\nplum,x,\npear_tree,y,\n", "an id or a name twice: 'x'"),
        (b"id,name,group\napple,x,\nplum,y,\npear_tree,z,\nplum,w,\n", "an id or a name twice: 'plum'"),
        ("id,name,group\napple,Äpfel,f\n".encode("latin-1"), "not UTF-8 text: byte 20 is invalid"),
        (b"id,name,group\napple,a\0b,f\n", "contains zero bytes"),
        (b"id,name,group\napple," + b"y" * 200_000 + b",f\n", "is not a CSV file: field larger"),
    ],
)
def test_an_invalid_class_table_is_refused(fruit, load, table, message):
    (fruit / "classes.csv").write_bytes(table)
    with pytest.raises(BadLayout, match=message):
        load(fruit)


def test_class_names_that_would_be_equal_stay_the_folders_names(load, tmp_path):
    for name in ("red_fox", "red fox"):
        for split in ("train", "val"):
            write_image(tmp_path / "foxes" / split / name / "0.png", 5)
    assert [info.name for info in load(tmp_path / "foxes").classes] == ["red fox", "red_fox"]


@pytest.mark.parametrize(
    "name", ["ünï 日本語", "-rf", "<b>bold", "q\"uo'te", "a,b;c", "x" * 200, "$HOME", "{x}", "nan", "C:", "a\\b"]
)
def test_any_printable_class_name_stays_as_it_is(fruit, load, name):
    for split in ("train", "val"):
        (fruit / split / "plum").rename(fruit / split / name)
    assert name in [info.id for info in load(fruit).classes]


def test_folders_may_begin_with_a_dash(fruit, load, tmp_path, monkeypatch):
    fruit.rename(tmp_path / "-fruit")
    monkeypatch.chdir(tmp_path)
    assert load(Path("-fruit")).train.images[4, 0, 0, 0] == 10


@pytest.mark.parametrize("name", [b"bad\xff", b"tab\tx", b"new\nline", b"bell\x07"])
@pytest.mark.parametrize("folder", ["train", "train/apple"])
def test_names_with_control_characters_or_not_in_utf8_are_refused(fruit, load, name, folder):
    (fruit / "train" / "apple" / "0.png").rename(fruit / folder / os.fsdecode(name + b".png"))
    with pytest.raises(BadLayout, match=r"which is not UTF-8 or contains control characters. Rename it"):
        load(fruit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: (root / "val" / "plum").rename(root / "val" / "prune"),
            r"classes 'plum' of '.*train' are not in '.*val'. Both need the same class folders",
        ),
        (lambda root: write_image(root / "val/kiwi/0.png"), r"classes 'kiwi' of '.*val' are not in '.*train'"),
        (lambda root: [p.unlink() for p in (root / "train" / "plum").iterdir()], "plum' contains no images"),
        (
            lambda root: (root / "train" / "plum" / "notes.txt").write_text("x"),
            "something other than images: 'notes.txt'",
        ),
        (lambda root: (root / "val" / "plum" / "more").mkdir(), "something other than images: 'more'"),
        (lambda root: [p.rename(root / p.name) for p in (root / "train").iterdir()], "train' contains no class folder"),
        (
            lambda root: write_image(root / "train/apple/images/1.png"),
            r"contains '0\.png'.* beside its folder",
        ),
        (lambda root: (root / "train/quince").symlink_to("quince"), "train/quince' is a broken or circular link"),
        (lambda root: (root / "train/quince").symlink_to("..nowhere"), "circular link. Repair or remove it"),
    ],
)
def test_invalid_class_folders_are_refused_by_name(fruit, load, change, message):
    change(fruit)
    with pytest.raises(BadLayout, match=message):
        load(fruit)


def test_a_single_class_is_refused(load, tmp_path):
    for split in ("train", "val"):
        write_image(tmp_path / "one" / split / "apple" / "0.png")
    with pytest.raises(BadLayout, match=r"contains only the class 'apple'\. A classifier needs two or more"):
        load(tmp_path / "one")


def test_hidden_folders_are_not_used_and_a_note_says_so_where_they_hold_images(fruit, load):
    before = load(fruit)
    assert before.notes == ()
    (fruit / "train" / ".cache").mkdir()
    assert load(fruit).notes == ()
    write_image(fruit / "train" / ".net" / "0.png")
    write_image(fruit / "val" / ".net" / "images" / "0.png")
    after = load(fruit)
    assert after.checksum == before.checksum
    assert len(after.notes) == 2
    assert "train' also has images in the hidden folders '.net', which are not used" in after.notes[0]
    assert "Rename them without the dot" in after.notes[1]
