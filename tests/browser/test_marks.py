"""Marks set in a real Chromium: on tiles by mouse and keyboard, in the quick look, seen by a second reader."""

import pytest
from playwright.sync_api import expect

from dashboard.browser import serve_dashboard
from store.synthetic import write_synthetic_run
from tests.browser.chromium import IN_CHROMIUM, settled, visit

pytestmark = IN_CHROMIUM
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A dashboard over a run."""
    folder = tmp_path_factory.mktemp("marks")
    write_synthetic_run(folder / "demo", epochs=2, classes=6, images_per_class=8)
    with serve_dashboard(folder) as server:
        yield server.url


def badges(window, number):
    """The marks on the tiles, once there are so many."""
    expect(window.locator(".badge")).to_have_count(number)
    return settled(window).locator(".badge").all_inner_texts()


def test_tiles_are_selected_by_keyboard_and_mouse_and_marked_together(page, address):
    visit(page, f"{address}/failures")
    tiles = page.locator(".tiles .tile")
    tiles.first.wait_for()
    tiles.first.focus()
    page.keyboard.press("x")
    tiles.nth(2).hover()
    tiles.nth(2).locator(".select").click(modifiers=["Shift"])
    bar = page.get_by_role("group", name="mark the selected images")
    bar.get_by_text("3 selected").wait_for()
    bar.get_by_label("note (optional)").fill("seen twice")
    bar.get_by_role("button", name="wrong label").click()
    assert badges(page, 3) == ["wrong label"] * 3
    page.get_by_text("3 images marked “wrong label”").wait_for()
    tiles.first.focus()
    page.keyboard.press("x")
    bar.get_by_label("own words").fill(HOSTILE)
    page.keyboard.press("Enter")
    page.get_by_text(f"{HOSTILE}, wrong label").wait_for()
    tiles.nth(1).focus()
    page.keyboard.press("x")
    bar.get_by_role("button", name="wrong label").click()  # all selected have it: removed
    assert badges(page, 2) == [f"{HOSTILE}, wrong label", "wrong label"]


def test_a_mark_of_the_quick_look_is_seen_by_a_second_reader(page, address):
    visit(page, f"{address}/gallery?class=c2")
    page.locator(".tiles .grid").last.locator(".tile").first.click()
    look = page.get_by_role("dialog")
    expect(look.get_by_role("button", name="ambiguous")).to_be_visible()
    page.keyboard.press("2")  # ambiguous, of this image; then the next one
    expect(look.get_by_role("button", name="Remove")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(look.get_by_text("2 of ")).to_be_visible()
    expect(look.get_by_role("button", name="Remove")).to_have_count(0)
    second = page.context.new_page()
    visit(second, page.url.split("&look")[0])
    expect(second.get_by_text("ambiguous", exact=True).first).to_be_visible()
