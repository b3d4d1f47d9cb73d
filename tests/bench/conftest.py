"""A small finished experiment, shared by the tests of bench."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import experiment
from tests.compute.cases import QUICK_SETTINGS


def experiment_arguments(folder: Path, *more: str) -> list[str]:
    """The command line of an experiment on the tiny network, below a folder."""
    sets = [part for text in QUICK_SETTINGS for part in ("--set", text)]
    folders = ["--runs-dir", str(folder / "runs"), "--results", str(folder / "results")]
    return ["--profile", "quick", "--run", "tiny", "--threads", "1", *folders, *sets, *more]


@pytest.fixture(scope="session")
def finished_experiment(tmp_path_factory) -> Path:
    """A folder with a finished experiment: runs/tiny and results/; do not change it."""
    folder = tmp_path_factory.mktemp("experiment")
    assert experiment.main(experiment_arguments(folder)) == 0
    return folder
