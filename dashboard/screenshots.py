"""Screenshots of every page, taken in Chromium: for the README, and to check all pages after a change.

`python -m dashboard screenshots runs/quick -o docs/screenshots`. Needs the development requirements and a Chromium.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from dashboard.browser import go_to, open_chromium, serve_dashboard
from dashboard.shell.navigation import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HEIGHT_BY_WIDTH = {1440: 1000, 390: 844}  # CSS pixels: a laptop and a telephone
# Parameters that a page needs, besides the run, to have something to show.
PARAMETERS = {"live": "source=record"}
_STABLE_LIMIT = 20_000  # milliseconds
_LOAD_LIMIT = 60_000
_TALLEST = 6000  # pixels of a whole page: WebP ends at 16,383


def take_screenshots(run: Path, folder: Path, *, full: bool = False) -> list[Path]:
    """Every page of a run in light and dark, wide and narrow, as WebP files named page-theme-width.webp.

    Args:
        run: folder of the run.
        folder: where the images go; created if it is missing.
        full: the whole page instead of what a window shows.

    Raises:
        FileNotFoundError: no Chromium is installed.
        OSError: the folder cannot be written, or Chromium fails.
    """
    from playwright.sync_api import Error

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with open_chromium() as browser, serve_dashboard(run.parent) as server:
            return _all_pages(browser, server.url, run.name, folder, full=full)
    except Error as error:
        raise OSError(f"Chromium could not take the screenshots: {str(error).splitlines()[0]}") from error


def _all_pages(browser: Browser, url: str, run_name: str, folder: Path, *, full: bool) -> list[Path]:
    """Every page in both themes and widths; the paths of the images."""
    written = []
    for theme in ("light", "dark"):
        for width, height in HEIGHT_BY_WIDTH.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
            context.set_default_timeout(_LOAD_LIMIT)
            window = context.new_page()
            for page in PAGES:
                address = "" if page.name == "overview" else page.name
                extra = f"&{PARAMETERS[page.name]}" if page.name in PARAMETERS else ""
                go_to(window, f"{url}/{address}?run={quote(run_name)}{extra}")
                path = folder / f"{page.name}-{theme}-{width}.webp"
                _save(window, path, full=full)
                written.append(path)
            context.close()
    return written


def _save(window: Page, path: Path, *, full: bool) -> None:
    size = window.viewport_size
    assert size is not None  # set when the context was made
    screenshot = _stable_screenshot(window)
    if full:
        height = window.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        window.set_viewport_size({"width": size["width"], "height": min(_TALLEST, height + 16)})
        screenshot = _stable_screenshot(window)
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(path, "WEBP", quality=82, method=6)
    window.set_viewport_size(size)


def _stable_screenshot(window: Page) -> bytes:
    """The window once two screenshots agree: charts and components are drawn after the script has ended."""
    pause, previous = 1200, b""
    for _ in range(_STABLE_LIMIT // pause):
        window.wait_for_timeout(pause)
        screenshot = window.screenshot()
        if screenshot == previous:
            break
        previous = screenshot
    return screenshot
