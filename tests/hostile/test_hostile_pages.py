"""Every page with a hostile run: it shows the run or says why not, and its neighbours stay as they were."""

import shutil

import pytest

from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.dashboard.app import PAGES, texts
from tests.hostile.attacks import ATTACKS, ON_FULL_RUN, SECRET

pytestmark = pytest.mark.slow
# As many as pages, from all families: those that leave the run readable to its end are met by a page of their own.
CHOSEN = [name for name in ATTACKS if name not in ON_FULL_RUN][7::47]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a good run and a hostile one for each of the chosen attacks."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.txt").write_text(SECRET)
    good = write_synthetic_run(folder / "runs" / "good", epochs=1, classes=3, images_per_class=2)
    analyse(open_run(good))
    for number, name in enumerate(CHOSEN):
        run = shutil.copytree(good, folder / "runs" / f"run{number}")
        ATTACKS[name](run, folder / "secret.txt")
    return folder / "runs"


@pytest.mark.parametrize(("number", "name"), list(enumerate(CHOSEN)), ids=CHOSEN)
def test_a_page_shows_a_hostile_run_or_says_why_not(opened, runs, number, name):
    app = opened(runs, PAGES[number % len(PAGES)], run=f"run{number}")
    assert not app.exception, app.exception[0].value
    assert SECRET not in texts(app)
    for error in app.error:
        assert "Traceback" not in error.value


def test_overview_opens_among_hostile_runs(opened, runs):
    app = opened(runs, run="good")
    assert not app.exception and not app.error
    assert app.title[0].value == "Overview"
    assert SECRET not in texts(app)
