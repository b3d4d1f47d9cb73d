"""Every page with a run that keeps the maps of few classes."""

from __future__ import annotations

import pytest

from dashboard.shell import navigation
from store.synthetic import write_synthetic_run
from tests.dashboard.app import assert_no_errors

NAMES = [page.name for page in navigation.available()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the run 'few'."""
    folder = tmp_path_factory.mktemp("kept")
    write_synthetic_run(folder / "few", epochs=2, kept_maps=1)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_a_run_that_keeps_few_maps(opened, runs, name):
    assert_no_errors(opened(runs, name, run="few"), warnings=False)


@pytest.mark.parametrize("image", [3, 7])
def test_a_correct_and_a_wrong_prediction_are_explained(opened, runs, image):
    assert_no_errors(opened(runs, "image", run="few", image=str(image)), warnings=False)
