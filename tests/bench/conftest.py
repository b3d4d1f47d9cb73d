"""A small recorded run and its page of results, shared by the tests of bench."""

from pathlib import Path

import pytest

from bench import results
from compute import cli
from tests.compute.cases import QUICK_SETTINGS


@pytest.fixture(scope="session")
def finished_experiment(tmp_path_factory) -> Path:
    """A folder with runs/tiny, trained and analysed, and its results/; do not change it."""
    folder = tmp_path_factory.mktemp("experiment")
    sets = [part for text in QUICK_SETTINGS for part in ("--set", text)]
    train = ["train", "--profile", "quick", "--run", "tiny", "--threads", "1", "--runs-dir", str(folder / "runs")]
    assert cli.main([*train, *sets]) == 0
    assert results.main([str(folder / "runs" / "tiny"), "--output", str(folder / "results")]) == 0
    return folder
