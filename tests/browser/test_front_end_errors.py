"""Every page over runs with nothing, or everything, to show: no error box, no message of the browser's console.

An error in the browser leaves no trace on the server: infinity or NaN in what travels there is one, for instance. One
server and one window show all of them, so that this costs seconds.
"""

import pytest

from dashboard.browser import serve_dashboard
from dashboard.shell import navigation
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.browser.chromium import ERROR_BOXES, IN_CHROMIUM, follow, settled, visit
from tests.store.degenerate import write_degenerate_run

pytestmark = IN_CHROMIUM

SMALL = {"epochs": 2, "variants": ("clean", "gray"), "layers": {}, "stages": {}, "map_shape": (4, 4)}
RUNS = {
    "tiny": {"classes": 2, "images_per_class": 1, "epochs": 1, "variants": ("clean",)},
    "single-class": {"classes": 1},
    "two-classes": {"classes": 2, "images_per_class": 6},
    "one-image-a-class": {"classes": 5, "images_per_class": 1},
}
CHANGED = ("perfect", "dead", "exploded")
PAGES = [page.name for page in navigation.PAGES if page.name not in ("about", "live")]  # the same for every run


@pytest.fixture(scope="module")
def small_runs(tmp_path_factory):
    """The address of a dashboard over small analysed runs."""
    folder = tmp_path_factory.mktemp("small")
    for name, options in RUNS.items():
        write_synthetic_run(folder / name, **{**SMALL, **options})
    for name in CHANGED:
        write_degenerate_run(folder / name, name, variants=SMALL["variants"], map_shape=(4, 4))
    for path in folder.iterdir():
        analyse(open_run(path))
    with serve_dashboard(folder) as server:
        yield server.url


@pytest.mark.parametrize("run", [*RUNS, *CHANGED])
def test_no_page_fails_in_the_browser(page, small_runs, run):
    visit(page, f"{small_runs}/{PAGES[0]}?run={run}")
    for name in PAGES:
        settled(follow(page, name), ERROR_BOXES)
    assert f"run={run}" in page.url
