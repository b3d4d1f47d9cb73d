"""Folders of images in both layouts: what is read from them, and what is refused, by name."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compute.data import Limits, load_dataset
from compute.data.errors import BadImage, BadLayout, DataNotFound
from compute.data.tiny_imagenet import class_groups
from compute.errors import BadOption

WORDS = {
    "n01443537": "goldfish, Carassius auratus",
    "n02012849": "crane, wading bird",
    "n03126707": "crane, lifting machine",
    "n09999999": "gadget",
}


def image(path: Path, level: int, size: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (level, level, level)).save(path)


@pytest.fixture
def tree(tmp_path) -> Path:
    """train and val with the classes apple, pear_tree and plum; the gray level tells class and image."""
    for label, name in enumerate(("apple", "pear_tree", "plum")):
        for n in range(4):
            image(tmp_path / "fruit" / "train" / name / f"{n}.png", 10 * label + n)
        for n in range(2):
            image(tmp_path / "fruit" / "val" / name / f"{n}.png", 100 + 10 * label + n)
    return tmp_path / "fruit"


@pytest.fixture
def tiny(tmp_path) -> Path:
    root = tmp_path / "tiny-imagenet-200"
    for label, wnid in enumerate(WORDS):
        for n in range(3):
            image(root / "train" / wnid / "images" / f"{wnid}_{n}.JPEG", 10 * label + n, 16)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("unused\n")
    lines = []
    for n, wnid in enumerate([*reversed(WORDS), *WORDS]):
        image(root / "val" / "images" / f"val_{n}.JPEG", 100 + n, 16)
        lines.append(f"val_{n}.JPEG\t{wnid}\t{n}\t1\t15\t7\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(reversed(WORDS)) + "\n")
    (root / "words.txt").write_text("".join(f"{wnid}\t{words}\n" for wnid, words in WORDS.items()))
    return root


def load(source: Path, tmp_path: Path, *, size: int = 8, limits: Limits = Limits()):
    return load_dataset(str(source), size=size, limits=limits, cache=tmp_path / "cache")


def test_a_folder_tree_becomes_a_data_set(tree, tmp_path):
    dataset = load(tree, tmp_path)
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
def test_other_names_of_the_validation_folder_are_known(tree, tmp_path, name):
    (tree / "val").rename(tree / name)
    assert len(load(tree, tmp_path).validation) == 6


def test_the_folder_above_is_good_enough_and_droppings_do_not_matter(tree, tmp_path):
    for place in (tree, tree / "train", tree / "train" / "apple"):
        (place / ".DS_Store").write_text("x")
        (place / "Thumbs.db").write_text("x")
    outer = tmp_path / "outer"
    outer.mkdir()
    tree.rename(outer / "fruit")
    assert len(load(outer, tmp_path).train) == 12


def test_a_class_table_gives_names_and_groups(tree, tmp_path):
    rows = [
        ("id", "name", "group"),
        ("plum", "a plum", "stone"),
        ("apple", "an apple", "pome"),
        ("pear_tree", "a pear", "pome"),
    ]
    with (tree / "classes.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    assert [(info.name, info.group) for info in load(tree, tmp_path).classes] == [
        ("an apple", "pome"),
        ("a pear", "pome"),
        ("a plum", "stone"),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,label\napple,x\n", "lacks the columns 'group', 'name'"),
        ("id,name,group\napple,x,\nplum,y,\n", "no name for the classes 'pear_tree'"),
        ("id,name,group\napple,x,\nplum,x,\npear_tree,y,\n", "an id or a name twice: 'x'"),
        ("id,name,group\napple,x,\nplum,y,\npear_tree,z,\nplum,w,\n", "an id or a name twice: 'plum'"),
    ],
)
def test_a_wrong_class_table_is_refused(tree, tmp_path, table, message):
    (tree / "classes.csv").write_text(table)
    with pytest.raises(BadLayout, match=message):
        load(tree, tmp_path)


def test_names_that_would_collide_stay_the_folders_own(tmp_path):
    for name in ("red_fox", "red fox"):
        for split in ("train", "val"):
            image(tmp_path / "foxes" / split / name / "0.png", 5)
    assert [info.name for info in load(tmp_path / "foxes", tmp_path).classes] == ["red fox", "red_fox"]


def test_tiny_imagenet_is_recognised_with_human_names_and_groups(tiny, tmp_path):
    dataset = load(tiny, tmp_path, size=16)
    assert dataset.name == "tiny-imagenet"
    assert [info.id for info in dataset.classes] == sorted(WORDS)
    assert [info.name for info in dataset.classes] == [
        "goldfish",
        "crane (wading bird)",
        "crane (lifting machine)",
        "gadget",
    ]
    assert [info.group for info in dataset.classes] == ["water animals", "other", "tools and machines", "other"]


def test_tiny_imagenets_validation_images_are_sorted_by_label_with_their_boxes(tiny, tmp_path):
    part = load(tiny, tmp_path, size=16).validation
    # val_0..3 are the classes 3, 2, 1, 0 and val_4..7 the classes 0, 1, 2, 3.
    assert part.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert part.names[:3] == ("val/images/val_3.JPEG", "val/images/val_4.JPEG", "val/images/val_2.JPEG")
    assert part.images[:, 0, 0, 0].tolist() == [103, 104, 102, 105, 101, 106, 100, 107]
    assert part.boxes.dtype == np.int16
    assert part.boxes[0].tolist() == [3, 1, 16, 8]  # Annotated 3, 1, 15, 7: the corners belong to the object.
    half = load(tiny, tmp_path, size=8).validation
    assert half.boxes[0].tolist() == [1, 0, 8, 4]


def test_the_reordered_form_of_tiny_imagenet_keeps_its_names(tiny, tmp_path):
    for n, wnid in enumerate(WORDS):
        image(tiny / "val" / wnid / "images" / f"{n}.JPEG", n)
    for name in ("images", "val_annotations.txt"):
        (tiny / "val" / name).rename(tmp_path / name)
    dataset = load(tiny, tmp_path)
    assert dataset.classes[0].name == "goldfish"
    assert len(dataset.train) == 12


def test_every_tiny_imagenet_class_has_one_of_about_thirty_groups():
    groups = class_groups()
    assert len(groups) == 200
    assert 25 <= len(set(groups.values())) <= 36
    assert min(Counter(groups.values()).values()) >= 2
    assert groups["n04146614"] == groups["n03977966"] == "road vehicles"  # school bus, police van
    text = Path("compute/data/tiny_imagenet_groups.toml").read_text()
    assert max(Counter(line.split('"')[1] for line in text.splitlines() if '"n' in line).values()) == 1


def test_limits_take_the_first_images_of_evenly_spread_classes(tree, tiny, tmp_path):
    few = load(tree, tmp_path, limits=Limits(train_per_class=2, validation_per_class=1))
    assert few.train.images[:, 0, 0, 0].tolist() == [0, 1, 10, 11, 20, 21]
    assert few.validation.images[:, 0, 0, 0].tolist() == [100, 110, 120]
    assert few.notes == (
        f"data.train_per_class = 2 takes 6 of {len(load(tree, tmp_path).train)} images. "
        "Take all with --set data.train_per_class=0.",
        f"data.validation_per_class = 1 takes 3 of {len(load(tree, tmp_path).validation)} images. "
        "Take all with --set data.validation_per_class=0.",
    )
    half = load(tiny, tmp_path, size=16, limits=Limits(classes=2))
    assert [info.id for info in half.classes] == ["n01443537", "n03126707"]
    assert half.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert half.validation.labels.tolist() == [0, 0, 1, 1]
    assert len(half.validation.boxes) == 4
    assert half.notes == ()  # whole classes were asked for


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(classes=4), r"4 classes were asked for; '.*fruit' has 3"),
        (Limits(classes=1), "limit classes = 1 is too small. Choose 2"),
        (Limits(train_per_class=0), "limit train_per_class = 0 is too small"),
    ],
)
def test_impossible_limits_are_refused(tree, tmp_path, limits, message):
    with pytest.raises(BadOption, match=message):
        load(tree, tmp_path, limits=limits)


def test_an_impossible_size_is_refused(tree, tmp_path):
    with pytest.raises(BadOption, match="Images of 4000 pixels are not offered"):
        load(tree, tmp_path, size=4000)


def test_a_source_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(
        DataNotFound, match="no data set 'fruits': neither phantom nor tiny-imagenet nor an existing path"
    ):
        load_dataset("fruits", cache=tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataNotFound, match=r"notes\.txt' is neither a folder nor a zip or tar archive"):
        load_dataset(str(tmp_path / "notes.txt"), cache=tmp_path)


def test_a_folder_of_something_else_is_refused_with_what_was_expected_and_found(tmp_path):
    (tmp_path / "docs").mkdir()
    with pytest.raises(BadLayout, match=r"Expected: train/<class>/ and val/<class>/ .* Found: nothing"):
        load(tmp_path / "docs", tmp_path)
    (tmp_path / "docs" / "train").mkdir()
    (tmp_path / "docs" / "notes.md").write_text("")
    with pytest.raises(BadLayout, match=r"Found: 'notes\.md', 'train/'"):
        load(tmp_path / "docs", tmp_path)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda root: (root / "val" / "plum").rename(root / "val" / "prune"),
            r"classes 'plum' of '.*train' are not in",
        ),
        (lambda root: image(root / "val" / "kiwi" / "0.png", 1), r"classes 'kiwi' of '.*val' are not in '.*train'"),
        (lambda root: [p.unlink() for p in (root / "train" / "plum").iterdir()], "plum' holds no images"),
        (lambda root: (root / "train" / "plum" / "notes.txt").write_text("x"), "not an image: 'notes.txt'"),
        (lambda root: (root / "val" / "plum" / "more").mkdir(), "not an image: 'more'"),
        (lambda root: [p.rename(root / p.name) for p in (root / "train").iterdir()], "train' holds no class folder"),
    ],
)
def test_troubled_class_folders_are_refused_by_name(tree, tmp_path, break_it, message):
    break_it(tree)
    with pytest.raises(BadLayout, match=message):
        load(tree, tmp_path)


def test_a_single_class_is_refused(tmp_path):
    for split in ("train", "val"):
        image(tmp_path / "one" / split / "apple" / "0.png", 1)
    with pytest.raises(BadLayout, match="holds the class 'apple' alone"):
        load(tmp_path / "one", tmp_path)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: (root / "words.txt").unlink(), r"words\.txt' is missing"),
        (lambda root: (root / "val/images/val_3.JPEG").unlink(), r"lacks 'val_3\.JPEG'"),
        (
            lambda root: (root / "wnids.txt").write_text("n01443537\n"),
            "also holds 'n02012849', 'n03126707', 'n09999999'",
        ),
        (lambda root: (root / "wnids.txt").open("a").write("n00000001\n"), "lacks 'n00000001', unlike wnids.txt"),
        (
            lambda root: (root / "val/val_annotations.txt").open("a").write("a\tb\n"),
            "Line 9 of .* is not 'image, class",
        ),
        (lambda root: (root / "val/val_annotations.txt").write_text(""), "has no image of 'n01443537'"),
        (
            lambda root: (root / "train/n09999999/images").rename(root / "train/x"),
            r"n09999999.*images' does not exist|x",
        ),
    ],
)
def test_an_incomplete_tiny_imagenet_is_refused(tiny, tmp_path, break_it, message):
    break_it(tiny)
    with pytest.raises(BadLayout, match=message):
        load(tiny, tmp_path)


def test_an_unreadable_image_in_a_folder_is_named(tree, tmp_path):
    (tree / "train" / "plum" / "2.png").write_bytes(b"not an image")
    with pytest.raises(BadImage, match=r"plum/2\.png' is not an image"):
        load(tree, tmp_path)
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_the_second_load_comes_from_the_cache_with_the_same_checksum(tree, tmp_path, monkeypatch):
    first = load(tree, tmp_path)
    monkeypatch.setattr("compute.data.decoded_cache.read_images", None)  # Decoding again would now fail.
    second = load(tree, tmp_path)
    assert second.checksum == first.checksum
    assert np.array_equal(second.train.images, first.train.images)
    second.train.images[0] = 0  # Writable, but the file is not touched.
    assert load(tree, tmp_path).checksum == first.checksum


def test_boxes_come_from_the_cache_too(tiny, tmp_path):
    first, second = load(tiny, tmp_path, size=16), load(tiny, tmp_path, size=16)
    assert isinstance(second.train.images, np.memmap)
    assert np.array_equal(first.validation.boxes, second.validation.boxes)


def test_a_changed_source_is_decoded_again_in_place_of_the_old(tree, tmp_path):
    first = load(tree, tmp_path)
    image(tree / "train" / "plum" / "2.png", 250)
    second = load(tree, tmp_path)
    assert second.checksum != first.checksum
    assert second.train.images[10, 0, 0, 0] == 250
    assert len(list((tmp_path / "cache" / "images").glob("fruit-*"))) == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "json", "pickle"])
def test_a_damaged_cache_is_decoded_again(tree, tmp_path, damage):
    first = load(tree, tmp_path)
    (stored,) = (tmp_path / "cache").rglob("train/images.npy")
    content = bytearray(stored.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        stored.write_bytes(content)
    elif damage == "cut":
        stored.write_bytes(content[:-100])
    elif damage == "pickle":
        np.save(stored, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        (stored.parent.parent / "entry.json").write_text("[]")
    again = load(tree, tmp_path)
    assert again.checksum == first.checksum
    assert again.train.images.shape == first.train.images.shape
    assert isinstance(load(tree, tmp_path).train.images, np.memmap)


def test_a_cache_that_cannot_be_written_is_only_a_warning(tree, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="can't be kept in"):
        assert len(load(tree, tmp_path).train) == 12


def test_hidden_folders_are_left_out_and_told_of_where_they_hold_images(tree, tmp_path):
    before = load(tree, tmp_path)
    assert before.notes == ()
    (tree / "train" / ".cache").mkdir()
    assert load(tree, tmp_path).notes == ()
    image(tree / "train" / ".net" / "0.png", 7)
    image(tree / "val" / ".net" / "images" / "0.png", 7)
    after = load(tree, tmp_path)
    assert after.checksum == before.checksum
    assert len(after.notes) == 2
    assert "train' also holds images in the hidden folders '.net', which are left out" in after.notes[0]
    assert "Rename them without the dot" in after.notes[1]


@pytest.mark.parametrize("aim", ["quince", "..nowhere"])
def test_a_link_that_leads_nowhere_or_in_circles_is_not_passed_over_like_no_class(tree, tmp_path, aim):
    (tree / "train" / "quince").symlink_to(aim)
    with pytest.raises(BadLayout, match=r"train/quince' is a link that leads nowhere or in circles. Mend or remove it"):
        load(tree, tmp_path)


def test_classes_and_folders_may_begin_with_a_dash(tree, tmp_path, monkeypatch):
    for split in ("train", "val"):
        (tree / split / "plum").rename(tree / split / "-rf")
    tree.rename(tmp_path / "-fruit")
    monkeypatch.chdir(tmp_path)
    found = load(Path("-fruit"), tmp_path)
    assert [each.name for each in found.classes] == ["-rf", "apple", "pear tree"]
    assert found.train.images[0, 0, 0, 0] == 20
