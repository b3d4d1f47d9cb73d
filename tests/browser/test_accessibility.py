"""Pages for everybody: axe finds nothing serious, they fit a phone and a zoom of 200 %, and Tab reaches what they show.

axe-core 4.14.1 (Mozilla Public License 2.0) is `axe.min.js` of its npm package, unchanged.
"""

from contextlib import contextmanager
from pathlib import Path

import pytest

from dashboard.browser import go_to
from dashboard.shell import navigation
from tests.browser.chromium import IN_CHROMIUM, TIMEOUT, settled

pytestmark = IN_CHROMIUM

AXE = Path(__file__).with_name("axe-core-4.14.1.min.js").read_text("utf-8")
RUN_AXE = """async () => {
  const options = { resultTypes: ["violations"], preload: false };
  const { violations } = await axe.run(document, options);
  return violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html.slice(0, 150)}`))
    // The box that Streamlit puts around a table in Markdown: on a phone it scrolls, and Tab does not reach it.
    .filter((text) => text !== 'scrollable-region-focusable: <div style="overflow-x: auto">');
}"""
# By how many pixels a page is wider than its place (tables, code and the row of a matrix scroll by themselves), and its
# menu outside the window.
TOO_WIDE = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  const menu = document.querySelector("[data-testid=stMainMenu]").getBoundingClientRect();
  return Math.max(main.scrollWidth - main.clientWidth, menu.right - innerWidth);
}"""

MOVING = "() => document.getAnimations().filter((each) => each.playState === 'running').map((each) => String(each.id))"
FOCUSED = """() => {
  let inner = document.activeElement;
  while (inner.shadowRoot?.activeElement) inner = inner.shadowRoot.activeElement;
  return inner.getAttribute("aria-label") || inner.title || inner.textContent.trim().slice(0, 60) || inner.tagName;
}"""


WINDOWS = {  # width, height, pixels of the screen to a CSS pixel, theme: a zoom makes pixels fewer and larger
    "laptop": (1440, 1000, 1, "light"),
    "phone": (390, 844, 3, "dark"),
    "zoom of 200 %": (720, 500, 2, "light"),
}


@contextmanager
def open_window(browser, name):
    """A window of one kind, which asks for less motion."""
    width, height, scale, theme = WINDOWS[name]
    options = {"viewport": {"width": width, "height": height}, "device_scale_factor": scale, "color_scheme": theme}
    with browser.new_context(**options, reduced_motion="reduce") as context:
        context.set_default_timeout(TIMEOUT)
        yield context.new_page()


@pytest.fixture(scope="module", params=["laptop", "phone"])
def window(request, browser):
    """One window for all pages, so that Chromium loads its scripts once."""
    with open_window(browser, request.param) as opened:
        yield opened


def show(window, address, page):
    """Open a page, complete with its charts."""
    go_to(
        window, f"{address}/{'' if page == 'overview' else page}?run=demo{'&source=record' if page == 'live' else ''}"
    )
    settled(window)
    window.wait_for_timeout(300)  # charts and components are drawn after the script has ended


def problems(window):
    """What axe finds, what is wider than the window, and what moves."""
    window.evaluate(AXE)
    wide = window.evaluate(TOO_WIDE)
    return [*window.evaluate(RUN_AXE), *([f"{wide} pixels too wide"] if wide > 0 else []), *window.evaluate(MOVING)]


@pytest.mark.parametrize("page", [page.name for page in navigation.PAGES])
def test_a_page_is_for_everybody(window, analysed, page):
    show(window, analysed, page)
    assert problems(window) == []


@pytest.mark.parametrize("page", ["image", "failures", "confusion"])
def test_a_page_of_images_can_be_zoomed(browser, analysed, page):
    with open_window(browser, "zoom of 200 %") as window:
        show(window, analysed, page)
        assert problems(window) == []
        # Nothing lies over anything else: the logo over the title, or the first tile over the column beside it.
        logo, title = (
            window.locator(f"{name}:visible").first.bounding_box()
            for name in ("[data-testid^=stLogo], [data-testid=stHeaderLogo]", "h1")
        )
        assert logo["y"] + logo["height"] <= title["y"]
        column = window.locator("[data-testid=stColumn]").filter(has=window.locator(".tiles")).first
        tile, column = column.locator(".tiles .tile").first.bounding_box(), column.bounding_box()
        assert tile["x"] + tile["width"] <= column["x"] + column["width"] + 1


def test_tab_reaches_the_pages_the_selection_and_the_images(browser, analysed):
    with open_window(browser, "laptop") as window:
        show(window, analysed, "gallery")
        reached = []
        while len(reached) < 80 and not any("P 0." in name for name in reached):
            window.keyboard.press("Tab")
            reached.append(window.evaluate(FOCUSED))
    names = "\n".join(reached)
    assert reached[0] == "Skip to main content"
    assert all(page.title in names for page in navigation.PAGES)
    assert all(f"\n{control}\n" in names for control in ("Run", "Epoch", "Variant", "Class", "Sort"))
    assert "P 0." in reached[-1]  # the first tile; arrow keys go on from there
