"""What the tests of compute share."""

import pytest
import torch

from compute.runs.prepare import PreparedRun, prepare
from tests.compute.cases import tiny_profile


@pytest.fixture(autouse=True)
def keep_threads():
    """Commands set the number of threads of the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prepared() -> PreparedRun:
    """The tiny run, ready to start; do not change it."""
    return prepare(tiny_profile(), device="cpu")
