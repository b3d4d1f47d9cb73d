"""What several test files of the store share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from store import open_run


@pytest.fixture(scope="session")
def run(tiny_run):
    """The tiny run, open; do not change its files."""
    return open_run(tiny_run)


@pytest.fixture
def copy(tiny_run, tmp_path):
    """Folder of a copy of the tiny run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "copy"))
