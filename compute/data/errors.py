"""What can be wrong with images, folders, archives and downloads, named for the fact."""

from __future__ import annotations

from compute.errors import ComputeError


class DataError(ComputeError, ValueError):
    """Anything wrong with a data source."""


class DataNotFound(DataError):
    """A source that is neither a known name nor an existing path."""


class BadLayout(DataError):
    """A folder without the files or class folders that an image set needs."""


class BadImage(DataError):
    """An image that can't be decoded; the message names its path."""


class BadArchive(DataError):
    """An archive that is truncated, unsafe to unpack, or not an archive."""


class CacheUnusable(DataError):
    """A cache folder that can't be written."""


class DownloadFailed(DataError):
    """A download that could not be finished or is not the expected file."""
