"""Painting a pattern, removing cells from a prediction, following a finding, brushing a histogram, in Chromium."""

import re

from playwright.sync_api import expect

from tests.browser.chromium import IN_CHROMIUM, arrived, settled, visit

pytestmark = IN_CHROMIUM


def painted(window):
    """The painted text in the address; empty without one."""
    found = re.search(r"[?&]paint=([0-9a-f]+)", window.url)
    return found.group(1) if found else ""


def cell(window, row, column):
    """The middle of a cell of the painter, in pixels of the window."""
    box = window.locator(".painter canvas").bounding_box()
    return box["x"] + (column + 0.5) * box["width"] / 8, box["y"] + (row + 0.5) * box["height"] / 8


def test_a_painted_stroke_is_searched_for_and_stays_in_the_link(page, analysed):
    visit(page, f"{analysed}/search?run=demo&from=painted")
    page.get_by_text("The pattern is empty").wait_for()
    page.mouse.move(*cell(page, 1, 1))
    page.mouse.down()
    page.mouse.move(*cell(page, 1, 4), steps=8)
    page.mouse.up()
    arrived(page, re.compile("paint="))
    assert painted(page) == "0" * 9 + "ffff" + "0" * 51
    page.get_by_text("maps compared in").wait_for()
    link = page.url
    visit(page, f"{analysed}/")
    visit(page, link)
    page.get_by_text("maps compared in").wait_for()
    assert painted(page) == "0" * 9 + "ffff" + "0" * 51
    page.get_by_role("button", name="undo").wait_for()
    page.get_by_role("button", name="clear").click()
    arrived(page, re.compile(f"paint={'0' * 64}"))
    page.get_by_role("button", name="undo").click()
    arrived(page, re.compile("paint=0{9}f{4}"))


def test_a_pattern_can_be_painted_with_the_keyboard(page, analysed):
    visit(page, f"{analysed}/search?run=demo&from=painted")
    page.locator(".painter[data-painted]").wait_for()
    page.locator(".painter canvas").focus()
    for key in ("ArrowDown", "ArrowRight", "2"):
        page.keyboard.press(key)
    page.locator(".painter .picked[aria-label='brush: medium']").wait_for()
    page.keyboard.press("Space")
    arrived(page, re.compile("paint="))
    assert painted(page) == "0" * 9 + "8" + "0" * 54
    page.keyboard.press("Delete")
    arrived(page, re.compile(f"paint={'0' * 64}"))


def test_the_most_similar_image_of_a_search_opens_its_page(page, analysed):
    visit(page, f"{analysed}/search?run=demo&image=5&maps=true_class")
    first = page.locator(".tiles .tile[href*='image']").first
    first.wait_for()
    first.click()
    page.get_by_role("dialog").get_by_role("link", name="Everything about this image").click()
    arrived(page, re.compile("/image.*image=5"))
    expect(page.get_by_text(re.compile("image 5 of 0 to "))).to_be_visible()


def test_the_slider_removes_cells_without_the_server_and_writes_the_link(page, analysed):
    visit(page, f"{analysed}/image?run=demo&epoch=3")
    correction = page.locator(".correction")
    correction.get_by_text("S ").first.wait_for()
    before = correction.locator(".logit").first.inner_text()
    correction.get_by_role("button", name="none").click()
    arrived(page, re.compile("[?&]cells=0"))
    full = correction.locator(".logit").first.inner_text()
    assert full != before and "0 of 64" in correction.inner_text()
    slider = correction.locator(".slider > label > input")
    page.route("**/_stcore/**", lambda route: route.abort())
    slider.evaluate("node => { node.value = 3; node.dispatchEvent(new Event('input')); }")
    assert "3 of 64" in correction.inner_text() and correction.get_attribute("data-cells") == "3"
    slider.evaluate("node => node.dispatchEvent(new Event('change'))")
    arrived(page, re.compile("[?&]cells=3"))


def test_a_finding_leads_to_the_page_that_shows_it(page, analysed):
    visit(page, f"{analysed}/findings?run=demo")
    link = page.get_by_role("link", name=re.compile("See it on")).first
    title = link.inner_text().split("See it on")[1].strip()
    link.click()
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
    settled(page)


def test_brushing_the_histogram_filters_the_failures(page, analysed):
    visit(page, f"{analysed}/failures?run=demo&epoch=1&variant=brg")
    chart = page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first
    chart.wait_for()
    page.wait_for_timeout(800)
    box = chart.bounding_box()
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, height, steps=6)
    page.mouse.up()
    chosen = re.compile(r"confidence=(0\.\d+)-(0\.\d+)")
    arrived(page, chosen)
    low, high = map(float, chosen.search(page.url).groups())
    page.locator(".tile").first.wait_for()
    shown = [float(re.search(r"P\s([01]\.\d+)", text)[1]) for text in page.locator(".tile").all_inner_texts()]
    assert low - 0.005 <= min(shown) and max(shown) <= high + 0.005  # as rounded in the captions
