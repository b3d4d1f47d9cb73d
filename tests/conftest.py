"""What several test files share."""

import os

import pytest

# Before numpy and torch are imported, here and in every program that a test starts: the test processes share the cores,
# and threads of several of them would wait for each other at every operation.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from bench.bucket import BUCKET, serve_bucket
from dashboard.browser import open_chromium, serve_dashboard
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.browser.chromium import TIMEOUT, listen
from tests.dashboard.app import open_page


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Path of a small complete run: 3 epochs, 5 classes of 4 images, all eight variants; do not change it."""
    return write_synthetic_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def run(tiny_run):
    """The tiny run, open; do not change its files."""
    return open_run(tiny_run)


@pytest.fixture
def opened(monkeypatch):
    """Opens a page of the dashboard over a folder of runs, with the parameters of a link."""

    def opened(folder, page="overview", /, **parameters):
        return open_page(monkeypatch, folder, page, **parameters)

    return opened


@pytest.fixture(scope="session")
def analysed(tmp_path_factory):
    """The address of a dashboard over the analysed run 'demo' of 8 classes and 3 epochs."""
    runs = tmp_path_factory.mktemp("analysed")
    write_synthetic_run(runs / "demo", epochs=3, classes=8, images_per_class=12)
    analyse(open_run(runs / "demo"))
    with serve_dashboard(runs) as server:
        yield server.url


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests."""
    with open_chromium() as opened:
        yield opened


@pytest.fixture
def page(browser):
    """A fresh window; the test fails if it logged an error, a warning or a failed request."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(TIMEOUT)
    window = context.new_page()
    complaints = listen(window)
    yield window
    context.close()
    assert not complaints


@pytest.fixture(scope="module")
def bucket():
    """URL of an empty bucket on an S3-speaking server on this machine."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with serve_bucket():
        yield f"s3://{BUCKET}"
