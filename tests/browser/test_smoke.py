"""The dashboard in a real Chromium: every page, from a failure to its image and back, maps, matrices and the keyboard.

Fails on any console error or warning, failed request or exception box but those named in `chromium.py`.
"""

import re

from playwright.sync_api import expect

from dashboard.shell import navigation
from tests.browser.chromium import IN_CHROMIUM, follow, settled, visit

pytestmark = IN_CHROMIUM


def test_every_page_opens_from_the_sidebar_without_an_error_or_warning(page, analysed):
    visit(page, analysed)
    for info in navigation.PAGES:
        follow(page, info.name)
        expect(page.locator("h1")).to_have_text(info.title)


def test_a_failure_leads_to_its_image_and_back_leads_back(page, analysed):
    visit(page, f"{analysed}/failures?run=demo&epoch=2")
    page.locator(".tile").first.wait_for()
    image = page.locator(".tile").first.get_attribute("data-id")
    page.locator(".tile").first.click()
    page.get_by_role("dialog").get_by_role("link", name="Everything about this image").click()
    page.wait_for_selector("h1:has-text('Image')")
    page.wait_for_url(re.compile(rf"/image\?.*image={image}"))
    assert "epoch=2" in page.url
    settled(page)
    page.go_back()
    page.wait_for_selector("h1:has-text('Failures')")
    assert "epoch=2" in page.url


def test_a_row_of_the_failures_table_opens_the_quick_look(page, analysed):
    visit(page, f"{analysed}/failures?run=demo&epoch=2")
    page.locator(".tile").nth(1).wait_for()
    second = page.locator(".tile").nth(1).get_attribute("data-id")
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    settled(page)
    table.click(position={"x": 18, "y": 88})  # the box before the second row: a header and rows of 35 pixels
    page.get_by_role("dialog").get_by_text(f"image {second} ·").wait_for()
    page.wait_for_url(re.compile(rf"/failures\?.*look={second}"))
    assert "epoch=2" in page.url


def test_maps_are_painted_cell_by_cell(page, analysed):
    visit(page, f"{analysed}/image?run=demo&image=0")
    canvas = page.locator(".tile .part.map canvas").first
    canvas.wait_for()
    size, bright = canvas.evaluate(
        "c => [c.width, Math.max(...[...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        ".filter((_, position) => position % 4 < 3))]"
    )
    assert size == 8 and bright > 200


def test_a_cell_of_the_matrix_opens_its_images_and_back_closes_them(page, analysed):
    visit(page, f"{analysed}/confusion?run=demo")
    canvas = page.locator(".matrix canvas")
    canvas.wait_for()
    canvas.focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        canvas.press(key)
    page.wait_for_url(re.compile("prediction="))
    page.wait_for_selector("h3")
    settled(page)
    page.go_back()
    page.wait_for_url(lambda url: "prediction=" not in url)
    settled(page)
    assert page.locator("h1").inner_text() == "Confusion"


def test_the_arrow_keys_move_between_tiles(page, analysed):
    visit(page, f"{analysed}/gallery?run=demo")
    tiles = page.locator("[class*=tiles] .grid .tile")
    tiles.nth(3).wait_for()
    gallery = page.locator(".tiles").last.locator(".tile")
    gallery.first.focus()
    page.keyboard.press("ArrowRight")
    focused = page.evaluate(
        "() => { let inner = document.activeElement;"
        " while (inner.shadowRoot) inner = inner.shadowRoot.activeElement; return inner.dataset.id }"
    )
    assert focused == gallery.nth(1).get_attribute("data-id")


def test_moving_the_epoch_changes_the_address(page, analysed):
    visit(page, f"{analysed}/gallery?run=demo&class=n00000003")
    page.get_by_test_id("stSidebar").get_by_role("button").filter(has_text="←").first.click()
    page.wait_for_url(re.compile("epoch=2"))
    settled(page)
    expect(page.get_by_text("epoch 2").first).to_be_visible()
    expect(page.locator(".tile").filter(has_text="goldfish").first).to_be_visible()


def test_the_patterns_play_over_the_epochs(page, analysed):
    visit(page, f"{analysed}/patterns?run=demo&epoch=1")
    wall = page.locator(".wall")
    wall.locator(".tile").nth(7).wait_for()
    assert wall.locator(".epoch").inner_text() == "epoch 1"
    wall.get_by_text("play").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('*')].some(e => e.shadowRoot && "
        "[...e.shadowRoot.querySelectorAll('.epoch')]"
        ".some(label => label.textContent === 'epoch 3'))"
    )


def test_an_invalid_link_is_reported_and_mended_with_one_click(page, analysed):
    visit(page, f"{analysed}/failures?run=demo&epoch=77")
    expect(page.get_by_text("epoch “77”")).to_be_visible()
    page.get_by_role("button", name="Remove invalid parameters").click()
    # Not "77" alone: the port may hold it.
    page.wait_for_url(lambda url: "epoch=77" not in url, wait_until="commit")
