"""Folders of images as people have them: which folder is which split, and which files belong to which class.

A file that can't be used is refused or said in a note, so that no image is ever left out silently.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compute.data.class_names import UNUSABLE, class_infos, natural_order, plain_form, quote, similar_names
from compute.data.dataset import Selection
from compute.data.decode import SUFFIXES
from compute.errors import BadLayout
from store.format.description import ClassInfo
from store.rates import percent

TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("val", "valid", "validation", "dev", "eval", "test", "testing")  # In order of preference.
_DEEPEST = 4  # class folders inside folders; more is a loop of links
# What file systems, file managers and network drives leave behind, in lower case.
_LEFTOVERS = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "@tmp", "#recycle", "@recycle", "#snapshot"),
        *("icon\r", "lost+found", "$recycle.bin", "recycler", "system volume information", "network trash folder"),
        *("temporary items", "__pycache__"),
    )
)
# Annotations and texts that tools write beside images; anything else may be an image in a format unknown here.
_SIDE_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        *("xml", "json", "txt", "csv", "tsv", "md", "html", "yaml", "yml", "xmp", "aae", "thm", "ini", "log"),
        *("py", "ipynb", "url", "lnk"),
    )
)


@dataclass(frozen=True)
class ImageFiles:
    """The image files of one split: paths relative to the listing's root, labels int64 (N,), boxes as annotated."""

    paths: tuple[str, ...]
    labels: np.ndarray
    boxes: np.ndarray | None = None  # (N,4) x0, y0, x1, y1 in the original images' pixels, end excluded

    def taken(self, rows: np.ndarray) -> ImageFiles:
        """The files of some rows, in their order."""
        boxes = None if self.boxes is None else self.boxes[rows]
        return ImageFiles(tuple(self.paths[row] for row in rows), self.labels[rows], boxes)


@dataclass(frozen=True)
class Listing:
    """An image set that is not decoded yet; the validation files are sorted by label."""

    name: str
    root: Path
    classes: tuple[ClassInfo, ...]
    train: ImageFiles | None
    validation: ImageFiles
    notes: tuple[str, ...] = ()  # about images of the folder that the listing leaves out


@dataclass(frozen=True)
class Splits:
    """The folders of class folders in `root`; without a split, `unsplit` holds all classes."""

    root: Path
    train: Path | None = None
    validation: Path | None = None
    unsplit: Path | None = None
    notes: tuple[str, ...] = ()


# --- Splits ----------------------------------------------------------------------------------------------------------


def find_splits(root: Path) -> Splits | None:
    """The splits of an image set in `root` itself; None where it holds neither splits nor class folders.

    Raises:
        BadLayout: two folders claim to be the same split.
    """
    folders = [entry for entry in visible_entries(root) if is_folder(entry)]
    found: dict[str, list[str]] = {}
    for entry in folders:
        split = split_name(entry.name)
        if split is not None and _holds_classes(Path(entry)):
            found.setdefault(split, []).append(entry.name)
    if not found:
        classes = [entry.name for entry in folders if _holds_images_below(Path(entry))]
        images = [name for name in classes if split_name(name)]
        # Lone folders train and val of images, without class folders, are no classes named so.
        sets = [name for name in classes if _holds_splits(root / name)]  # several image sets
        return Splits(root, unsplit=root) if len(classes) > 1 and len(images) < len(classes) and not sets else None
    chosen = {}
    for split, names in found.items():
        exact = [name for name in names if name.lower() == split] or names
        if len(exact) > 1:
            raise BadLayout(f"'{root}' has several folders of {split} images: {quote(exact)}. Rename all but one.")
        chosen[split] = exact[0]
    train = next((chosen[name] for name in TRAINING_NAMES if name in chosen), None)
    validation = next((chosen[name] for name in VALIDATION_NAMES if name in chosen), None)
    unused = [each.name for each in folders if each.name not in (train, validation) and _holds_images_below(Path(each))]
    notes = (f"Not used in '{root}': the folders {quote(unused)}.",) if unused else ()
    inner = [None if name is None else _innermost(root / name) for name in (train, validation)]
    return Splits(root, train=inner[0], validation=inner[1], notes=notes)


def split_name(name: str) -> str | None:
    """The split that a folder's name means, as "test" for `seg_test` or `testset`; None where it means none, or two."""
    words = {re.sub("(?:set|data|images)$", "", word) for word in re.split(r"[^a-z]+", name.lower())}
    known = words & {*TRAINING_NAMES, *VALIDATION_NAMES}
    return known.pop() if len(known) == 1 else None


def _innermost(folder: Path) -> Path:
    """The folder itself, or the only folder in it that holds class folders: seg_train/seg_train."""
    inner = [Path(entry) for entry in visible_entries(folder) if is_folder(entry)]
    return _innermost(inner[0]) if len(inner) == 1 and _holds_classes(inner[0]) else folder


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir() if not _is_leftover(entry.name)]
    except OSError:
        return []


def _holds_images(folder: Path) -> bool:
    return any(Path(name).suffix.lower() in SUFFIXES for name in _names(folder))


def _holds_classes(folder: Path, depth: int = _DEEPEST) -> bool:
    inner = [folder / name for name in _names(folder)]
    return any(map(_holds_images, inner)) or (depth > 0 and any(_holds_classes(each, depth - 1) for each in inner))


def _holds_splits(folder: Path) -> bool:
    # Folders alone: ImageNet's own files are called ILSVRC2012_val_00000293.JPEG.
    return any(split_name(entry.name) is not None for entry in visible_entries(folder) if is_folder(entry))


def _holds_images_below(folder: Path) -> bool:
    return _holds_images(folder) or _holds_classes(folder)


# --- Listing ---------------------------------------------------------------------------------------------------------


@dataclass
class _Notes:
    """What a listing leaves out, collected on the way."""

    side_files: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def sentences(self) -> tuple[str, ...]:
        sentences = []
        if self.side_files:
            sentences.append(
                f"{len(self.side_files):,} files that are not images are not used: {quote(self.side_files, 3)}."
            )
        if self.hidden:
            sentences.append(
                f"Images in the hidden folders {quote(self.hidden)} are not used. Rename them without the dot to use "
                "them."
            )
        return tuple(sentences)


def list_folder(splits: Splits, selection: Selection, *, seed: int = 0) -> Listing:
    """The image files of an image set: one folder for each class, in each split or without a split.

    Images are in the class folder or in its folder `images`. Class folders may be inside of others (group/class). A
    `classes.csv` (id, name, group) beside the splits gives names and groups; WordNet ids get their names. Where there
    are no validation images, a share of every class is set apart.

    Raises:
        BadLayout: a folder is empty, contains other files, the two splits have different classes, or training images
            are needed and there are none.
    """
    root, collected = splits.root, _Notes()
    train, validation = splits.train, splits.validation
    if selection.validation_only:
        train, validation = None, validation or train or splits.unsplit
    elif validation is None:
        train = train or splits.unsplit
    elif train is None:
        raise BadLayout(
            f"'{root}' has only validation images ('{validation.name}'), so no network can be trained on it. Add a "
            "folder train, or record a trained network on them: python -m compute record."
        )
    folders = [None if split is None else _class_folders(split, collected) for split in (train, validation)]
    ids = _common_ids([split for split in (train, validation) if split], [each for each in folders if each])
    ids = natural_order(ids) if selection.class_order == "natural" else sorted(ids)
    files = [
        None if each is None else files_by_class(class_images(root, each[id_], collected.side_files) for id_ in ids)
        for each in folders
    ]
    notes = (*splits.notes, *collected.sentences(), *_name_notes(ids))
    of_train, of_validation = files
    if of_validation is None:
        of_train, of_validation, note = _set_apart(files[0] or files_by_class([]), ids, selection, seed)
        notes += (note,)
    above = [root.parent] if split_name(root.name) else []  # where the folder val alone was given
    return Listing(root.resolve().name, root, class_infos([root, *above], ids), of_train, of_validation, notes)


def _name_notes(ids: Sequence[str]) -> Iterator[str]:
    """Names of classes that may mean something else."""
    similar = similar_names(ids)
    if similar:
        yield (
            f"The names {quote(similar[0])} look alike, but are different classes"
            + (f", and so are {len(similar) - 1} more groups of names." if len(similar) > 1 else ".")
            + " Merge their folders if they are the same."
        )
    groups: dict[str, set[str]] = {}
    for group, _, name in (each.rpartition("/") for each in ids):
        groups.setdefault(group, set()).add(name)
    first, *others = groups.values()
    if others and all(each == first for each in others):
        yield (
            f"The folders {quote(sorted(groups))} contain folders of the same names, {quote(sorted(first))}, and each "
            f"of them is a class of its own, for instance '{ids[0]}'. If they are splits, rename them train and val."
        )


def _class_folders(split: Path, collected: _Notes) -> dict[str, Path]:
    """The folder of each class in a split by the class's id: its name, with those of the folders above it."""
    found: dict[str, Path] = {}
    for parts, folder in _walk(split, ()):
        class_id = plain_form("/".join(parts))
        if class_id in found:
            raise BadLayout(
                f"'{found[class_id]}' and '{folder}' have the same name in two Unicode forms. Merge the folders."
            )
        found[class_id] = folder
    if not found:
        raise BadLayout(f"'{split}' contains no class folder. It must contain one folder of images per class.")
    hidden = sorted(entry.name for entry in os.scandir(split) if entry.name.startswith(".") and entry.is_dir())
    collected.hidden += [f"{split.name}/{name}" for name in hidden if _holds_images_below(split / name)]
    return found


def _walk(folder: Path, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Every folder of images below `folder`, with the names that lead to it."""
    entries = visible_entries(folder)
    inner = [entry for entry in entries if is_folder(entry)]
    images = [entry.name for entry in entries if Path(entry.name).suffix.lower() in SUFFIXES and entry not in inner]
    if not parts and images:
        raise BadLayout(
            f"'{folder}' contains images beside its class folders: {quote(images)}. Move each into its class's folder."
        )
    if parts and (images or not inner):
        yield parts, folder
    elif parts and [entry.name for entry in inner] == ["images"]:
        yield parts, folder / "images"
    elif len(parts) > _DEEPEST:
        raise BadLayout(f"'{folder}' is nested too deeply, or contains a link to a folder above it. Remove it.")
    else:
        for entry in inner:
            yield from _walk(Path(entry), (*parts, entry.name))


def _common_ids(splits: Sequence[Path], folders: Sequence[dict[str, Path]]) -> list[str]:
    """The ids of the classes, which all splits must have; capitals may differ between them.

    Raises:
        BadLayout: a class is missing in a split, or there is only one.
    """
    first = folders[0]
    for other in folders[1:]:
        folded = {each.casefold(): each for each in first}
        for each in set(other) - set(first):
            twin = folded.get(each.casefold())
            if twin is not None and twin not in other:
                other[twin] = other.pop(each)
        for here, there, missing in ((0, 1, set(first) - set(other)), (1, 0, set(other) - set(first))):
            if missing:
                raise BadLayout(
                    f"The classes {quote(sorted(missing))} of '{splits[here]}' are not in '{splits[there]}'. Both need "
                    "the same class folders."
                )
    if len(first) < 2:
        raise BadLayout(f"'{splits[0]}' contains only the class {quote(list(first))}. A classifier needs two or more.")
    return list(first)


def _set_apart(
    files: ImageFiles, ids: Sequence[str], selection: Selection, seed: int
) -> tuple[ImageFiles, ImageFiles, str]:
    """Training and validation files, a share of every class, and a note.

    The files with the smallest SHA-256 of seed and path are set apart, so that a new image moves few others.

    Raises:
        BadLayout: a class has one image only.
    """
    chosen = np.zeros(len(files.paths), bool)
    for label, class_id in enumerate(ids):
        rows = np.flatnonzero(files.labels == label)
        if len(rows) < 2:
            raise BadLayout(
                f"The class '{class_id}' has a single image, so none can be set apart for validation. Add images, or "
                "remove the class."
            )
        order = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}\0{files.paths[row]}".encode()).digest())
        chosen[order[: min(max(round(selection.validation_share * len(rows)), 1), len(rows) - 1)]] = True
    note = (
        f"There are no validation images: {chosen.sum():,} of {len(chosen):,}, "
        f"{percent(selection.validation_share, 0)} of each class, are set apart "
        f"(data.validation_share; data.seed = {seed} chooses them)."
    )
    return files.taken(np.flatnonzero(~chosen)), files.taken(np.flatnonzero(chosen)), note


# --- Contents of folders ---------------------------------------------------------------------------------------------


def visible_entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder sorted by name, without hidden files and what systems and tools leave behind.

    Raises:
        BadLayout: the folder can't be read, or a name in it is not UTF-8 or contains control characters.
    """
    try:
        with os.scandir(folder) as found:
            entries = [each for each in found if not _is_leftover(each.name)]
    except OSError as err:
        raise BadLayout(f"The folder '{folder}' can't be read: {err.strerror}. Check its permissions.") from err
    for each in entries:
        if UNUSABLE.search(each.name):
            raise BadLayout(
                f"'{folder}' contains the name {each.name!r}, which is not UTF-8 or contains control characters. "
                f"Rename it."
            )
    return sorted(entries, key=lambda entry: entry.name)


def _is_leftover(name: str) -> bool:
    lower = name.lower()
    return name.startswith((".", "~$")) or lower in _LEFTOVERS or lower.endswith(("zone.identifier", "~"))


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


def class_images(root: Path, folder: Path, side_files: list[str]) -> list[str]:
    """The image files of one class folder, relative to `root`, sorted by name; texts beside them go to `side_files`.

    Raises:
        BadLayout: the folder has no images, or contains anything that may be an image and can't be used.
    """
    names = [entry.name for entry in visible_entries(folder)]
    kinds = {name: Path(name).suffix.lower() for name in names}
    images = [name for name in names if kinds[name] in SUFFIXES]
    others = [name for name in names if kinds[name] not in SUFFIXES | _SIDE_SUFFIXES]
    prefix = folder.relative_to(root).as_posix()
    prefix = "" if prefix == "." else f"{prefix}/"
    if others:
        formats = ", ".join(sorted(SUFFIXES))
        raise BadLayout(
            f"'{folder}' contains something other than images: {quote(others)}. Convert or move it. Formats: {formats}."
        )
    if not images:
        raise BadLayout(
            f"The class folder '{folder}' contains no images. Add some, or remove the class from both splits."
        )
    side_files += [f"{prefix}{name}" for name in names if kinds[name] in _SIDE_SUFFIXES]
    return [f"{prefix}{name}" for name in images]


def files_by_class(paths: Iterable[Sequence[str]]) -> ImageFiles:
    """The files of classes 0, 1, 2... in one list."""
    classes = list(paths)
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(each) for each in classes])
    return ImageFiles(tuple(path for each in classes for path in each), labels)
