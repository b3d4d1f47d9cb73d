"""Pages for everybody: axe finds nothing serious in either theme, and they fit a phone and a zoom of 200 %.

axe-core 4.14.1 (Mozilla Public License 2.0) is `axe.min.js` of its npm package, unchanged.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.shell import navigation
from tests.browser.chromium import IN_CHROMIUM, TIMEOUT, settled

pytestmark = IN_CHROMIUM

AXE = Path(__file__).with_name("axe-core-4.14.1.min.js").read_text("utf-8")
RUN_AXE = """async () => {
  const options = { resultTypes: ["violations"], preload: false };
  const { violations } = await axe.run(document, options);
  return violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html.slice(0, 150)}`));
}"""
# Everything that is wider than its place, other than what scrolls by itself (tables, code, the row of a matrix).
TOO_WIDE = "() => { const main = document.querySelector('[data-testid=stMain]'); return main.scrollWidth - main.clientWidth }"


@pytest.fixture(scope="module", params=["light", "dark"])
def window(request, browser):
    """A window in one theme, for all pages."""
    with browser.new_context(viewport={"width": 1440, "height": 1000}, color_scheme=request.param) as context:
        context.set_default_timeout(TIMEOUT)
        yield context.new_page()


@pytest.fixture(scope="module", params=[(390, 844, 1), (720, 500, 2)], ids=["phone", "zoom of 200 %"])
def small_window(request, browser):
    """A telephone's window, and a laptop's whose pages are zoomed: fewer and larger CSS pixels. It wants less motion."""
    width, height, scale = request.param
    options = {"viewport": {"width": width, "height": height}, "device_scale_factor": scale}
    with browser.new_context(**options, reduced_motion="reduce") as context:
        context.set_default_timeout(TIMEOUT)
        yield context.new_page()


def show(window, address, page):
    """Open a page, complete with its charts."""
    window.goto(f"{address}/{'' if page == 'overview' else page}?run=demo{'&source=record' if page == 'live' else ''}")
    window.wait_for_selector("h1")
    settled(window)
    window.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    window.wait_for_timeout(300)  # charts and components are drawn after the script has ended


@pytest.mark.parametrize("page", [page.name for page in navigation.PAGES])
def test_axe_finds_nothing_serious(window, analysed, page):
    show(window, analysed, page)
    window.evaluate(AXE)
    assert window.evaluate(RUN_AXE) == []


@pytest.mark.parametrize("page", [page.name for page in navigation.PAGES])
def test_a_page_fits_a_narrow_window_and_nothing_moves_without_need(small_window, analysed, page):
    show(small_window, analysed, page)
    assert small_window.evaluate(TOO_WIDE) <= 1
    assert small_window.evaluate("() => document.querySelectorAll('.tiles, .wall, .matrix').length") >= 0
