"""Images in sight without scrolling, and how long three journeys take from the click until images are in sight.

A tile counts as in sight when its image and its maps are painted inside the window. The time runs from the pointer's
event inside the page to the frame that shows the images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Locator, Page, ViewportSize

from bench.document import table
from bench.sessions import HOME, TITLES
from dashboard.browser import Server, go_to, wait_for_script
from store import Run, queries

_WATCH = Path(__file__).with_name("sight.js").read_text("utf-8")
WINDOWS: Sequence[ViewportSize] = ({"width": 1440, "height": 900}, {"width": 1920, "height": 1080})
LIMIT, QUIET = 60_000, 500  # milliseconds
MAIN, PANEL = "[data-testid=stMain]", "[data-testid=stDialog]"
LEAST = 8  # images that are to be in sight
# Tiles with a photograph and a map, whole within the window.
_COUNT = """() => [...document.querySelectorAll("[data-testid=stMain] [data-testid^=stBidiComponent]")]
  .flatMap((host) => [...(host.shadowRoot || host).querySelectorAll(".tile .parts")])
  .filter((parts) => {
    const box = parts.getBoundingClientRect();
    return parts.children.length > 1 && !!parts.querySelector(".part:not(.map)")
      && box.width > 0 && box.top >= 0 && box.bottom <= window.innerHeight;
  }).length"""
_PAINTED = """() => [...document.querySelectorAll("[data-testid^=stBidiComponent]")]
  .every((host) => [...(host.shadowRoot || host).querySelectorAll("*")].some((node) => node.dataset?.painted))"""
_HEIGHT = "() => document.querySelector('[data-testid=stMain]').scrollHeight / window.innerHeight"


def sight_table(browser: Browser, server: Server, run: Run) -> str:
    """Images with their maps in sight on each page, and the page's length in windows, at both sizes."""
    cells: dict[str, list[str]] = {name: [] for name in TITLES}
    for window in WINDOWS:
        with browser.new_page(viewport=window) as page:
            page.set_default_timeout(LIMIT)
            for name in TITLES:
                _visit(page, f"{server.url}/{'' if name == HOME else name}?run={run.path.name}")
                cells[name] += [str(page.evaluate(_COUNT)), f"{page.evaluate(_HEIGHT):.1f}"]
    sizes = [f"{window['width']} x {window['height']}" for window in WINDOWS]
    headings = ("images in sight without scrolling", sizes[0], "windows long", sizes[1], "windows long")
    return table(headings, [(TITLES[name], *values) for name, values in cells.items()])


def journey_table(browser: Browser, server: Server, run: Run, *, times: int) -> str:
    """Median and slowest milliseconds of the three journeys, after one that is not counted."""
    sure = len(queries.failures(run, epoch=run.epochs[-1], where=queries.FailureFilter(confidence=(0.8, 1))))
    confident = partial(_confident, tiles=min(LEAST, sure))
    journeys: tuple[tuple[str, int, Callable[[Page, str, int], float]], ...] = (
        ("wrong with a confidence of 0.8 and more, from the Overview", 500, confident),
        ("quick look at an image", 200, _look),
        ("next image in the quick look", 200, _next),
        ("a cell of the confusion matrix", 300, _cell),
    )
    rows = []
    for name, target, journey in journeys:
        with browser.new_page(viewport=WINDOWS[0]) as page:
            page.set_default_timeout(LIMIT)
            spent = [journey(page, f"{server.url}/%s?run={run.path.name}", number) for number in range(times + 1)][1:]
        over = " **over**" if np.median(spent) > target else ""
        rows.append((name, f"{np.median(spent):.0f}{over}", f"{max(spent):.0f}", str(target)))
    return table((f"click until in sight, ms (median of {times})", "median", "slowest", "target"), rows)


def _visit(page: Page, address: str) -> None:
    go_to(page, address)
    _wait(page)


def _wait(page: Page) -> None:
    wait_for_script(page)
    page.wait_for_function(_PAINTED)
    page.wait_for_timeout(QUIET)


def _timed(page: Page, act: Callable[[], Any], *, scope: str, tiles: int, heading: str = "") -> float:
    """Act, and return the milliseconds until so many tiles are in sight under a heading."""
    options = {"scope": scope, "heading": heading, "tiles": tiles, "limit": LIMIT}
    page.evaluate(f"options => {{ window.benchSight = ({_WATCH})(options); }}", options)
    act()
    spent = page.evaluate("() => window.benchSight")
    if spent is None:
        raise RuntimeError(f"{page.url}: {tiles} tiles under {heading!r} did not come in sight within a minute.")
    _wait(page)
    return float(spent)


def _confident(page: Page, address: str, number: int, *, tiles: int) -> float:
    _visit(page, address % "")
    link = page.get_by_test_id("stSidebar").get_by_role("link", name="Confident mistakes")
    return _timed(page, link.click, scope=MAIN, tiles=tiles, heading="Failures")


def _tile(page: Page, number: int) -> Locator:
    return page.get_by_test_id("stMain").locator("a.tile").nth(number)


def _look(page: Page, address: str, number: int) -> float:
    if not number:
        _visit(page, address % "failures")
    # The image, its five strongest classes and something of the epochs and variants.
    spent = _timed(page, _tile(page, number).click, scope=PANEL, tiles=7)
    page.keyboard.press("Escape")
    page.wait_for_selector(PANEL, state="hidden")
    _wait(page)
    return spent


def _next(page: Page, address: str, number: int) -> float:
    if not number:
        _visit(page, address % "failures")
        _tile(page, 0).click()
        page.locator(PANEL).locator(".tile").nth(6).wait_for()
        _wait(page)
    return _timed(page, lambda: page.keyboard.press("ArrowRight"), scope=PANEL, tiles=7, heading=f"{number + 2} of ")


def _cell(page: Page, address: str, number: int) -> float:
    if not number:
        _visit(page, address % "confusion")
    canvas = page.locator("canvas[role=img]").first
    canvas.focus()
    # By keyboard to the next mistake of the row: a cell of a large matrix is smaller than a pointer.
    before = page.url
    for _ in range(400):
        canvas.press("ArrowRight" if number % 2 else "ArrowDown")
        spoken = page.locator(".spoken").first.inner_text()
        if not spoken.startswith("0 "):
            break
    spent = _timed(page, lambda: canvas.press("Enter"), scope=MAIN, tiles=1, heading=_cell_title(spoken))
    assert page.url != before
    return spent


def _cell_title(spoken: str) -> str:
    """The heading of the images of a cell, from what the matrix says about it."""
    true_class, _, prediction = spoken.partition("true class ")[2].partition(" · predicted as ")
    return true_class if true_class == prediction else f"{true_class} predicted as {prediction}"
