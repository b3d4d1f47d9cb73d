"""What the tests of the dashboard share."""

import pytest

from store import open_run


@pytest.fixture(scope="session")
def run(tiny_run):
    """The small complete run, open; do not change it."""
    return open_run(tiny_run)
