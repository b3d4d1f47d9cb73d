"""What several test files share."""

from __future__ import annotations

import pytest

from store.synthetic import write_synthetic_run


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Path of a small complete run: 3 epochs, 5 classes of 4 images, all eight variants; do not change it."""
    return write_synthetic_run(tmp_path_factory.mktemp("runs") / "tiny")
