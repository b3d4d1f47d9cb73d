"""What can go wrong with a run, one class per fact; every message says what was asked, what holds and what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Anything about a run that stops the work; its text can be shown to the user as it is."""


class RunNotFound(StoreError):
    """There is no run at the given place."""


class RunExists(StoreError):
    """A run is already at the place where a new one was to be made."""


class SchemaMismatch(StoreError):
    """The file was written by another version of the format."""


class NotInRun(StoreError):
    """The epoch, variant, image, class or column asked for is not in the run."""


class DamagedFile(StoreError):
    """A sealed file does not hold what was sealed: truncated, altered, or taken from elsewhere."""


class TooManyFiles(StoreError):
    """The system lets this process open no more files; nothing is wrong with the run."""


class RunMismatch(StoreError):
    """The run on disk was made with another configuration than the one asked for."""


class WriteFailed(StoreError):
    """The file system refused to take the data; what was sealed before stays valid."""


class BadMaps(StoreError, ValueError):
    """Maps that cannot be recorded: wrong shape, NaN or infinity, or negative values in an unsigned run.

    `image` (its place in the block handed over) and `class_index` say where, when a single value is to blame.
    """

    def __init__(self, message: str, image: int | None = None, class_index: int | None = None) -> None:
        super().__init__(message)
        self.image, self.class_index = image, class_index
