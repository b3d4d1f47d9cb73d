"""What stands round every page: the class in the sidebar that all pages obey, and the words of the page's head."""

import pytest

from dashboard.shell import navigation, reading
from dashboard.shell.sidebar import STYLE
from store.synthetic import write_synthetic_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one run of 6 classes, one of them named like markup."""
    folder = tmp_path_factory.mktemp("frame")
    write_synthetic_run(folder / "demo", epochs=2, classes=6, images_per_class=5)
    return folder


def said(app):
    """All captions of a page."""
    return "\n".join(caption.value for caption in app.caption)


@pytest.mark.parametrize("name", [page.name for page in navigation.PAGES])
def test_every_page_shows_the_class_that_the_sidebar_chose(opened, runs, name):
    app = opened(runs, name, **{"class": "n00000002"})
    assert not app.exception and not app.warning
    assert app.selectbox(key="control-class-sidebar").value == "n00000002"
    assert "class **guacamole**" in said(app)


def test_choosing_a_class_writes_the_link_and_forgets_the_image(opened, runs):
    app = opened(runs, "gallery", image="3", page="1")
    app.selectbox(key="control-class-sidebar").set_value("n00000004").run()
    assert app.query_params["class"] in ("n00000004", ["n00000004"])
    assert "image" not in app.query_params and "page" not in app.query_params
    app.selectbox(key="control-class-sidebar").set_value("").run()
    assert "class" not in app.query_params


def test_a_page_may_have_a_second_control_of_the_class(opened, runs):
    app = opened(runs, "gallery", **{"class": "n00000002"})
    app.selectbox(key="control-class").set_value("n00000001").run()
    assert app.selectbox(key="control-class-sidebar").value == "n00000001"


def test_the_style_names_nothing_but_public_test_ids_and_keys_of_our_own():
    rules = [line for line in STYLE.read_text().splitlines() if "{" in line and not line.startswith("/*")]
    assert rules and all("data-testid" in rule or ".st-key-" in rule for rule in rules)


def test_every_page_says_how_to_read_it_in_a_few_sentences():
    assert list(reading.HOW_TO_READ) == [page.name for page in navigation.PAGES]
    assert all(40 < len(text) < 450 for text in reading.HOW_TO_READ.values())


def test_the_tour_is_at_most_five_steps_over_pages_that_exist():
    assert len(reading.TOUR) <= 5
    assert all(navigation.is_page(page) for page, _ in reading.TOUR)
