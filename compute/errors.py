"""Everything that is refused before or during a run. The command line prints the message and exits with code 2."""

from __future__ import annotations


class ComputeError(Exception):
    """Anything that the user can correct; the message says what was requested, what is allowed and what to do."""


class BadOption(ComputeError, ValueError):
    """An invalid profile key, value or command-line option."""


class BadModel(ComputeError, ValueError):
    """A network that is not known, or that does not return class maps."""


class NotBuilt(BadModel):
    """A run names a network that this dashboard does not build, as it may not build everything that a run names."""


class BadWeights(ComputeError, ValueError):
    """A weights file that cannot be read, contains more than tensors, or does not fit the network."""


class BadCheckpoint(ComputeError):
    """A checkpoint that is damaged or belongs to another run."""


class RunInUse(ComputeError):
    """A run that another command is training."""


class DoesNotFit(ComputeError):
    """A run that does not fit on the disk, or an epoch that does not fit into the time limit."""


class TrainingDiverged(ComputeError):
    """A loss that is no longer finite."""


class ProcessLost(ComputeError):
    """Another process of the same run has ended."""


class DataError(ComputeError, ValueError):
    """Any problem with a data source."""


class DataNotFound(DataError):
    """A source that is neither a known name nor an existing path."""


class BadLayout(DataError):
    """A folder without the files or class folders that an image set needs."""


class BadImage(DataError):
    """An image that can't be decoded; the message names its file."""


class BadArchive(DataError):
    """An archive that is truncated, unsafe to unpack, or not an archive."""


class CacheUnusable(DataError):
    """A cache folder that can't be written."""


class DownloadFailed(DataError):
    """A download that could not be finished or is not the expected file."""
