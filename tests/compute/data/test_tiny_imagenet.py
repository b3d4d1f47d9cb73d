"""Tiny ImageNet's layout: what is read from it, and what is refused, with the place."""

import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from compute.data.class_names import wordnet_groups
from compute.errors import BadLayout
from tests.compute.data.conftest import WORDS, write_image


def change_first_box(root: Path, box: str) -> None:
    annotations = root / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("0\t1\t15\t7", box.replace(" ", "\t"), 1))


def test_tiny_imagenet_is_recognised_with_readable_names_and_groups(tiny, load):
    dataset = load(tiny, size=16)
    assert dataset.name == "tiny-imagenet"
    assert [(info.id, info.name, info.group) for info in dataset.classes] == [
        ("n01443537", "goldfish", "water animals"),
        ("n02012849", "crane (wading bird)", "other"),
        ("n03126707", "crane (lifting machine)", "tools and machines"),
        ("n09999999", "gadget", "other"),
    ]


def test_validation_images_are_sorted_by_label_with_their_boxes(tiny, load):
    validation = load(tiny, size=16).validation
    assert validation.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert validation.names[:3] == ("val/images/val_3.JPEG", "val/images/val_4.JPEG", "val/images/val_2.JPEG")
    assert validation.images[:, 0, 0, 0].tolist() == [103, 104, 102, 105, 101, 106, 100, 107]
    assert validation.boxes.dtype == np.int16
    assert validation.boxes[0].tolist() == [3, 1, 16, 8]  # Annotated 3, 1, 15, 7: the corners belong to the object.
    assert load(tiny, size=8).validation.boxes[0].tolist() == [1, 0, 8, 4]


def test_the_reordered_form_of_tiny_imagenet_keeps_its_names(tiny, load, tmp_path):
    for n, wordnet_id in enumerate(WORDS):
        write_image(tiny / "val" / wordnet_id / "images" / f"{n}.JPEG", n)
    for name in ("images", "val_annotations.txt"):
        (tiny / "val" / name).rename(tmp_path / name)
    dataset = load(tiny)
    assert dataset.classes[0].name == "goldfish"
    assert len(dataset.train) == 12


def test_every_class_has_one_of_about_thirty_groups():
    groups = wordnet_groups()
    table = tomllib.loads(Path("compute/data/tiny_imagenet_groups.toml").read_text())
    assert len(groups) == sum(map(len, table.values())) == 200  # no id stands in two groups
    assert 25 <= len(table) <= 36
    assert min(Counter(groups.values()).values()) >= 2
    assert groups["n04146614"] == groups["n03977966"] == "road vehicles"  # school bus, police van


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "wnids.txt").unlink(), r"wnids\.txt' is missing: the folder is not a complete"),
        (lambda root: (root / "words.txt").unlink(), r"words\.txt' is missing"),
        (lambda root: (root / "val/val_annotations.txt").unlink(), r"val_annotations\.txt' is missing"),
        (lambda root: (root / "words.txt").write_bytes(b"n01443537\tcaf\xe9\n"), "byte 13 is invalid"),
        (lambda root: (root / "wnids.txt").write_text("n01443537\n" * 2), "names 'n01443537' more than once"),
        (lambda root: (root / "wnids.txt").write_text("n01443537\n"), "also contains 'n02012849', 'n03126707', 'n09"),
        (lambda root: (root / "wnids.txt").open("a").write("n00000001\n"), "lacks 'n00000001', unlike wnids.txt"),
        (lambda root: (root / "val/images/val_3.JPEG").unlink(), r"lacks 'val_3\.JPEG'"),
        (lambda root: (root / "train/n09999999/images").rename(root / "train/n09999999/x"), "images' can't be read"),
        (lambda root: (root / "val/val_annotations.txt").open("a").write("a\tb\n"), "Line 9 of .* is not 'image, cl"),
        (lambda root: (root / "val/val_annotations.txt").write_text(""), "has no image of 'n01443537'"),
        (lambda root: change_first_box(root, "5 0 3 3"), "Line 1 of .* a box that ends before it begins"),
        (lambda root: change_first_box(root, f"0 0 3 {10**30}"), "Line 1 of .* is not 'image, class, box'"),
        (lambda root: change_first_box(root, "16 0 17 3"), r"box \[16, 0, 18, 4\] of .* is outside its 16 x 16"),
    ],
)
def test_an_incomplete_or_damaged_tiny_imagenet_is_refused(tiny, load, damage, message):
    damage(tiny)
    with pytest.raises(BadLayout, match=message):
        load(tiny)


def test_an_image_annotated_twice_is_refused(tiny, load):
    annotations = tiny / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text() * 2)
    with pytest.raises(BadLayout, match=r"names 'val_0\.JPEG', 'val_1\.JPEG', .* more than once"):
        load(tiny)
