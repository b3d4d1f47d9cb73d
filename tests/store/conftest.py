"""What several test files of the store share."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from store.analysis import read_analysis
from store.analysis.analyse import analyse
from tests.store.crafted_run import craft, one_cell

LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.fixture
def copy(tiny_run, tmp_path):
    """Folder of a copy of the tiny run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "copy"))


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """Four epochs of nine images with chosen events; the map of image 3 has its final form from epoch 3 on."""
    predictions = np.tile(np.array(LABELS), (4, 2, 1))
    predictions[:2, 0, 1] = 1  # image 1 is learned at epoch 3
    predictions[3, 0, 2] = 1  # image 2 is forgotten at epoch 4
    predictions[:, 0, 4] = 2  # image 4 is never correct, ...
    predictions[3, 1, 4] = 2  # ... and the variant agrees at the end
    predictions[1, 0, 6:9] = 0  # all of class 2 is predicted as class 0 at epoch 2 alone
    predictions[:, 1, 0] = 2  # under gray, image 0 is always wrong

    def own(epoch, variant, image):
        pattern = one_cell(LABELS[image])
        if image == 3 and epoch < 2:
            pattern = np.roll(pattern, 1)
        return pattern * (0.5 if variant == 1 and LABELS[image] == 0 else 1) * (1 + 0.1 * (image % 3))

    path = tmp_path_factory.mktemp("runs") / "learned"
    run = craft(path, predictions, labels=LABELS, variants=("clean", "gray"), own=own)
    analyse(run)
    return run


@pytest.fixture(scope="session")
def analysis(learned):
    return read_analysis(learned)
