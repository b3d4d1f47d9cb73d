"""A small phantom."""

from __future__ import annotations

import pytest

from compute.data.dataset import Dataset, Limits
from compute.data.phantom.dataset import load_phantom


@pytest.fixture(scope="session")
def phantom() -> Dataset:
    """All 200 classes, three training and two validation images each; do not change it."""
    return load_phantom(limits=Limits(train_per_class=3, validation_per_class=2))
