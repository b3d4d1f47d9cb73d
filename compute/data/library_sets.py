"""Image sets of torchvision and of Hugging Face's `datasets`, as folders of classes in the cache.

Either library reads its own files, and torchvision downloads them. Each image then becomes a file in its class's
folder, once, like an archive that is unpacked: what holds for folders holds for these sets, of any size. Encoded images
stay as they are; others become PNG files, which lose nothing.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import importlib.util
import inspect
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from compute.data.atomic_folder import unfinished_folder
from compute.data.class_names import CLASS_TABLE, quote
from compute.data.decode import SUFFIXES
from compute.data.image_folder import TRAINING_NAMES, VALIDATION_NAMES, Splits
from compute.data.map_style import LabelledItems
from compute.errors import BadLayout, BadOption, DataNotFound, DownloadFailed
from store.terminal import ProgressBar

LIBRARIES = ("torchvision", "hf")
FORMAT = 1  # raise it when the folders change: they are then written again
# How torchvision's sets name the split to train on and the one to validate on, in order of preference.
_TRAINING, _VALIDATION = ("train", "trainval", "train-standard"), ("val", "valid", "test")
_FILE_LISTS = ("_image_files", "_images", "_samples", "samples", "imgs")  # where torchvision's sets keep their paths
_WHOLE = "all"  # the only split of a set that has none


@dataclass(frozen=True)
class _LibrarySet:
    """A set that is opened split by split, as map-style data sets."""

    name: str  # of its folder in the cache
    train: str | None
    validation: str | None
    unsplit: str | None
    open: Callable[[str], Any]


def is_library_set(source: str) -> bool:
    """Whether a source is torchvision:NAME or hf:FOLDER, perhaps with :SPLIT behind it."""
    return source.partition(":")[0] in LIBRARIES and ":" in source


def library_splits(source: str, *, cache: Path, validation_only: bool = False) -> Splits:
    """The folders of classes of a library's set, made in the cache where they are not there yet.

    Args:
        source: torchvision:NAME or hf:FOLDER; NAME:SPLIT and FOLDER:SPLIT take that split for validation.
        cache: torchvision downloads to `downloads/torchvision` in it.
        validation_only: makes no folder of training images where there are validation images.

    Raises:
        BadOption: the library is not installed, or has no such set or split.
        DataNotFound: the folder does not exist.
        DownloadFailed: what torchvision downloaded is not complete.
        BadLayout, BadImage: it is no set of images with one label each.
    """
    library, _, name = source.partition(":")
    found = _torchvision_set(name, cache) if library == "torchvision" else _hugging_face_set(name)
    root = cache / "library_sets" / f"{found.name}-{FORMAT}"
    wanted = [found.validation] if validation_only and found.validation else [found.train, found.validation]
    for split in filter(None, (*wanted, found.unsplit)):
        if not (root / split).is_dir():
            _write_folder(found, split, root, source)
    train, validation, unsplit = (
        root / split if split and (root / split).is_dir() else None
        for split in (found.train, found.validation, found.unsplit)
    )
    return Splits(root, train, validation, unsplit)


def _write_folder(found: _LibrarySet, split: str, root: Path, source: str) -> None:
    """The folder of one split, complete or not at all."""
    data = found.open(split)
    images = LabelledItems(data)
    names = images.class_names or [str(number) for number in range(int(images.labels[-1]) + 1)]
    ids = [f"{number:0{len(str(len(names) - 1))}d}" for number in range(len(names))]
    with unfinished_folder(root.parent / f"{root.name}-{split}") as folder:
        for class_id in ids:
            (folder / class_id).mkdir()
        width = len(str(len(images)))
        with ProgressBar(total=len(images), desc=f"unpacking {source}, {split}", unit=" images", leave=False) as bar:
            for row, (content, suffix) in enumerate(_contents(data, images)):
                target = folder / ids[images.labels[row]] / f"{images.order[row]:0{width}d}{suffix}"
                _link(content, target) if isinstance(content, Path) else target.write_bytes(content)
                bar.update()
        root.mkdir(parents=True, exist_ok=True)
        _write_class_names(root / CLASS_TABLE, ids, names)
        try:
            folder.rename(root / split)
        except OSError:
            if not (root / split).is_dir():  # else another process was faster
                raise


def _write_class_names(path: Path, ids: Sequence[str], names: Sequence[str]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8", newline="") as file:
        distinct = names if len(set(names)) == len(names) else [f"{a} {b}" for a, b in zip(ids, names, strict=True)]
        csv.writer(file).writerows([("id", "name"), *zip(ids, distinct, strict=True)])
    part.replace(path)


def _link(file: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no such links."""
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copyfile(file, target)


def _contents(data: Any, images: LabelledItems) -> Iterator[tuple[bytes | Path, str]]:
    """Of each image, in the order of its class, a file or the content of one, and its suffix."""
    paths = next((each for name in _FILE_LISTS if (each := _paths(getattr(data, name, None), len(images)))), None)
    for row in images.order:
        if paths is not None and paths[row].suffix.lower() in SUFFIXES:
            yield paths[row], paths[row].suffix.lower()
        else:
            yield _encoded(images.item(int(row))[0])


def _paths(listed: Any, count: int) -> list[Path] | None:
    """The files of a list of paths, or of pairs that begin with one."""
    if not isinstance(listed, list) or len(listed) != count:
        return None
    firsts = [each[0] if isinstance(each, tuple) else each for each in listed]
    return [Path(each) for each in firsts] if all(isinstance(each, str | Path) for each in firsts) else None


def _encoded(image: Any) -> tuple[bytes, str]:
    """The content of a file with this image."""
    if isinstance(image, Mapping) and isinstance(image.get("bytes"), bytes):  # as `datasets` keeps a file
        with Image.open(io.BytesIO(image["bytes"])) as opened:
            suffix = f".{(opened.format or '').lower()}"
        if suffix in SUFFIXES:
            return image["bytes"], suffix
        image = Image.open(io.BytesIO(image["bytes"]))
    if isinstance(image, Mapping):
        image = Image.open(image["path"])
    if not isinstance(image, Image.Image):
        image = Image.fromarray(np.asarray(image))
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue(), ".png"


# --- torchvision -----------------------------------------------------------------------------------------------------


def _torchvision_set(name: str, cache: Path) -> _LibrarySet:
    if importlib.util.find_spec("torchvision") is None:
        raise BadOption("torchvision:NAME needs torchvision. Install it: pip install torchvision")
    sets = importlib.import_module("torchvision.datasets")
    name, _, only = name.partition(":")
    known = [each for each in sets.__all__ if "download" in _parameters(getattr(sets, each))]
    if name not in known:
        raise BadOption(
            f"torchvision has no set of images '{name}' that it can download. Choose one of {', '.join(known)}; of a "
            "folder of images give the path."
        )
    factory, root = getattr(sets, name), cache / "downloads" / "torchvision"
    root.mkdir(parents=True, exist_ok=True)
    opened: dict[str, Any] = {}

    def open_split(split: str) -> Any:
        if split not in opened:
            opened[split] = _open_torchvision(factory, root, split)
        return opened[split]

    if not {"train", "split"} & _parameters(factory).keys():
        return _LibrarySet(f"torchvision-{name}", None, None, _WHOLE, open_split)
    if only:
        open_split(only)
        return _LibrarySet(f"torchvision-{name}", None, only, None, open_split)
    train, validation = (_first(open_split, splits) for splits in (_TRAINING, _VALIDATION))
    if validation is None:
        raise BadOption(f"torchvision's {name} has none of the splits {', '.join(_VALIDATION)}. Name one: {name}:SPLIT")
    return _LibrarySet(f"torchvision-{name}", train, validation, None, open_split)


def _parameters(factory: Any) -> Mapping[str, Any]:
    return inspect.signature(factory).parameters if inspect.isclass(factory) else {}


def _first(open_split: Callable[[str], Any], splits: Sequence[str]) -> str | None:
    """The first of the splits that the set has."""
    for split in splits:
        try:
            open_split(split)
        except BadOption:
            continue
        return split
    return None


def _open_torchvision(factory: Any, root: Path, split: str) -> Any:
    """A split of a set, downloaded where it is not there.

    Raises:
        BadOption: it has no such split.
        DownloadFailed: what was downloaded is not complete.
    """
    parameters = _parameters(factory)
    choice: dict[str, Any] = {}
    if "train" in parameters:
        if split not in ("train", "test"):
            raise BadOption(f"torchvision's {factory.__name__} has the splits train and test, not '{split}'.")
        choice = {"train": split == "train"}
    elif "split" in parameters:
        choice = {"split": split}
    try:
        return factory(str(root), download=True, **choice)
    except (ValueError, AssertionError) as err:  # before anything is downloaded
        raise BadOption(f"torchvision's {factory.__name__} has no split '{split}': {err}") from err
    except TypeError as err:
        raise BadOption(f"torchvision's {factory.__name__} cannot be opened by its name alone: {err}.") from err
    except (RuntimeError, ImportError) as err:
        raise DownloadFailed(f"torchvision could not provide {factory.__name__} in '{root}': {err}") from err


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def _hugging_face_set(name: str) -> _LibrarySet:
    if importlib.util.find_spec("datasets") is None:
        raise BadOption("hf:FOLDER needs Hugging Face's library. Install it: pip install datasets")
    datasets = importlib.import_module("datasets")
    folder, only = (Path(name).expanduser(), "") if Path(name).expanduser().is_dir() else _with_split(name)
    try:
        found = datasets.load_from_disk(str(folder))
    except (FileNotFoundError, ValueError) as err:
        raise BadLayout(
            f"'{folder}' was not written by a Hugging Face data set's save_to_disk: {str(err).splitlines()[0]}. Save "
            "one there, or name a folder of images without hf:."
        ) from err
    splits: dict[str, Any] = dict(found) if isinstance(found, Mapping) else {_WHOLE: found}
    files = [(str(file), status.st_size, status.st_mtime_ns) for file, status in _files_in(folder.resolve())]
    key = hashlib.sha256(repr(files).encode()).hexdigest()[:12]

    def open_split(split: str) -> Any:
        data = splits[split]
        features = {column: kind for column, kind in data.features.items() if type(kind).__name__ == "Image"}
        for column in features:  # files as they are, not decoded
            data = data.cast_column(column, datasets.Image(decode=False))
        return data

    train, validation = (
        next((each for each in names if each in splits), None) for names in (TRAINING_NAMES, VALIDATION_NAMES)
    )
    if only:
        if only not in splits:
            raise BadOption(f"'{folder}' has no split '{only}', but {quote(list(splits))}.")
        train, validation = None, only
    whole = next(iter(splits)) if len(splits) == 1 and not (train or validation) else None
    if not (train or validation or whole):
        raise BadOption(f"'{folder}' has the splits {quote(list(splits))}. Name one: hf:{folder}:SPLIT")
    return _LibrarySet(f"hf-{folder.resolve().name}-{key}", train, validation, whole, open_split)


def _files_in(folder: Path) -> list[tuple[Path, os.stat_result]]:
    return [(file, file.stat()) for file in sorted(folder.rglob("*")) if file.is_file()]


def _with_split(name: str) -> tuple[Path, str]:
    """Folder and split of FOLDER:SPLIT.

    Raises:
        DataNotFound: there is no such folder.
    """
    folder, _, split = name.rpartition(":")
    if not folder or not Path(folder).expanduser().is_dir():
        raise DataNotFound(f"There is no folder '{name}' of a Hugging Face data set. Check the path behind hf:.")
    return Path(folder).expanduser(), split
