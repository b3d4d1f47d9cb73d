"""Any folder with train/<class>/ and val/<class>/ trees of images."""

from __future__ import annotations

from pathlib import Path

from compute.data.decode import SUFFIXES
from compute.data.errors import BadLayout
from compute.data.file_listing import (
    CLASS_TABLE,
    Listing,
    class_images,
    hidden_classes,
    joined,
    read_class_table,
    shortened,
    subfolders,
    visible,
)
from compute.data.tiny_imagenet import known_classes
from store.format.description import ClassInfo

VALIDATION_NAMES = ("val", "valid", "validation", "test")  # In the order of preference.
NO_GROUP = "all"


def validation_folder(root: Path) -> Path | None:
    """The folder that holds the validation images, or None."""
    return next((root / name for name in VALIDATION_NAMES if (root / name).is_dir()), None)


def list_folder(root: Path) -> Listing:
    """The image files of train/<class>/ and val/<class>/ (or valid, validation, test).

    Images lie in the class folder or in its folder `images`. A class is named like its folder, with spaces for
    underscores, in one group; a `classes.csv` (id, name, group) beside `train` gives better names and groups, and so
    does a `words.txt` where the folders are called by WordNet ids.

    Raises:
        BadLayout: a folder is missing, empty, holds other files, or the two splits have different classes.
    """
    held_out = validation_folder(root)
    if held_out is None:
        raise BadLayout(f"'{root}' has train but none of {', '.join(VALIDATION_NAMES)}. Add a validation folder.")
    ids = subfolders(root / "train")
    _check_same_classes(root, ids, held_out)
    train = joined(class_images(root, _images_folder(root / "train" / each)) for each in ids)
    validation = joined(class_images(root, _images_folder(held_out / each)) for each in ids)
    return Listing(root.resolve().name, root, _classes(root, ids), train, validation, _left_out(root, held_out))


def _left_out(root: Path, held_out: Path) -> tuple[str, ...]:
    """A sentence for each split in which a hidden folder holds images."""
    found = {folder: hidden_classes(folder) for folder in (root / "train", held_out)}
    return tuple(
        f"'{folder}' also holds images in the hidden folders {shortened(names)}, which are left out. "
        "Rename them without the dot to use them."
        for folder, names in found.items()
        if names
    )


def _images_folder(folder: Path) -> Path:
    """The class folder, or its folder `images` where that is all it holds."""
    if not (folder / "images").is_dir():
        return folder
    beside = [entry.name for entry in visible(folder) if entry.name != "images"]
    if any(Path(name).suffix.lower() in SUFFIXES for name in beside):
        raise BadLayout(f"'{folder}' holds {shortened(beside)} beside its folder 'images'. Put all images into one.")
    return folder / "images"


def _check_same_classes(root: Path, ids: tuple[str, ...], held_out: Path) -> None:
    others = subfolders(held_out)
    for here, there, missing in (
        (root / "train", held_out, sorted(set(ids) - set(others))),
        (held_out, root / "train", sorted(set(others) - set(ids))),
    ):
        if missing:
            raise BadLayout(
                f"The classes {shortened(missing)} of '{here}' are not in '{there}'. Both need the same folders."
            )
    if len(ids) < 2:
        raise BadLayout(f"'{root / 'train'}' holds the class {ids[0]!r} alone. A classifier needs two or more.")


def _classes(root: Path, ids: tuple[str, ...]) -> tuple[ClassInfo, ...]:
    if (root / CLASS_TABLE).is_file():
        return read_class_table(root / CLASS_TABLE, ids)
    if (root / "words.txt").is_file():
        return known_classes(root, ids)
    names = [each.replace("_", " ") for each in ids]
    unique = names if len(set(names)) == len(names) else list(ids)
    return tuple(ClassInfo(each, name, NO_GROUP) for each, name in zip(ids, unique, strict=True))
