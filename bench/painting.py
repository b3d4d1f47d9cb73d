"""From the click to the painted page, in a headless Chromium.

Painted means: the script has run, no element of the page before is left, every component, chart and image is drawn,
and then nothing changes for a quarter of a second. The time is that of the last frame that changed something, so the
quarter of a second is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, ViewportSize

from bench.sessions import HOME, TITLES
from dashboard.browser import go_to

_WATCH = Path(__file__).with_name("painting.js").read_text("utf-8")
QUIET, LIMIT = 250, 60_000  # milliseconds
SIZE: ViewportSize = {"width": 1440, "height": 1000}


class NotPainted(RuntimeError):
    """A page that was never complete; the message says what was missing."""


@dataclass(frozen=True)
class Painted:
    """Milliseconds from the click to the last changed frame, of a page reached by 'link' or 'epoch'."""

    page: str
    reached_by: str
    milliseconds: float


def first_page(browser: Browser, url: str) -> float:
    """Milliseconds from asking for the dashboard's address to its painted first page, with an empty cache."""
    with browser.new_page(viewport=SIZE) as page:
        page.goto(url, wait_until="commit")
        return _watch(page, HOME, None)


def click_links(browser: Browser, url: str, query: str, *, times: int) -> Iterator[Painted]:
    """Every page, reached from the page before it by its link in the sidebar, round and round.

    The first round is not returned: it fills the browser's and the server's caches.
    """
    with browser.new_page(viewport=SIZE) as page:
        page.set_default_timeout(LIMIT)
        go_to(page, f"{url}/?{query}")
        for round_ in range(times + 1):
            for name, title in TITLES.items():
                if round_ == 0 and name == HOME:
                    continue  # it is there already
                link = page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True)
                spent = _watch(page, name, link)
                if round_:
                    yield Painted(name, "link", spent)


def step_epochs(browser: Browser, url: str, query: str, *, epochs: tuple[int, ...], times: int) -> Iterator[Painted]:
    """On every page, the epoch stepped back and forth by the sidebar's buttons; the first two are not returned."""
    for name in TITLES:
        with browser.new_page(viewport=SIZE) as page:
            page.set_default_timeout(LIMIT)
            go_to(page, f"{url}/{'' if name == HOME else name}?{query}")
            for step in range(times + 2):
                back = step % 2 == 0
                button = page.get_by_test_id("stSidebar").get_by_role("button")
                button = button.filter(has_text="←" if back else "→").first
                spent = _watch(page, name, button, caption=f"epoch {epochs[-2 if back else -1]},")
                if step > 1:
                    yield Painted(name, "epoch", spent)


def _watch(page: Page, name: str, target: Locator | None, *, caption: str = "") -> float:
    """Click, and return the milliseconds until the page is painted.

    Raises:
        NotPainted: something was missing after a minute, or the page shows an error.
    """
    options = {"title": TITLES[name], "caption": caption, "loading": target is None, "quiet": QUIET, "limit": LIMIT}
    page.evaluate(f"options => {{ window.benchPainted = ({_WATCH})(options); }}", options)
    # The clock starts at the pointer event inside the page, so Playwright's own time is not counted.
    if target is not None:
        target.click()
    seen = page.evaluate("() => window.benchPainted")
    boxes = page.get_by_test_id("stException")
    if seen["missing"] or boxes.count():
        reasons = [f"missing: {part}" for part in seen["missing"]] + [box.inner_text()[:200] for box in boxes.all()]
        raise NotPainted(f"The page {TITLES[name]} at {page.url} was not painted; {'; '.join(reasons)}.")
    return float(seen["milliseconds"])
