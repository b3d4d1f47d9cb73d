"""Folders of images: what is read from them, and what is refused by name; nothing is left out in silence."""

import csv
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data.dataset import Selection
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


def write_classes(folder: Path, *names: str, count: int = 3) -> None:
    """Class folders with images, all of them different."""
    for name in names:
        for n in range(count):
            path = folder / name / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(zlib.crc32(bytes(path))).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(noise).save(path)


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("Train", "Val"),
        ("TRAIN", "TEST"),
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("train_images", "valid_images"),
        ("ILSVRC2012_img_train", "ILSVRC2012_img_val"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/images/train", "dev"),
        ("trainset", "testset"),
    ],
)
def test_splits_are_found_under_the_names_that_people_give_them(load, tmp_path, train, validation):
    write_classes(tmp_path / "set" / train, "ant", "bee")
    write_classes(tmp_path / "set" / validation, "ant", "bee", count=2)
    dataset = load(tmp_path / "set")
    assert (len(dataset.train), len(dataset.validation)) == (6, 4)
    assert dataset.validation.names[0] == f"{validation}/ant/0.png"


def test_val_goes_before_test_and_folders_that_are_not_used_are_named(load, tmp_path):
    for split in ("train", "test", "val", "pred"):
        write_classes(tmp_path / "set" / split, "ant", "bee")
    dataset = load(tmp_path / "set")
    assert dataset.validation.names[0] == "val/ant/0.png"
    assert dataset.notes[0].endswith("the folders 'pred', 'test'.")
    (tmp_path / "set" / "train").rename(tmp_path / "set" / "old_train")
    write_classes(tmp_path / "set" / "new_train", "ant", "bee")
    with pytest.raises(BadLayout, match=r"several folders of train images: 'new_train', 'old_train'. Rename"):
        load(tmp_path / "set")


@pytest.mark.parametrize("layout", ["no split", "train only", "a class that is named train"])
def test_without_validation_images_a_share_of_each_class_is_set_apart(load, tmp_path, layout):
    names = ("bus", "train", "car") if "named" in layout else ("ant", "bee", "cow")
    write_classes(tmp_path / "set" / ("train" if layout == "train only" else ""), *names, count=10)
    first = load(tmp_path / "set")
    assert sorted(first.train.labels.tolist()) == sorted([0, 1, 2] * 8)
    assert first.validation.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert not set(first.train.names) & set(first.validation.names)
    assert "6 of 30, 20 % of each class, are set apart (data.validation_share; data.seed = 0" in first.notes[0]
    assert load(tmp_path / "set").checksum == first.checksum
    assert load(tmp_path / "set", seed=1).checksum != first.checksum
    assert len(load(tmp_path / "set", selection=Selection(validation_share=0.5)).validation) == 15
    # a new image moves at most one other of its class
    before = set(first.validation.names)
    write_image(tmp_path / "set" / Path(first.train.names[0]).parent / "new.png", 250)
    assert len(before - set(load(tmp_path / "set").validation.names)) <= 1


def test_a_class_of_a_single_image_cannot_be_split(load, tmp_path):
    write_classes(tmp_path / "set", "ant")
    write_classes(tmp_path / "set", "bee", count=1)
    with pytest.raises(BadLayout, match="class 'bee' has a single image, so none can be set apart"):
        load(tmp_path / "set")


def test_validation_images_alone_can_be_recorded_but_not_trained_on(load, tmp_path):
    write_classes(tmp_path / "set" / "val", "ant", "bee")
    with pytest.raises(BadLayout, match=r"only validation images \('val'\), so no network can be trained"):
        load(tmp_path / "set")
    alone = Selection(validation_only=True)
    for source in (tmp_path / "set", tmp_path / "set" / "val"):
        dataset = load(source, selection=alone)
        assert dataset.train is None
        assert len(dataset.validation) == 6
        with pytest.raises(BadLayout, match="record a trained network: python -m compute record"):
            dataset.training_images()
    write_classes(tmp_path / "set" / "train", "ant", "bee")
    assert load(tmp_path / "set", selection=alone).train is None


def test_names_beside_the_splits_are_used_for_the_folder_val_alone(load, tmp_path):
    write_classes(tmp_path / "set" / "val", "ant", "bee")
    (tmp_path / "set" / "classes.csv").write_text("id,name\nant,Ameise\nbee,Biene\n")
    dataset = load(tmp_path / "set" / "val", selection=Selection(validation_only=True))
    assert [info.name for info in dataset.classes] == ["Ameise", "Biene"]


def test_nested_classes_are_grouped_by_the_folder_above(load, tmp_path):
    for split in ("train", "val"):
        write_classes(tmp_path / "set" / split, "insects/ant", "insects/bee", "birds/owl/images")
    dataset = load(tmp_path / "set")
    assert [(info.id, info.name, info.group) for info in dataset.classes] == [
        ("birds/owl", "owl", "birds"),
        ("insects/ant", "ant", "insects"),
        ("insects/bee", "bee", "insects"),
    ]


def test_classes_are_in_natural_order_or_in_that_of_torchvision(load, tmp_path):
    for split in ("train", "val"):
        write_classes(tmp_path / "set" / split, "1", "2", "10")
    assert [info.id for info in load(tmp_path / "set").classes] == ["1", "2", "10"]
    dataset = load(tmp_path / "set", selection=Selection(class_order="text"))
    assert [info.id for info in dataset.classes] == ["1", "10", "2"]
    assert dataset.validation.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert dataset.validation.names[3] == "val/10/0.png"


@pytest.mark.parametrize(("one", "other"), [("caf\u00e9", "cafe\u0301"), ("Apple", "apple")])
def test_a_class_may_be_written_in_two_ways_in_the_two_splits(load, tmp_path, one, other):
    write_classes(tmp_path / "set" / "train", one, "tea")
    write_classes(tmp_path / "set" / "val", other, "tea", count=2)
    dataset = load(tmp_path / "set")
    assert {info.id for info in dataset.classes} == {one, "tea"}
    assert (len(dataset.train), len(dataset.validation)) == (6, 4)


def test_two_unicode_forms_of_a_class_in_one_split_are_refused(load, tmp_path):
    write_classes(tmp_path / "set", "caf\u00e9", "cafe\u0301", "tea")
    with pytest.raises(BadLayout, match="have the same name in two Unicode forms"):
        load(tmp_path / "set")


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "Icon\r", "lost+found", "$RECYCLE.BIN", "System Volume Information", "#recycle", "__MACOSX"),
        *(".ipynb_checkpoints", "Thumbs.db", "0.png:Zone.Identifier", "0.png~", "~$0.png", "._0.png", ".DS_Store"),
    ],
)
@pytest.mark.parametrize("folder", ["", "train", "train/plum"])
def test_what_systems_and_tools_leave_behind_does_not_matter(fruit, load, name, folder):
    before = load(fruit)
    if "." in name[1:] or name.startswith(("Icon", "._", "~")):
        (fruit / folder / name).write_bytes(b"x")
    else:
        write_image(fruit / folder / name / "0.png")
    after = load(fruit)
    assert after.checksum == before.checksum


def test_texts_beside_images_are_left_out_and_counted(fruit, load):
    for name in ("0.xml", "notes.txt", "labels.csv", "README.md"):
        (fruit / "train" / "plum" / name).write_text("x")
    (note,) = load(fruit).notes
    assert note.startswith("4 files that are not images are not used: 'train/plum/0.xml', ")


def test_a_folder_of_several_image_sets_is_refused(load, tmp_path):
    for name in ("one", "two"):
        write_classes(tmp_path / "sets" / name / "train", "ant", "bee")
        write_classes(tmp_path / "sets" / name / "val", "ant", "bee")
    with pytest.raises(BadLayout, match=r"is not an image set.* Found: 'one/', 'two/'"):
        load(tmp_path / "sets")


def test_images_may_be_called_as_a_split_is(load, tmp_path):
    write_classes(tmp_path / "set", "ant", "bee", count=4)
    for number, path in enumerate(sorted((tmp_path / "set").rglob("*.png"))):
        path.rename(path.with_name(f"ILSVRC2012_val_{number:08d}.png"))
    dataset = load(tmp_path / "set")
    assert [info.name for info in dataset.classes] == ["ant", "bee"]
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 8


def test_a_loop_of_links_ends(load, tmp_path):
    write_classes(tmp_path / "set", "ant", "bee")
    (tmp_path / "set" / "loop").mkdir()
    (tmp_path / "set" / "loop" / "up").symlink_to("../..", target_is_directory=True)
    with pytest.raises(BadLayout):
        load(tmp_path / "set")


@pytest.mark.parametrize("suffix", ["avif", "jfif", "jp2", "JPG", "Tif", "jpe"])
def test_images_of_many_suffixes_are_read(fruit, load, suffix):
    path = fruit / "train" / "plum" / f"x.{suffix}"
    form = {"jfif": "JPEG", "jpe": "JPEG", "jp2": "JPEG2000", "Tif": "TIFF", "JPG": "JPEG"}.get(suffix, "AVIF")
    Image.new("RGB", (8, 8), (90, 90, 90)).save(path, form)
    assert abs(int(load(fruit).train.images[-1, 4, 4, 0]) - 90) < 3


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
        (b"id,label\napple,x\n", "lacks the columns id and name. Its first line is 'id,label'"),
        (b"id,name,group\napple,x,\nplum,y,\n", "no name for the classes 'pear_tree'"),
        (b"id,name,group\napple,  ,f\nplum,p,f\npear_tree,y,\n", "has no name for the classes 'apple'"),
        (b"id,name,group\napple,x,\nplum,x,\npear_tree,y,\n", "an id or a name twice: 'x'"),
        (b"id,name,group\napple,x,\nplum,y,\npear_tree,z,\nplum,w,\n", "an id or a name twice: 'plum'"),
        ("id,name,group\napple,Äpfel,f\n".encode("latin-1"), "not UTF-8 text: byte 20 is invalid"),
        (b"id,name,group\napple,a\0b,f\n", "contains zero bytes"),
        (b"id,name\napple,a\x1b[1mb\nplum,y\npear_tree,z\n", "has control characters in 'a"),
        (b"id,name,name\napple,x,y\n", "has several columns 'name'"),
        (b"id,name,group\napple," + b"y" * 200_000 + b",f\n", "is not a CSV file: field larger"),
    ],
)
def test_an_invalid_class_table_is_refused(fruit, load, table, message):
    (fruit / "classes.csv").write_bytes(table)
    with pytest.raises(BadLayout, match=message):
        load(fruit)


def test_folders_that_may_be_splits_by_another_name_are_mentioned(load, tmp_path):
    for split in ("learn", "check"):
        write_classes(tmp_path / "set" / split, "ant", "bee")
    assert load(tmp_path / "set").notes[0] == (
        "The folders 'check', 'learn' contain folders of the same names, 'ant', 'bee', and each of them is a class of "
        "its own, for instance 'check/ant'. If they are splits, rename them train and val."
    )


@pytest.mark.parametrize("other", ["Ant", "ant ", "a_nt", "ant\u200b", "\uff41nt"])
def test_class_names_that_look_alike_are_mentioned(load, tmp_path, other):
    write_classes(tmp_path / "set", "ant", "bee", other)
    notes = [note for note in load(tmp_path / "set").notes if "look alike, but are different classes." in note]
    assert len(notes) == 1
    assert f"'{other}'" in notes[0]


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
            lambda root: (root / "train" / "plum" / "scan.heic").write_text("x"),
            "something other than images: 'scan.heic'. Convert or move it",
        ),
        (lambda root: (root / "val" / "plum" / "more").mkdir(), "something other than images: 'more'"),
        (
            lambda root: [p.rename(root / p.name) for p in (root / "train").iterdir()],
            "has only validation images",
        ),
        (
            lambda root: write_image(root / "train/apple/images/1.png"),
            "apple' contains something other than images: 'images'",
        ),
        (
            lambda root: write_image(root / "train" / "stray.png"),
            r"train' contains images beside its class folders: 'stray\.png'",
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
    assert after.notes == (
        "Images in the hidden folders 'train/.net', 'val/.net' are not used. Rename them without the dot to use them.",
    )
