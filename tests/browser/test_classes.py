"""The class of the sidebar, the matrix of classes and epochs, downloads, and a phone, in Chromium."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.chromium import IN_CHROMIUM, TIMEOUT, arrived, visit

pytestmark = IN_CHROMIUM


def content(download):
    """A download's bytes."""
    return Path(download.value.path()).read_bytes()


def image(download):
    """A downloaded image's pixels."""
    return np.asarray(Image.open(io.BytesIO(content(download))).convert("RGB"))


def test_the_class_of_the_sidebar_follows_from_page_to_page(page, analysed):
    visit(page, f"{analysed}/gallery?run=demo")
    sidebar = page.get_by_test_id("stSidebar")
    choice = sidebar.get_by_label("Class", exact=True)
    choice.click()
    choice.fill("guacamole")
    page.get_by_role("option", name="guacamole").click()
    arrived(page, re.compile("class=n00000002"))
    for title in ("Learning", "Trust", "Patterns"):
        sidebar.get_by_role("link", name=title, exact=True).click()
        page.wait_for_selector(f"h1:has-text('{title}')")
        expect(page.get_by_text("class guacamole")).to_be_visible()
    expect(page.locator(".wall .tile.chosen[data-id=n00000002]")).to_be_visible()


def test_a_cell_of_the_class_matrix_chooses_its_class_and_epoch(page, analysed):
    visit(page, f"{analysed}/learning?run=demo&order=name")
    matrix = page.locator(".matrix canvas")
    matrix.focus()
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    arrived(page, re.compile("class=n"))
    assert "epoch=2" in page.url


def test_a_tile_that_stays_on_its_page_is_a_button_for_the_keyboard_too(page, analysed):
    visit(page, f"{analysed}/learning?run=demo")
    pattern = page.locator(".tile[role=button][data-id='1']")
    pattern.focus()
    page.keyboard.press("Enter")
    arrived(page, re.compile("epoch=1"))
    page.locator(".tile.chosen[role=button][data-id='1']").wait_for()
    page.locator(".tile[role=button][data-id='1']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    arrived(page, re.compile("epoch=2"))
    expect(page.locator(".tile.chosen[role=button][data-id='2']")).to_be_visible()


def test_the_patterns_play_slowly_with_reduced_motion(browser, analysed):
    context = browser.new_context(reduced_motion="reduce")
    window = context.new_page()
    visit(window, f"{analysed}/patterns?run=demo&epoch=1")
    window.locator(".wall .tile").first.wait_for()
    window.evaluate(
        "() => { window.pauses = []; const own = setInterval; "
        "window.setInterval = (act, pause) => { window.pauses.push(pause); return own(act, pause); }; }"
    )
    window.get_by_role("button", name="▶ play").click()
    assert 1000 in window.evaluate("() => window.pauses")
    context.close()


def test_a_gallery_is_downloaded_as_a_sheet_and_a_chart_in_three_forms(page, analysed):
    visit(page, f"{analysed}/patterns?run=demo")
    page.locator(".wall .tile").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG sheet").click()
    assert download.value.suggested_filename == "demo-epoch3-clean-patterns.png"
    assert image(download).shape[1] > 400
    page.get_by_role("button", name="Download", exact=True).click()
    for form, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b'\xef\xbb\xbf"first_index",')):
        with page.expect_download() as download:
            page.get_by_role("button", name=form, exact=True).click()
        assert content(download).startswith(begins)


def test_every_choice_can_be_seen_on_a_phone(browser, analysed):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_default_timeout(TIMEOUT)
    phone = context.new_page()
    visit(phone, f"{analysed}/confusion?run=demo")
    phone.locator("[data-testid=stHtml] style").first.wait_for(state="attached")
    choices = phone.locator("[data-testid=stMain] :is([data-testid=stSelectbox], [role=radio])")
    choices.nth(2).wait_for()
    for choice in choices.all():
        box = choice.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    context.close()
