"""`load_dataset`: a name, a folder or an archive in, a decoded data set out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from compute.data import tiny_imagenet
from compute.data.archive import extract_archive, is_archive
from compute.data.dataset import Dataset, Limits
from compute.data.decoded_cache import default_cache, load_listing
from compute.data.download import RemoteFile, download
from compute.data.errors import BadLayout, DataNotFound
from compute.data.file_listing import Listing, limited, shortened, visible
from compute.data.image_folder import VALIDATION_NAMES, list_folder, validation_folder
from compute.data.phantom.dataset import load_phantom
from compute.errors import BadOption

SOURCES = ("phantom", "tiny-imagenet")
SMALLEST_SIZE, LARGEST_SIZE = 8, 1024
_TINY_IMAGENET = RemoteFile(tiny_imagenet.URL, tiny_imagenet.ARCHIVE_MD5, tiny_imagenet.ARCHIVE_BYTES)


def load_dataset(
    source: str, *, size: int = 64, seed: int = 0, limits: Limits = Limits(), cache: Path | None = None
) -> Dataset:
    """The training and validation images of a source, decoded to size x size, with names and groups of the classes.

    Args:
        source: "phantom" (made on the spot); "tiny-imagenet" (downloaded once into the cache); or the path of a folder
            or a zip or tar archive, in Tiny ImageNet's layout or with train/<class> and val/<class> folders.
        size: the images' side in pixels.
        seed: of the phantom's images; files do not depend on it.
        limits: how many classes and images of each to take; the same ones every time.
        cache: where downloads and decoded images are kept; `default_cache()` unless given.

    Raises:
        BadOption: a size or limit that can't be met.
        DataError: the source does not exist, is not an image set, or holds something unreadable; the message names it.
    """
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise BadOption(f"Images of {size} pixels are not offered. Choose {SMALLEST_SIZE} to {LARGEST_SIZE}.")
    if source == "phantom":
        return load_phantom(size=size, seed=seed, limits=limits)
    place = default_cache() if cache is None else cache
    return load_listing(limited(list_source(source, cache=place), limits), size, place)


def list_source(source: str, *, cache: Path) -> Listing:
    """The image files of a source, not decoded yet; downloads and unpacks where necessary.

    Raises:
        DataError: as `load_dataset`.
    """
    if source == "tiny-imagenet":
        path = download(_TINY_IMAGENET, cache / "downloads" / tiny_imagenet.URL.rsplit("/", 1)[-1])
    else:
        path = _existing(source)
    folder = path
    if is_archive(path):
        folder = _unpacked(path, cache)
    elif not path.is_dir():
        raise DataNotFound(f"'{path}' is neither a folder nor a zip or tar archive. Give one of these.")
    root = find_root(folder)
    if tiny_imagenet.is_tiny_imagenet(root):
        return tiny_imagenet.list_tiny_imagenet(root)
    listing = list_folder(root)
    return replace(listing, name=_stem(path)) if root == folder != path else listing


def _existing(source: str) -> Path:
    """The path that a source names.

    Raises:
        DataNotFound: nothing can be found there.
    """
    try:
        path = Path(source).expanduser()
        path.stat()
        if not source:  # An empty path would be the folder one stands in.
            raise FileNotFoundError
    except FileNotFoundError as err:
        raise DataNotFound(
            f"There is no data set {source!r}: neither {' nor '.join(SOURCES)} nor an existing path. "
            "Check the spelling, and the folder that you are in."
        ) from err
    except (OSError, RuntimeError, ValueError) as err:  # No rights, too long, ~nobody, a zero byte.
        shown = source if len(source) <= 200 else f"{source[:200]}..."
        raise DataNotFound(f"The data set {shown!r} can't be opened: {getattr(err, 'strerror', None) or err}.") from err
    return path


def find_root(folder: Path) -> Path:
    """The folder that holds `train` and the validation images: `folder`, or the only folder in it, or in that.

    Raises:
        BadLayout: there is none; the message says what was expected and what is there.
    """
    inner = folder
    for _ in range(3):
        if (inner / "train").is_dir() and validation_folder(inner):
            return inner
        entries = visible(inner)
        if len(entries) != 1 or not entries[0].is_dir():
            break
        inner = inner / entries[0].name
    found = [entry.name + ("/" if entry.is_dir() else "") for entry in visible(folder)]
    raise BadLayout(
        f"'{folder}' is not an image set. Expected: train/<class>/ and {VALIDATION_NAMES[0]}/<class>/ folders of "
        f"images (or {', '.join(VALIDATION_NAMES[1:])}; in small letters), or Tiny ImageNet's wnids.txt, train/ and "
        f"val/. Found: {shortened(found) if found else 'nothing'}."
    )


def _stem(archive: Path) -> str:
    """The name of an archive without what says that it is one."""
    return archive.name.split(".")[0] or "archive"


def _unpacked(archive: Path, cache: Path) -> Path:
    """The folder that an archive was or now is unpacked into."""
    status = archive.stat()
    what = repr((str(archive.resolve()), status.st_size, status.st_mtime_ns))
    target = cache / "unpacked" / f"{_stem(archive)[:100]}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    return target if target.is_dir() else extract_archive(archive, target)
