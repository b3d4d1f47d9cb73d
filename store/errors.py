"""What can go wrong with a run, a class for each; a message says what was asked, what was found and what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Any problem with a run; its text can be shown to the user as it is."""


class RunNotFound(StoreError):
    """There is no run at the path."""


class RunExists(StoreError):
    """There is already a run at the path where a new one was to be written."""


class SchemaMismatch(StoreError):
    """The file was written by another version of the format."""


class NotInRun(StoreError):
    """The requested epoch, variant, image, class or column is not in the run."""


class DamagedFile(StoreError):
    """A file is not as it was written: truncated, changed, or taken from another run."""


class OutdatedAnalysis(DamagedFile):
    """The cross-epoch analysis was computed from an epoch that has been recorded again since."""


class TooManyFiles(StoreError):
    """This process may not open any more files; nothing is wrong with the run."""


class NotEnoughMemory(StoreError):
    """What was asked for does not fit into the memory that is free; nothing need be wrong with the run."""


class RunMismatch(StoreError):
    """The configuration of the run on disk differs from the requested one."""


class WriteFailed(StoreError):
    """The file system refused to write; epochs that were complete before stay valid."""


class BadMetric(StoreError, ValueError):
    """A number about an epoch that cannot be recorded: infinite, out of its range, or under no possible name."""


class BadMaps(StoreError, ValueError):
    """Maps that cannot be recorded: wrong shape, NaN or infinity, or negative values in an unsigned run.

    `place` is the image (its row in the block of maps) and the class, and `negative` says that the value is finite,
    when a single value is to blame.
    """

    def __init__(self, message: str, place: tuple[int, int] | None = None, *, negative: bool = False) -> None:
        super().__init__(message)
        self.place, self.negative = place, negative
