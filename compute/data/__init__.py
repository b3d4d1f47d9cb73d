"""Image sets for training and validation: built in, downloaded, or read from the user's folders and archives."""

from compute.data.dataset import Dataset, ImageSet, Limits
from compute.data.errors import DataError
from compute.data.load import load_dataset

__all__ = ["DataError", "Dataset", "ImageSet", "Limits", "load_dataset"]
