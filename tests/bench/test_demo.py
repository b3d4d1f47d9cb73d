"""The run that travels with the repository: small, undamaged, and something true on every page."""

import pytest

from bench.demo import FOLDER, LARGEST, NAME
from store import open_run
from store.analysis.analysis_file import read_analysis
from store.check.verify import verify_run
from tests.dashboard.app import PAGES, assert_no_errors


def test_the_demo_run_is_small_undamaged_and_complete():
    files = [file for file in (FOLDER / NAME).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= LARGEST
    assert verify_run(FOLDER / NAME) == []
    run = open_run(FOLDER / NAME)
    assert run.complete and run.epochs[0] == 0 and len(run.variants) == 8 and len(run.classes) == 40
    assert read_analysis(run).epochs == run.epochs
    assert (
        run.predictions(epoch=run.epochs[-1], variant="clean")["correct"].mean() > 0.3
    )  # of 40 classes: it has learned


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_the_demo_run(opened, page):
    app = opened(FOLDER, page, run=NAME)
    assert_no_errors(app)
    assert app.title and app.title[0].value not in ("No run yet", "Page not found")
