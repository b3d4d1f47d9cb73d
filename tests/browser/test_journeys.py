"""What a reader does over several pages in a real Chromium: addresses, Back, the keyboard, and a run that grows.

Fails on any console error, page error or exception box.
"""

import re

import pytest
from playwright.sync_api import expect

from dashboard.browser import serve_dashboard
from store import resume_run
from store.synthetic import record_synthetic_epoch, write_synthetic_run
from tests.browser.chromium import IN_CHROMIUM, settled, visit

pytestmark = IN_CHROMIUM


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the run 'demo' of 4 epochs and the run 'growing', of which 1 of 3 epochs is recorded."""
    folder = tmp_path_factory.mktemp("journeys")
    write_synthetic_run(folder / "growing", epochs=1, planned_epochs=3)
    write_synthetic_run(folder / "demo", epochs=4, classes=6, images_per_class=8)
    return folder


@pytest.fixture(scope="module")
def address(runs):
    """A dashboard over the folder."""
    with serve_dashboard(runs) as server:
        yield server.url


def ready(window, url):
    """Open an address and wait for its tiles: then everything before them listens to the keyboard."""
    visit(window, url)
    window.locator(".tile").first.wait_for()


def shows(window, *, title, **parameters):
    """Wait until the window shows a page with these parameters in its address."""
    window.wait_for_selector(f"h1:has-text('{title}')")
    for name, value in parameters.items():
        window.wait_for_url(re.compile(rf"[?&]{name}={value}(&|$)"))
    return settled(window)


def test_the_first_page_opens_under_its_own_name_too(page, address):
    visit(page, f"{address}/overview?run=demo&epoch=2")
    assert page.locator("h1").inner_text() == "Overview"
    assert page.get_by_role("dialog").count() == 0
    page.get_by_text("epoch 2, variant clean").wait_for()


def test_a_mistyped_page_says_so_and_offers_the_nearest(page, address):
    visit(page, f"{address}/confusoin?run=demo&epoch=2")
    assert page.get_by_role("dialog").count() == 0
    expect(page.get_by_text("no page “confusoin”")).to_be_visible()
    page.get_by_role("link", name="Open Confusion").click()
    shows(page, title="Confusion", run="demo", epoch="2")


def test_the_keyboard_steps_through_epochs_and_back_undoes_each_step(page, address):
    ready(page, f"{address}/gallery?run=demo&epoch=4")
    for epoch in (3, 2):
        page.keyboard.press("Shift+ArrowLeft")
        shows(page, title="Gallery", epoch=epoch)
        expect(page.get_by_text(f"epoch {epoch}, variant clean")).to_be_visible()
    page.keyboard.press("Shift+ArrowRight")
    shows(page, title="Gallery", epoch=3)
    for epoch in (2, 3, 4):
        page.go_back()
        shows(page, title="Gallery", epoch=epoch)
        expect(page.get_by_text(f"epoch {epoch}, variant clean")).to_be_visible()


def test_the_keyboard_steps_through_images(page, address):
    ready(page, f"{address}/image?run=demo&image=7")
    page.keyboard.press("k")
    shows(page, title="Image", image=8)
    expect(page.get_by_text("image 8 of 0 to 47")).to_be_visible()
    page.keyboard.press("j")
    shows(page, title="Image", image=7)
    expect(page.get_by_text("image 7 of 0 to 47")).to_be_visible()


def test_back_retraces_the_steps_from_the_overview_to_an_image(page, address):
    visit(page, f"{address}/?run=demo&epoch=3")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Failures", exact=True).click()
    shows(page, title="Failures", epoch=3)
    image = page.locator(".tile").first.get_attribute("data-id")
    page.locator(".tile").first.click()
    shows(page, title="Failures", epoch=3, look=image)
    page.get_by_role("dialog").get_by_role("link", name="Everything about this image").click()
    shows(page, title="Image", epoch=3, image=image)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Trust", exact=True).click()
    shows(page, title="Trust", epoch=3, image=image)
    page.go_back()
    shows(page, title="Image", image=image)
    page.go_back()
    shows(page, title="Failures", look=image)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    page.wait_for_url(lambda url: "/failures" in url and "look=" not in url)
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.go_back()
    shows(page, title="Overview", epoch=3)


def test_the_quick_look_steps_through_the_grid_by_arrow_keys_and_changes_its_state(page, address):
    ready(page, f"{address}/failures?run=demo&epoch=3")
    images = [tile.get_attribute("data-id") for tile in page.locator(".tile").all()]
    page.locator(".tile").nth(1).click()
    shows(page, title="Failures", look=images[1])
    look = page.get_by_role("dialog")
    expect(look.locator(".tile").nth(8)).to_be_visible()  # the image, five classes, the epochs, the variants
    page.keyboard.press("ArrowRight")
    shows(page, title="Failures", look=images[2])
    expect(look.get_by_text(f"3 of {len(images)}")).to_be_visible()
    expect(look.get_by_text(f"image {images[2]} ·")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    shows(page, title="Failures", look=images[1])
    look.locator(".tile", has_text="gray").click()
    shows(page, title="Failures", look=f"{images[1]}.3.gray")
    expect(look.get_by_text("epoch 3, gray")).to_be_visible()
    page.keyboard.press("ArrowRight")
    shows(page, title="Failures", look=f"{images[2]}.3.gray")
    page.keyboard.press("Escape")
    expect(look).to_be_hidden()
    page.wait_for_url(lambda url: "look=" not in url)


def test_a_class_in_the_quick_look_leads_to_its_gallery(page, address):
    ready(page, f"{address}/failures?run=demo&epoch=3&look=7")
    tile = page.get_by_role("dialog").locator(".tile[href]").first
    identifier = tile.get_attribute("data-id")
    tile.click()
    shows(page, title="Gallery", **{"class": identifier})
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_copied_link_opens_the_same_view_in_a_fresh_window(page, address, browser):
    query = "run=demo&epoch=2&variant=bgr&scale=common&colours=cividis&pin=1.gray&class=n00000003"
    visit(page, f"{address}/gallery?{query}")
    page.locator(".tile").nth(5).wait_for()
    page.get_by_text("Pinned: epoch 1, gray").first.wait_for()
    shown = page.locator(".tile").all_inner_texts()
    other = browser.new_context().new_page()
    visit(other, page.url)
    other.locator(".tile").nth(5).wait_for()
    other.get_by_text("Pinned: epoch 1, gray").first.wait_for()
    other.get_by_text("epoch 2, variant [B,G,R]").wait_for()
    assert other.locator(".tile").all_inner_texts() == shown
    other.context.close()


def test_invalid_values_in_a_link_are_reported_and_the_rest_is_shown(page, address):
    visit(page, f"{address}/gallery?run=demo&epoch=2&variant=sepia&clas=3")
    expect(page.get_by_text("variant “sepia”")).to_be_visible()
    expect(page.get_by_text("“clas”")).to_be_visible()
    expect(page.get_by_text("epoch 2, variant clean")).to_be_visible()


def test_a_new_epoch_of_a_growing_run_appears_and_keeps_what_is_being_typed(page, address, runs):
    visit(page, f"{address}/image?run=growing&image=3")
    page.get_by_text("1 of 3 epochs recorded").wait_for()
    number = page.get_by_label("Image", exact=True)
    number.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("11")
    record_synthetic_epoch(resume_run(runs / "growing"), 2)
    page.get_by_text("2 of 3 epochs recorded").wait_for()
    page.get_by_text("epoch 2, variant clean").wait_for()
    settled(page)
    assert page.evaluate("document.activeElement.value") == "11"
    page.keyboard.press("Enter")
    shows(page, title="Image", image=11)


def test_looking_for_new_epochs_repeatedly_adds_nothing_to_the_page(page, address, runs):
    visit(page, f"{address}/gallery?run=growing&epoch=1")
    page.locator(".tile").first.wait_for()
    settled(page)  # the first tile is drawn long before the last
    before = page.evaluate("document.querySelectorAll('*').length")
    looks = page.evaluate(
        """() => new Promise((done) => {
          let looks = 0;
          const app = document.querySelector("[data-testid=stApp]");
          const watch = new MutationObserver(() => {
            if (app.dataset.testScriptState === "running" && ++looks === 3) { watch.disconnect(); done(looks); }
          });
          watch.observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
        })"""
    )
    settled(page)
    assert looks == 3
    assert page.get_by_test_id("stProgress").count() == 1
    assert page.evaluate("document.querySelectorAll('*').length") <= before + 5
