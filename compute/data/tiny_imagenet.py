"""Tiny ImageNet in its official layout: wnids.txt, words.txt, train/<wnid>/images, val/images and its annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compute.data.class_names import quote, read_lines, repetitions, wordnet_classes
from compute.data.download import RemoteFile
from compute.data.image_folder import ImageFiles, Listing, class_images, files_by_class, is_folder, visible_entries
from compute.errors import BadLayout

ARCHIVE = RemoteFile(
    "https://cs231n.stanford.edu/tiny-imagenet-200.zip", md5="90528d7ca1a48142e341f4ef8d21d0de", size=248_100_043
)
IDS, ANNOTATIONS = Path("wnids.txt"), Path("val", "val_annotations.txt")


def is_tiny_imagenet(root: Path) -> bool:
    """Whether a folder looks like Tiny ImageNet: it has one of its lists, and val has no class folders."""
    if not ((root / IDS).is_file() or (root / ANNOTATIONS).is_file()) or not (root / "val").is_dir():
        return False
    return {entry.name for entry in visible_entries(root / "val") if is_folder(entry)} <= {"images"}


def list_tiny_imagenet(root: Path) -> Listing:
    """The image files of a folder in Tiny ImageNet's layout; classes in the order of their WordNet ids.

    Raises:
        BadLayout: a file, a class folder or an image that the lists name is missing, or a line is malformed.
    """
    ids = tuple(sorted(read_lines(root / IDS)))
    _check_unique(root / IDS, ids)
    folders = [entry.name for entry in visible_entries(root / "train") if is_folder(entry)]
    missing, unknown = sorted(set(ids) - set(folders)), sorted(set(folders) - set(ids))
    if missing or unknown:
        what = f"lacks {quote(missing)}" if missing else f"also contains {quote(unknown)}"
        raise BadLayout(
            f"'{root / 'train'}' {what}, unlike wnids.txt with its {len(ids)} classes. Unpack the archive again."
        )
    if len(ids) < 2:
        raise BadLayout(f"'{root / IDS}' names only the class {quote(ids)}. A classifier needs two or more.")
    train = files_by_class(class_images(root, root / "train" / each / "images", []) for each in ids)
    return Listing("tiny-imagenet", root, wordnet_classes(root, ids), train, _validation_files(root, ids))


def _validation_files(root: Path, ids: tuple[str, ...]) -> ImageFiles:
    """The annotated validation images, sorted by label and then by number; boxes with the end excluded."""
    label_of = {wordnet_id: label for label, wordnet_id in enumerate(ids)}
    names, labels, boxes = [], [], []
    for number, line in enumerate(read_lines(root / ANNOTATIONS), 1):
        fields = line.split("\t")
        if len(fields) != 6 or fields[1] not in label_of or not all(_is_coordinate(each) for each in fields[2:]):
            raise BadLayout(
                f"Line {number} of '{root / ANNOTATIONS}' is not 'image, class, box': {line!r}. Correct it."
            )
        x0, y0, x1, y1 = (int(each) for each in fields[2:])
        if x1 < x0 or y1 < y0:
            raise BadLayout(
                f"Line {number} of '{root / ANNOTATIONS}' has a box that ends before it begins: {line!r}. Correct it."
            )
        names.append(fields[0])
        labels.append(label_of[fields[1]])
        boxes.append((x0, y0, x1 + 1, y1 + 1))  # The annotated corners are part of the object.
    _check_validation(root, ids, names, labels)
    # The length first, so that val_10.JPEG comes after val_9.JPEG.
    order = sorted(range(len(names)), key=lambda row: (labels[row], len(names[row]), names[row]))
    paths = tuple(f"val/images/{names[row]}" for row in order)
    return ImageFiles(paths, np.array(labels, np.int64)[order], np.array(boxes, np.int32)[order])


def _check_validation(root: Path, ids: tuple[str, ...], names: list[str], labels: list[int]) -> None:
    _check_unique(root / ANNOTATIONS, names)
    present = {Path(path).name for path in class_images(root, root / "val" / "images", [])}
    missing = [name for name in names if name not in present]
    if missing:
        raise BadLayout(f"'{root / 'val' / 'images'}' lacks {quote(missing)}. Unpack the archive again.")
    empty = [ids[label] for label in sorted(set(range(len(ids))) - set(labels))]
    if empty:
        raise BadLayout(f"'{root / ANNOTATIONS}' has no image of {quote(empty)}. Unpack the archive again.")


def _check_unique(path: Path, names: list[str] | tuple[str, ...]) -> None:
    repeated = repetitions(names)
    if repeated:
        raise BadLayout(f"'{path}' names {quote(repeated)} more than once. Keep one line for each.")


def _is_coordinate(text: str) -> bool:
    """Whether a text is a number that a pixel of an image can have."""
    return text.isascii() and text.isdecimal() and len(text) < 8
