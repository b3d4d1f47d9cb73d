"""`load_dataset`: from a name, a folder or an archive to a decoded data set."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from compute.data.archive import extract_archive, is_archive
from compute.data.class_names import quote
from compute.data.dataset import Dataset, Selection
from compute.data.decode import Preparation
from compute.data.decoded_cache import load_listing
from compute.data.download import download
from compute.data.image_folder import (
    VALIDATION_NAMES,
    ImageFiles,
    Listing,
    Splits,
    find_splits,
    is_folder,
    list_folder,
    visible_entries,
)
from compute.data.library_sets import is_library_set, library_splits
from compute.data.phantom.dataset import load_phantom
from compute.data.tiny_imagenet import ARCHIVE, is_tiny_imagenet, list_tiny_imagenet
from compute.errors import BadLayout, BadOption, DataNotFound
from store.remote.file_cache import cache_folder

SOURCES = ("phantom", "tiny-imagenet", "torchvision:NAME", "hf:FOLDER")


def load_dataset(
    source: str,
    *,
    preparation: Preparation = Preparation(),
    seed: int = 0,
    selection: Selection = Selection(),
    cache: Path | None = None,
) -> Dataset:
    """The training and validation images of a source, prepared, with names and groups of the classes.

    Args:
        source: "phantom" (drawn on the spot); "tiny-imagenet" or "torchvision:NAME" (downloaded once into the cache);
            "hf:FOLDER" (what a Hugging Face data set's `save_to_disk` wrote); or the path of a folder or a zip or tar
            archive, in Tiny ImageNet's layout or with a folder for each class (see `list_folder`).
        preparation: how files become pixels.
        seed: of the phantom's images, and of the split where the source has none.
        selection: which images and classes to take; the same ones every time.
        cache: where downloads and decoded images are kept; `cache_folder()` unless given.

    Raises:
        BadOption: a size or limit that can't be met.
        DataError: the source does not exist, is not an image set, or contains something unreadable; the message names
            it.
    """
    if source == "phantom":
        height, width = preparation.size
        if height != width:
            raise BadOption(f"The phantom's images are square, so data.size = [{height}, {width}] is not possible.")
        return load_phantom(size=height, seed=seed, selection=selection)
    cache = cache_folder() if cache is None else cache
    return load_listing(
        list_selected(source, cache=cache, selection=selection, seed=seed), preparation, selection, cache
    )


def list_selected(source: str, *, cache: Path, selection: Selection, seed: int = 0) -> Listing:
    """The files of a folder or an archive that are selected, not decoded yet; raises as `load_dataset`."""
    return _apply_limits(list_source(source, cache=cache, selection=selection, seed=seed), selection)


def list_source(source: str, *, cache: Path, selection: Selection = Selection(), seed: int = 0) -> Listing:
    """The image files of a source, not decoded yet; downloads and unpacks where necessary.

    Raises:
        DataError: as `load_dataset`.
    """
    if is_library_set(source) and not Path(source).exists():
        splits = library_splits(source, cache=cache, validation_only=selection.validation_only)
        return replace(list_folder(splits, selection, seed=seed), name=source)
    if source == "tiny-imagenet":
        path = download(ARCHIVE, cache / "downloads" / ARCHIVE.url.rsplit("/", 1)[-1])
    else:
        path = _existing_path(source)
    folder = path
    if is_archive(path):
        folder = _unpack(path, cache)
    elif not path.is_dir():
        raise DataNotFound(f"'{path}' is neither a folder nor a zip or tar archive. Name one of these.")
    root = _find_root(folder)
    if isinstance(root, Path):
        listing = list_tiny_imagenet(root)
        return replace(listing, train=None) if selection.validation_only else listing
    listing = list_folder(root, selection, seed=seed)
    # An archive without a top folder is unpacked into a folder of the cache, whose name ends in a checksum.
    return replace(listing, name=_stem(path)) if root.root == folder != path else listing


def _existing_path(source: str) -> Path:
    """The path that a source names.

    Raises:
        DataNotFound: there is nothing at that path.
    """
    try:
        path = Path(source).expanduser()
        path.stat()
        if not source:  # An empty path would be the current folder.
            raise FileNotFoundError
    except FileNotFoundError as err:
        raise DataNotFound(
            f"There is no data set {source!r}: not {', '.join(SOURCES)} or an existing path. "
            "Check the spelling and the current folder."
        ) from err
    except (OSError, RuntimeError, ValueError) as err:  # No permission, too long, ~nobody, a zero byte.
        shown = source if len(source) <= 200 else f"{source[:200]}..."
        problem = getattr(err, "strerror", None) or err
        raise DataNotFound(f"The data set {shown!r} can't be opened: {problem}. Check the path.") from err
    return path


def _unpack(archive: Path, cache: Path) -> Path:
    """The folder in the cache with the files of an archive, which is unpacked only the first time."""
    status = archive.stat()
    state = repr((str(archive.resolve()), status.st_size, status.st_mtime_ns))
    target = cache / "unpacked" / f"{_stem(archive)[:100]}-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
    return target if target.is_dir() else extract_archive(archive, target)


def _stem(archive: Path) -> str:
    """The name of an archive without its suffixes."""
    return archive.name.split(".")[0] or "archive"


def _find_root(folder: Path) -> Path | Splits:
    """The splits in `folder`, in the only folder in it, or in the only folder in that; of Tiny ImageNet its root.

    Raises:
        BadLayout: there are none; the message says what was expected and what is there.
    """
    inner = folder
    for _ in range(3):
        if is_tiny_imagenet(inner):
            return inner
        splits = find_splits(inner)
        if splits is not None:
            return splits
        folders = [entry for entry in visible_entries(inner) if is_folder(entry)]
        if len(folders) != 1:
            break
        inner = inner / folders[0].name
    found = [entry.name + ("/" if entry.is_dir() else "") for entry in visible_entries(folder)]
    raise BadLayout(
        f"'{folder}' is not an image set. Expected: a folder of images for each of two or more classes, in train/ and "
        f"{VALIDATION_NAMES[0]}/ (or {', '.join(VALIDATION_NAMES[1:])}) or without a split; or Tiny ImageNet's "
        f"wnids.txt, train/ and val/. Found: {quote(found) if found else 'nothing'}."
    )


def _apply_limits(listing: Listing, selection: Selection) -> Listing:
    """The first images of each class, of classes spread evenly over the list: the same ones every time.

    Raises:
        BadOption: a limit below 1 (classes: below 2), or more classes than there are.
    """
    for name, smallest in (("classes", 2), ("train_per_class", 1), ("validation_per_class", 1)):
        value = getattr(selection, name)
        if value is not None and value < smallest:
            raise BadOption(f"The limit {name} = {value} is too small. Choose {smallest} or more.")
    count = len(listing.classes)
    wanted = selection.classes or count
    if wanted > count:
        raise BadOption(f"{wanted} classes were requested; '{listing.root}' has {count}. Choose 2 to {count}.")
    chosen = np.arange(wanted) * count // wanted
    train, train_notes = listing.train, tuple[str, ...]()
    if train is not None:
        train, train_notes = _first_files(train, chosen, "train_per_class", selection.train_per_class)
    validation, notes = _first_files(listing.validation, chosen, "validation_per_class", selection.validation_per_class)
    classes = tuple(listing.classes[index] for index in chosen)
    return replace(
        listing, classes=classes, train=train, validation=validation, notes=(*listing.notes, *train_notes, *notes)
    )


def _first_files(
    files: ImageFiles, chosen: np.ndarray, name: str, per_class: int | None
) -> tuple[ImageFiles, tuple[str, ...]]:
    """The first files of the chosen classes, and a note if the limit leaves some out: profiles set limits, too."""
    rows_of = [np.flatnonzero(files.labels == label) for label in chosen]
    taken = files.taken(np.concatenate([each[:per_class] for each in rows_of]))
    available = sum(map(len, rows_of))
    note = f"data.{name} = {per_class} takes {len(taken.paths):,} of {available:,} images; 0 takes all."
    taken = replace(taken, labels=np.searchsorted(chosen, taken.labels).astype(np.int64))
    return taken, (note,) if len(taken.paths) < available else ()
