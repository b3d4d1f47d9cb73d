"""Folders with train/<class>/ and val/<class>/ images: which files belong to which class, and the classes' names.

A file that can't be used is refused by name, so that no image is ever left out silently.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compute.data.decode import SUFFIXES
from compute.errors import BadLayout
from store.format.description import ClassInfo

VALIDATION_NAMES = ("val", "valid", "validation", "test")  # In order of preference.
CLASS_TABLE, WORD_LIST = "classes.csv", "words.txt"
NO_GROUP, OTHER_GROUP = "all", "other"
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})  # File managers leave these behind.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # Control characters, and bytes that are not UTF-8.
_GROUPS_FILE = Path(__file__).with_name("tiny_imagenet_groups.toml")


@dataclass(frozen=True)
class ImageFiles:
    """The image files of one split: paths relative to the listing's root, labels int64 (N,), boxes as annotated."""

    paths: tuple[str, ...]
    labels: np.ndarray
    boxes: np.ndarray | None = None  # (N,4) x0, y0, x1, y1 in the original images' pixels, end excluded


@dataclass(frozen=True)
class Listing:
    """An image set that is not decoded yet; the validation files are sorted by label."""

    name: str
    root: Path
    classes: tuple[ClassInfo, ...]
    train: ImageFiles | None
    validation: ImageFiles
    notes: tuple[str, ...] = ()  # about images of the folder that the listing leaves out


def list_folder(root: Path) -> Listing:
    """The image files of train/<class>/ and val/<class>/ (or valid, validation, test).

    Images are in the class folder or in its folder `images`. A class is named after its folder, with spaces for
    underscores, in one group; a `classes.csv` (id, name, group) beside `train` gives better names and groups, and so
    does a `words.txt` where the folders are named by WordNet ids.

    Raises:
        BadLayout: a folder is missing, empty, contains other files, or the two splits have different classes.
    """
    validation = validation_folder(root) or root / VALIDATION_NAMES[0]
    ids = subfolders(root / "train")
    _check_same_classes(root / "train", ids, validation)
    train_files, validation_files = (
        files_by_class(class_images(root, _images_folder(split / each)) for each in ids)
        for split in (root / "train", validation)
    )
    notes = _hidden_image_notes(root, validation)
    return Listing(root.resolve().name, root, _classes(root, ids), train_files, validation_files, notes)


def validation_folder(root: Path) -> Path | None:
    """The folder of the validation images, or None."""
    return next((root / name for name in VALIDATION_NAMES if (root / name).is_dir()), None)


def _images_folder(folder: Path) -> Path:
    """The class folder, or its folder `images` where it contains nothing else."""
    if not (folder / "images").is_dir():
        return folder
    beside = [entry.name for entry in visible_entries(folder) if entry.name != "images"]
    if any(Path(name).suffix.lower() in SUFFIXES for name in beside):
        raise BadLayout(
            f"'{folder}' contains {quote(beside)} beside its folder 'images'. Put all images into one folder."
        )
    return folder / "images"


def _check_same_classes(train: Path, ids: tuple[str, ...], validation: Path) -> None:
    validation_ids = subfolders(validation)
    for here, there, missing in (
        (train, validation, sorted(set(ids) - set(validation_ids))),
        (validation, train, sorted(set(validation_ids) - set(ids))),
    ):
        if missing:
            raise BadLayout(
                f"The classes {quote(missing)} of '{here}' are not in '{there}'. Both need the same class folders."
            )
    if len(ids) < 2:
        raise BadLayout(f"'{train}' contains only the class {ids[0]!r}. A classifier needs two or more.")


def _hidden_image_notes(root: Path, validation: Path) -> tuple[str, ...]:
    """A sentence for each split that has images in a hidden folder: hidden files and folders are not used."""

    def holds_image(folder: Path) -> bool:
        try:
            return any(each.suffix.lower() in SUFFIXES and not each.name.startswith(".") for each in folder.iterdir())
        except OSError:
            return False

    notes = []
    for split in (root / "train", validation):
        hidden = sorted(each for each in split.iterdir() if each.name.startswith(".") and each.is_dir())
        names = [each.name for each in hidden if holds_image(each) or holds_image(each / "images")]
        if names:
            notes.append(
                f"'{split}' also has images in the hidden folders {quote(names)}, which are not used. "
                "Rename them without the dot to use them."
            )
    return tuple(notes)


# --- Contents of folders ---------------------------------------------------------------------------------------------


def visible_entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder sorted by name, without hidden files and what file managers leave behind.

    Raises:
        BadLayout: the folder can't be read, or a name in it is not UTF-8 or contains control characters.
    """
    try:
        with os.scandir(folder) as found:
            entries = [
                each for each in found if not each.name.startswith(".") and each.name.lower() not in _SYSTEM_FILES
            ]
    except OSError as err:
        raise BadLayout(f"The folder '{folder}' can't be read: {err.strerror}. Check its permissions.") from err
    for each in entries:
        if _UNUSABLE.search(each.name):
            raise BadLayout(
                f"'{folder}' contains the name {each.name!r}, which is not UTF-8 or contains control characters. "
                f"Rename it."
            )
    return sorted(entries, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one.

    Raises:
        BadLayout: it is a broken link: it may have been meant as a class.
    """
    try:
        folder = entry.is_dir()
        broken = not folder and entry.is_symlink() and not Path(entry).exists()
    except OSError:
        folder, broken = False, True
    if broken:
        raise BadLayout(f"'{entry.path}' is a broken or circular link. Repair or remove it.")
    return folder


def subfolders(folder: Path) -> tuple[str, ...]:
    """The names of a folder's subfolders in order.

    Raises:
        BadLayout: there is no such folder, or it has no subfolder.
    """
    if not folder.is_dir():
        raise BadLayout(f"The folder '{folder}' does not exist. An image set needs train and val folders.")
    names = tuple(entry.name for entry in visible_entries(folder) if is_folder(entry))
    if not names:
        raise BadLayout(f"'{folder}' contains no class folder. It must contain one folder of images per class.")
    return names


def class_images(root: Path, folder: Path) -> list[str]:
    """The image files of one class folder, relative to `root`, sorted by name.

    Raises:
        BadLayout: the folder is empty or contains anything that is not an image; the message names it.
    """
    names = [entry.name for entry in visible_entries(folder)]
    others = [name for name in names if Path(name).suffix.lower() not in SUFFIXES]
    if others:
        formats = ", ".join(sorted(SUFFIXES))
        raise BadLayout(
            f"'{folder}' contains something other than images: {quote(others)}. Move it elsewhere. Formats: {formats}."
        )
    if not names:
        raise BadLayout(
            f"The class folder '{folder}' contains no images. Add some, or remove the class from both splits."
        )
    prefix = folder.relative_to(root).as_posix()
    return [f"{prefix}/{name}" for name in names]


def files_by_class(paths: Iterable[Sequence[str]]) -> ImageFiles:
    """The files of classes 0, 1, 2... in one list."""
    classes = list(paths)
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(each) for each in classes])
    return ImageFiles(tuple(path for each in classes for path in each), labels)


# --- Names and groups of classes -------------------------------------------------------------------------------------


def _classes(root: Path, ids: tuple[str, ...]) -> tuple[ClassInfo, ...]:
    if (root / CLASS_TABLE).is_file():
        return _read_class_table(root / CLASS_TABLE, ids)
    if (root / WORD_LIST).is_file():
        return wordnet_classes(root, ids)
    names = [each.replace("_", " ") for each in ids]
    unique = names if len(set(names)) == len(names) else ids
    return tuple(ClassInfo(each, name, NO_GROUP) for each, name in zip(ids, unique, strict=True))


def _read_class_table(path: Path, ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Names and groups of classes from a CSV file with the columns id, name and group, in the order of `ids`."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        missing = {"id", "name", "group"} - set(reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as err:
        raise BadLayout(f"'{path}' is not a CSV file: {err}. It needs the columns id, name, group.") from err
    if missing:
        raise BadLayout(f"'{path}' lacks the columns {quote(sorted(missing))}. It needs: id, name, group.")
    name_and_group = ((" ".join((row[key] or "").split()) for key in ("name", "group")) for row in rows)
    table = {row["id"]: ClassInfo(row["id"], *cells) for row, cells in zip(rows, name_and_group, strict=True)}
    unnamed = [each for each in ids if each not in table or not table[each].name]
    if unnamed:
        raise BadLayout(f"'{path}' has no name for the classes {quote(unnamed)}. Add a line for each.")
    repeated = repetitions(row["id"] or "" for row in rows) or repetitions(table[each].name for each in ids)
    if repeated:
        raise BadLayout(f"'{path}' has an id or a name twice: {quote(repeated)}. Make it unique.")
    return tuple(table[each] for each in ids)


def wordnet_classes(root: Path, ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Names (first word of words.txt, made unique) and groups of classes whose ids are WordNet's."""
    words = dict(line.split("\t", 1) for line in read_lines(root / WORD_LIST) if "\t" in line)
    names = _unique_names({each: [word.strip() for word in words.get(each, each).split(",")] for each in ids})
    groups = wordnet_groups()
    return tuple(ClassInfo(each, names[each], groups.get(each, OTHER_GROUP)) for each in ids)


def wordnet_groups() -> dict[str, str]:
    """The group of each of Tiny ImageNet's 200 WordNet ids, from a table made by hand."""
    with _GROUPS_FILE.open("rb") as table:
        return {wordnet_id: group for group, ids in tomllib.load(table).items() for wordnet_id in ids}


def _unique_names(synonyms: dict[str, list[str]]) -> dict[str, str]:
    """The first synonym; classes that share it are distinguished by the last synonym or the id in brackets."""
    names = {each: words[0] for each, words in synonyms.items()}
    for bracket in ({each: words[-1] for each, words in synonyms.items()}, {each: each for each in synonyms}):
        shared = set(repetitions(names.values()))
        names |= {each: f"{synonyms[each][0]} ({bracket[each]})" for each in synonyms if names[each] in shared}
    return names


# --- Texts and messages ----------------------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """The text of a small file in UTF-8, with or without a byte order mark.

    Raises:
        BadLayout: it can't be read, or is in another encoding or binary.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadLayout(f"'{path}' is not UTF-8 text: byte {err.start} is invalid. Save it as UTF-8.") from err
    except OSError as err:
        raise BadLayout(f"'{path}' can't be read: {err.strerror}. Check its permissions.") from err
    if "\0" in text:
        raise BadLayout(f"'{path}' contains zero bytes, so it is not a text file. Save it as UTF-8.")
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of one of Tiny ImageNet's lists, without blank ones.

    Raises:
        BadLayout: there is no such file, or it is not UTF-8 text.
    """
    if not path.is_file():
        raise BadLayout(f"'{path}' is missing: the folder is not a complete Tiny ImageNet. Unpack the archive again.")
    return [line.rstrip() for line in read_text(path).splitlines() if line.strip()]


def quote(names: Sequence[str], most: int = 5) -> str:
    """The first few names in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def repetitions(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, sorted."""
    return sorted(name for name, times in Counter(names).items() if times > 1)
