"""Which image files a folder holds, with their classes: what the layouts have in common."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compute.data.dataset import Limits
from compute.data.decode import SUFFIXES
from compute.data.errors import BadLayout
from compute.errors import BadOption
from store.format.description import ClassInfo

DROPPINGS = frozenset({"thumbs.db", "desktop.ini", "__macosx"})  # What file managers leave behind; hidden files too.
CLASS_TABLE = "classes.csv"
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # Control characters, and bytes that are not UTF-8.


@dataclass(frozen=True)
class Files:
    """The image files of one split: paths relative to the listing's root, labels int64 (N,), boxes as annotated."""

    paths: tuple[str, ...]
    labels: np.ndarray
    boxes: np.ndarray | None = None  # (N,4) x0, y0, x1, y1 in the original images' pixels, end excluded

    def take(self, rows: np.ndarray) -> Files:
        """The files of these rows, in this order."""
        boxes = None if self.boxes is None else self.boxes[rows]
        return Files(tuple(self.paths[row] for row in rows), self.labels[rows], boxes)


@dataclass(frozen=True)
class Listing:
    """An image set that is not decoded yet; the validation files are sorted by label."""

    name: str
    root: Path
    classes: tuple[ClassInfo, ...]
    train: Files
    validation: Files
    notes: tuple[str, ...] = ()  # what the folder holds and the listing does not


def limited(listing: Listing, limits: Limits) -> Listing:
    """The first images of each class, of classes spread evenly over the list: the same ones every time.

    Raises:
        BadOption: a limit below 1 (classes: below 2), or more classes than there are.
    """
    for what, value in vars(limits).items():
        if value is not None and value < (2 if what == "classes" else 1):
            raise BadOption(f"The limit {what} = {value} is too small. Choose {2 if what == 'classes' else 1} or more.")
    count, wanted = len(listing.classes), limits.classes or len(listing.classes)
    if wanted > count:
        raise BadOption(f"{wanted} classes were asked for; '{listing.root}' has {count}. Choose 2 to {count}.")
    chosen = np.arange(wanted) * count // wanted
    train = _limited_files(listing.train, chosen, limits.train_per_class)
    validation = _limited_files(listing.validation, chosen, limits.validation_per_class)
    return replace(
        listing,
        classes=tuple(listing.classes[index] for index in chosen),
        train=train,
        validation=validation,
        notes=(
            *listing.notes,
            *_images_left_out(listing.train, train, chosen, "train_per_class", limits),
            *_images_left_out(listing.validation, validation, chosen, "validation_per_class", limits),
        ),
    )


def _images_left_out(files: Files, kept: Files, chosen: np.ndarray, limit: str, limits: Limits) -> tuple[str, ...]:
    """A sentence where a limit leaves out images of the chosen classes: profiles set some, too."""
    there = int(np.isin(files.labels, chosen).sum())
    if there == len(kept.paths):
        return ()
    return (
        f"data.{limit} = {getattr(limits, limit)} takes {len(kept.paths):,} of {there:,} images. "
        f"Take all with --set data.{limit}=0.",
    )


def _limited_files(files: Files, chosen: np.ndarray, per_class: int | None) -> Files:
    rows = [np.flatnonzero(files.labels == label)[:per_class] for label in chosen]
    kept = files.take(np.concatenate(rows))
    return replace(kept, labels=np.searchsorted(chosen, kept.labels).astype(np.int64))


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder in the order of their names, without hidden files and file managers' droppings.

    Raises:
        BadLayout: the folder can't be read, or a name in it is not UTF-8 or holds control characters.
    """
    try:
        with os.scandir(folder) as entries:
            shown = [each for each in entries if not each.name.startswith(".") and each.name.lower() not in DROPPINGS]
    except OSError as err:
        raise BadLayout(
            f"The folder '{folder}' can't be read: {err.strerror}. Check it and your rights to it."
        ) from err
    for each in shown:
        if _UNFIT.search(each.name):
            raise BadLayout(
                f"'{folder}' holds the name {each.name!r}, which is not UTF-8 or holds control characters. Rename it."
            )
    return sorted(shown, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one.

    Raises:
        BadLayout: it is a link that leads nowhere or in circles: a class may be meant.
    """
    try:
        folder = entry.is_dir()
        lost = not folder and entry.is_symlink() and not Path(entry).exists()
    except OSError:
        folder, lost = False, True
    if lost:
        raise BadLayout(f"'{entry.path}' is a link that leads nowhere or in circles. Mend or remove it.")
    return folder


def hidden_classes(folder: Path) -> tuple[str, ...]:
    """The names of hidden subfolders that hold an image: left out like all that is hidden, but worth a word."""
    hidden = sorted(each for each in folder.iterdir() if each.name.startswith(".") and each.is_dir())
    return tuple(each.name for each in hidden if _holds_image(each) or _holds_image(each / "images"))


def _holds_image(folder: Path) -> bool:
    try:
        return any(each.suffix.lower() in SUFFIXES and not each.name.startswith(".") for each in folder.iterdir())
    except OSError:
        return False


def subfolders(folder: Path) -> tuple[str, ...]:
    """The names of a folder's subfolders in order.

    Raises:
        BadLayout: there is no such folder, or it holds no subfolder.
    """
    if not folder.is_dir():
        raise BadLayout(f"The folder '{folder}' does not exist. An image set needs train and val folders.")
    names = tuple(entry.name for entry in visible(folder) if is_folder(entry))
    if not names:
        raise BadLayout(f"'{folder}' holds no class folder. It must hold one folder of images per class.")
    return names


def class_images(root: Path, folder: Path) -> list[str]:
    """The image files of one class folder, relative to `root`, in the order of their names.

    Raises:
        BadLayout: the folder is empty or holds anything that is not an image; the message names it.
    """
    names = [entry.name for entry in visible(folder)]
    strange = [name for name in names if Path(name).suffix.lower() not in SUFFIXES]
    if strange:
        kinds = ", ".join(sorted(SUFFIXES))
        raise BadLayout(
            f"'{folder}' holds something that is not an image: {shortened(strange)}. Move it. Kinds: {kinds}."
        )
    if not names:
        raise BadLayout(f"The class folder '{folder}' holds no images. Fill it or remove the class everywhere.")
    prefix = folder.relative_to(root).as_posix()
    return [f"{prefix}/{name}" for name in names]


def joined(per_class: Iterable[Sequence[str]]) -> Files:
    """The files of classes 0, 1, 2... in one list."""
    lists = list(per_class)
    labels = np.repeat(np.arange(len(lists), dtype=np.int64), [len(each) for each in lists])
    return Files(tuple(path for each in lists for path in each), labels)


def read_class_table(path: Path, ids: Sequence[str]) -> tuple[ClassInfo, ...]:
    """Names and groups of classes from a CSV file with the columns id, name and group, in the order of `ids`.

    Raises:
        BadLayout: a column, a class or a name is missing, or something stands there twice.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        missing = {"id", "name", "group"} - set(reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as err:
        raise BadLayout(f"'{path}' is not a CSV file: {err}. It needs the columns id, name, group.") from err
    if missing:
        raise BadLayout(f"'{path}' lacks the columns {shortened(sorted(missing))}. It needs: id, name, group.")
    table = {row["id"]: ClassInfo(row["id"], _cell(row["name"]), _cell(row["group"])) for row in rows}
    absent = [each for each in ids if each not in table or not table[each].name]
    if absent:
        raise BadLayout(f"'{path}' has no name for the classes {shortened(absent)}. Add a line for each.")
    names = [table[each].name for each in ids]
    if len(table) != len(rows) or len(set(names)) != len(names):
        raise BadLayout(
            f"'{path}' has an id or a name twice: {shortened(_repeated([*names, *(r['id'] for r in rows)]))}."
        )
    return tuple(table[each] for each in ids)


def read_text(path: Path) -> str:
    """The text of a small file in UTF-8, with or without a byte order mark.

    Raises:
        BadLayout: it can't be read, or is in another encoding or binary.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadLayout(f"'{path}' is not a text in UTF-8: byte {err.start} is wrong. Save it as UTF-8.") from err
    except OSError as err:
        raise BadLayout(f"'{path}' can't be read: {err.strerror}. Check it and your rights to it.") from err
    if "\0" in text:
        raise BadLayout(f"'{path}' holds zero bytes: it is not a text. Save it as UTF-8.")
    return text


def shortened(names: Sequence[str], most: int = 5) -> str:
    """The first few names in quotes, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split())


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
