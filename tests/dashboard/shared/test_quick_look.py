"""The quick look: opened by the address, at the selection's state or at another one, refused where there is none."""

import pytest

from dashboard.shell import url_state
from store.synthetic import write_synthetic_run
from tests.dashboard.app import assert_no_errors, open_page, texts


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looks")
    write_synthetic_run(folder / "demo", epochs=3, classes=4, images_per_class=3)
    return folder


@pytest.mark.parametrize("page", ["failures", "gallery", "overview", "about"])
def test_it_opens_over_any_page_and_tells_the_state_that_it_shows(page, runs, monkeypatch):
    app = open_page(monkeypatch, runs, page, epoch="2", look="5")
    assert_no_errors(app, warnings=False)
    assert "image 5 · epoch 2, clean" in texts(app)
    assert "6 of 12" in texts(app)  # a link has no grid to step through


def test_a_state_of_its_own_leaves_the_page_at_the_selection(runs, monkeypatch):
    app = open_page(monkeypatch, runs, "failures", look="5.1.gray")
    assert "image 5 · epoch 1, gray" in texts(app)
    assert "epoch **3**, variant **clean**" in texts(app)


@pytest.mark.parametrize("link", ["12", "-1", "5.9.gray", "5.1.sepia", "5.1", "x", "5" * 5000])
def test_an_image_or_state_that_does_not_exist_is_reported(link, runs, monkeypatch):
    app = open_page(monkeypatch, runs, "failures", look=link)
    assert_no_errors(app)
    assert "it must be an image from 0 to 11" in app.warning[0].value
    assert "Everything about" not in texts(app)


def test_an_image_is_written_as_it_is_read():
    assert url_state.look_text(17) == "17"
    assert url_state.look_text(17, (3, "salt.pepper")) == "17.3.salt.pepper"
