"""Tiny ImageNet in its official layout: wnids.txt, words.txt, train/<wnid>/images, val/images and its annotations."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compute.data.errors import BadLayout
from compute.data.file_listing import (
    Files,
    Listing,
    class_images,
    is_folder,
    joined,
    read_text,
    shortened,
    subfolders,
    visible,
)
from store.format.description import ClassInfo

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
ARCHIVE_BYTES = 248_100_043
ARCHIVE_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
OTHER_GROUP = "other"
ANNOTATIONS = Path("val", "val_annotations.txt")
_GROUPS_FILE = Path(__file__).with_name("tiny_imagenet_groups.toml")


def is_tiny_imagenet(root: Path) -> bool:
    """Whether a folder looks like Tiny ImageNet: it has one of its lists, and val holds no class folders."""
    if not ((root / "wnids.txt").is_file() or (root / ANNOTATIONS).is_file()) or not (root / "val").is_dir():
        return False
    return {entry.name for entry in visible(root / "val") if is_folder(entry)} <= {"images"}


def list_tiny_imagenet(root: Path) -> Listing:
    """The image files of a folder in Tiny ImageNet's layout; classes in the order of their WordNet ids.

    Raises:
        BadLayout: a file, a class folder or an image that the lists name is missing, or a line is malformed.
    """
    ids = tuple(sorted(_lines(root / "wnids.txt")))
    repeated = sorted(each for each, times in Counter(ids).items() if times > 1)
    if repeated:
        raise BadLayout(f"'{root / 'wnids.txt'}' names {shortened(repeated)} more than once. Keep one line for each.")
    folders = subfolders(root / "train")
    missing, unknown = sorted(set(ids) - set(folders)), sorted(set(folders) - set(ids))
    if missing or unknown:
        what = f"lacks {shortened(missing)}" if missing else f"also holds {shortened(unknown)}"
        raise BadLayout(
            f"'{root / 'train'}' {what}, unlike wnids.txt with its {len(ids)} classes. Unpack the archive again."
        )
    if len(ids) < 2:
        raise BadLayout(
            f"'{root / 'wnids.txt'}' names the class {shortened(ids)} alone. A classifier needs two or more."
        )
    train = joined(class_images(root, root / "train" / each / "images") for each in ids)
    return Listing("tiny-imagenet", root, known_classes(root, ids), train, _validation_files(root, ids))


def known_classes(root: Path, ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Names (first word of words.txt, made unique) and groups (by hand) of classes called by their WordNet ids."""
    words = dict(line.split("\t", 1) for line in _lines(root / "words.txt") if "\t" in line)
    names = _unique_names({each: [word.strip() for word in words.get(each, each).split(",")] for each in ids})
    groups = class_groups()
    return tuple(ClassInfo(each, names[each], groups.get(each, OTHER_GROUP)) for each in ids)


def class_groups() -> dict[str, str]:
    """The group of each of Tiny ImageNet's 200 WordNet ids, from the hand-made table."""
    with _GROUPS_FILE.open("rb") as table:
        return {wnid: group for group, wnids in tomllib.load(table).items() for wnid in wnids}


def _unique_names(synonyms: dict[str, list[str]]) -> dict[str, str]:
    """The first synonym; where several classes share it, the second or the id in brackets tells them apart."""
    names = {each: words[0] for each, words in synonyms.items()}
    for bracket in ({each: words[-1] for each, words in synonyms.items()}, {each: each for each in synonyms}):
        times = Counter(names.values())
        shared = [each for each, name in names.items() if times[name] > 1]
        names |= {each: f"{synonyms[each][0]} ({bracket[each]})" for each in shared}
    return names


def _validation_files(root: Path, ids: tuple[str, ...]) -> Files:
    """The annotated validation images, sorted by label and then by number; boxes with the end excluded."""
    position = {wnid: label for label, wnid in enumerate(ids)}
    names, labels, boxes = [], [], []
    for number, line in enumerate(_lines(root / ANNOTATIONS), 1):
        fields = line.split("\t")
        if len(fields) != 6 or fields[1] not in position or not all(_is_edge(edge) for edge in fields[2:]):
            raise BadLayout(f"Line {number} of '{root / ANNOTATIONS}' is not 'image, class, box': {line!r}.")
        x0, y0, x1, y1 = (int(edge) for edge in fields[2:])
        if x1 < x0 or y1 < y0:
            raise BadLayout(f"Line {number} of '{root / ANNOTATIONS}' has a box that ends before it begins: {line!r}.")
        names.append(fields[0])
        labels.append(position[fields[1]])
        boxes.append((x0, y0, x1 + 1, y1 + 1))  # The annotated corners are part of the object.
    _check_validation(root, ids, names, labels)
    order = sorted(range(len(names)), key=lambda row: (labels[row], len(names[row]), names[row]))
    paths = tuple(f"val/images/{names[row]}" for row in order)
    return Files(paths, np.array(labels, np.int64)[order], np.array(boxes, np.int32)[order])


def _check_validation(root: Path, ids: tuple[str, ...], names: list[str], labels: list[int]) -> None:
    present = {Path(path).name for path in class_images(root, root / "val" / "images")}
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise BadLayout(f"'{root / ANNOTATIONS}' names {shortened(repeated)} more than once. Keep one line for each.")
    missing = [name for name in names if name not in present]
    if missing:
        raise BadLayout(f"'{root / 'val' / 'images'}' lacks {shortened(missing)}. Unpack the archive again.")
    empty = sorted(set(range(len(ids))) - set(labels))
    if empty:
        raise BadLayout(f"'{root / ANNOTATIONS}' has no image of {shortened([ids[label] for label in empty])}.")


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise BadLayout(f"'{path}' is missing: the folder is not a complete Tiny ImageNet. Unpack the archive again.")
    return [line.rstrip() for line in read_text(path).splitlines() if line.strip()]


def _is_edge(text: str) -> bool:
    """Whether a text is a number that a pixel of an image can have."""
    return text.isascii() and text.isdecimal() and len(text) < 8
