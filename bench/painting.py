"""From the click to the painted page, in a headless Chromium.

Painted means: the script has run, no element of the page before is left, every component of the dashboard, chart and
image is drawn, and then nothing changes for a quarter of a second. The time is that of the last frame that changed
something, so the quarter of a second is not in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright

from bench.walk import HOME, TITLES

_WATCH = Path(__file__).with_name("painting.js").read_text("utf-8")
QUIET, LIMIT = 250, 60_000  # milliseconds
SIZE: ViewportSize = {"width": 1440, "height": 1000}


class NotPainted(RuntimeError):
    """A page that was never complete; the message says what was missing."""


@dataclass(frozen=True)
class Painted:
    """Milliseconds from the click to the last changed frame, of a page reached by `what`."""

    page: str
    what: str
    milliseconds: float


def chromium() -> str | None:
    """Path of an installed Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """Run the block with a headless Chromium."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=executable, args=options)
        yield opened
        opened.close()


def first_page(opened: Browser, url: str) -> float:
    """Milliseconds from asking for the dashboard's address to its painted first page, with an empty cache."""
    context = opened.new_context(viewport=SIZE)
    try:
        page = context.new_page()
        page.goto(url, wait_until="commit")
        return _watched(page, HOME, None)
    finally:
        context.close()


def clicks(opened: Browser, url: str, query: str, *, times: int) -> Iterator[Painted]:
    """Every page reached from the page before it by its link in the sidebar, round and round.

    The first round is not given: it fills the browser's and the server's caches.
    """
    with _window(opened, f"{url}/?{query}") as page:
        for round_ in range(times + 1):
            for name, title in TITLES.items():
                if round_ == 0 and name == HOME:
                    continue  # it is there already
                link = page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True)
                spent = _watched(page, name, link)
                if round_:
                    yield Painted(name, "link", spent)


def epoch_steps(opened: Browser, url: str, query: str, *, epochs: tuple[int, ...], times: int) -> Iterator[Painted]:
    """On every page, the epoch stepped back and forth by the buttons in the sidebar; the first two are not given."""
    for name in TITLES:
        with _window(opened, f"{url}/{'' if name == HOME else name}?{query}") as page:
            at = len(epochs) - 1
            for step in range(times + 2):
                back = step % 2 == 0
                at += -1 if back else 1
                button = page.get_by_test_id("stSidebar").get_by_role("button")
                button = button.filter(has_text="←" if back else "→").first
                spent = _watched(page, name, button, caption=f"epoch {epochs[at]},")
                if step > 1:
                    yield Painted(name, "epoch", spent)


@contextmanager
def _window(opened: Browser, address: str) -> Iterator[Page]:
    context = opened.new_context(viewport=SIZE)
    try:
        page = context.new_page()
        page.set_default_timeout(LIMIT)
        page.goto(address)
        page.wait_for_selector("h1")
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        yield page
    finally:
        context.close()


def _watched(page: Page, name: str, target: Locator | None, *, caption: str = "") -> float:
    options = {"title": TITLES[name], "caption": caption, "loading": target is None, "quiet": QUIET, "limit": LIMIT}
    page.evaluate(f"options => {{ window.benchPainted = ({_WATCH})(options); }}", options)
    if target is not None:
        target.click()
    seen = page.evaluate("() => window.benchPainted")
    boxes = page.get_by_test_id("stException")
    if seen["missing"] or boxes.count():
        wrong = [f"missing: {part}" for part in seen["missing"]] + [box.inner_text()[:200] for box in boxes.all()]
        raise NotPainted(f"The page {TITLES[name]} at {page.url} was not painted; {'; '.join(wrong)}.")
    return float(seen["milliseconds"])
