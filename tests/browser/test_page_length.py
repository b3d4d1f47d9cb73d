"""No page is longer than four windows of 1440 x 900 before something is opened, whatever the size of the run."""

import shutil
from pathlib import Path

import pytest

from dashboard.browser import go_to, serve_dashboard
from dashboard.shell import navigation
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import VARIANTS, write_synthetic_run
from tests.browser.chromium import IN_CHROMIUM, TIMEOUT, settled

pytestmark = IN_CHROMIUM

DEMO = Path(__file__).parents[2] / "demo" / "demo"
HEIGHT, WINDOWS = 900, 4
LENGTH = "() => document.querySelector('[data-testid=stMain]').scrollHeight"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A dashboard over the demo run, and over one of 200 classes and 24 epochs."""
    folder = tmp_path_factory.mktemp("lengths")
    shutil.copytree(DEMO, folder / "demo")
    plain = {"layers": {}, "stages": {}, "map_shape": (4, 4), "image_shape": (12, 12), "variants": VARIANTS[:3]}
    analyse(open_run(write_synthetic_run(folder / "wide", epochs=24, classes=200, images_per_class=2, **plain)))
    with serve_dashboard(folder) as server:
        yield server.url


@pytest.fixture(scope="module")
def window(browser):
    """One window for all pages, so that Chromium loads its scripts once."""
    with browser.new_context(viewport={"width": 1440, "height": HEIGHT}) as context:
        context.set_default_timeout(TIMEOUT)
        yield context.new_page()


@pytest.mark.parametrize("run", ["demo", "wide"])
@pytest.mark.parametrize("page", [page.name for page in navigation.PAGES])
def test_a_page_is_at_most_four_windows_long(window, address, page, run):
    go_to(window, f"{address}/{'' if page == 'overview' else page}?run={run}")
    settled(window)
    window.wait_for_timeout(300)  # charts and components are drawn after the script has ended
    assert window.evaluate(LENGTH) <= WINDOWS * HEIGHT
