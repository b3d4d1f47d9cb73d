"""Images of every page, taken in Chromium: what the README shows and what is looked at after a change.

`python -m dashboard screenshots runs/quick -o docs/screenshots`. Needs the development requirements and a Chromium.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from dashboard.shell.navigation import available

WIDTHS = {1440: 1000, 390: 844}
# What a page needs beside the run to have something to show.
VIEWS = {"live": "source=record"}
_ROOT = Path(__file__).resolve().parents[1]


_STILL_WITHIN = 20  # seconds


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """The address of a dashboard over a folder of runs, on a free port of this machine, for as long as it is needed.

    Raises:
        TimeoutError: it does not prediction within a minute.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)],
        cwd=_ROOT,
        env={**os.environ, "CLASSPRINT_RUNS": str(runs.resolve())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _wait(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).read()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"The dashboard did not prediction at {address} within a minute.")


def take(run: Path, folder: Path, *, full: bool = False) -> list[Path]:
    """Every page of a run in light and dark, wide and narrow, as WebP files named page-theme-width.webp.

    Args:
        run: folder of the run.
        folder: where the images go; made if it is missing.
        full: the whole page instead of what a window shows.

    Raises:
        FileNotFoundError: no Chromium is installed.
        OSError: the folder cannot be written, or Chromium fails.
    """
    from playwright.sync_api import Error, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise FileNotFoundError("Screenshots need Chromium, and none is on the path. Install the package 'chromium'.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with served(run.parent) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
            written = _every_page(browser, address, run.name, folder, full=full)
            browser.close()
    except Error as err:
        raise OSError(f"Chromium could not take the images: {str(err).splitlines()[0]}") from err
    return written


def _every_page(browser: Any, address: str, name: str, folder: Path, *, full: bool) -> list[Path]:
    """Every page of run `name` in both themes and widths, taken; the paths of the images."""
    written = []
    for theme in ("light", "dark"):
        for width, height in WIDTHS.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
            window = context.new_page()
            for page in available():
                address_of = "" if page.name == "overview" else page.name
                view = f"&{VIEWS[page.name]}" if page.name in VIEWS else ""
                window.goto(f"{address}/{address_of}?run={quote(name)}{view}")
                path = folder / f"{page.name}-{theme}-{width}.webp"
                _save(window, path, full=full)
                written.append(path)
            context.close()
    return written


def _save(window: Any, path: Path, *, full: bool) -> None:
    size = window.viewport_size
    window.wait_for_selector("h1")
    window.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
    window.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=60_000)
    shot = _settled(window)
    if full:
        height = window.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        window.set_viewport_size({"width": size["width"], "height": min(6000, height + 16)})
        shot = _settled(window)
    Image.open(io.BytesIO(shot)).convert("RGB").save(path, "WEBP", quality=82, method=6)
    window.set_viewport_size(size)


def _settled(window: Any) -> bytes:
    """What the window shows once it stands still: charts and components are drawn after the script has ended."""
    before, shot = b"", b""
    deadline = time.monotonic() + _STILL_WITHIN
    while not shot or (shot != before and time.monotonic() < deadline):
        window.wait_for_timeout(1200)
        before, shot = shot, window.screenshot()
    return shot
