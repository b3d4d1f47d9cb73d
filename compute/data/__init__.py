"""Picture sets for training and validation: built in, downloaded, or read from the user's folders and archives."""

from compute.data.errors import DataError
from compute.data.load import load_dataset
from compute.data.records import Dataset, Limits, PictureSet

__all__ = ["DataError", "Dataset", "Limits", "PictureSet", "load_dataset"]
