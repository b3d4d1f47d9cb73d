"""What the tests in a real Chromium share: the browser, a dashboard over a folder of runs, when a page is complete."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from dashboard import pages

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
ROOT = Path(pages.__file__).resolve().parents[1]
TIMEOUT = 60_000  # milliseconds


@contextmanager
def serving(runs):
    """The address of a dashboard over a folder of runs, for as long as the block lasts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "CLASSPRINT_RUNS": str(runs)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _wait_until_up(url):
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).read()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"The dashboard did not answer at {url} within a minute.")


@contextmanager
def chromium():
    """A headless Chromium, for as long as the block lasts."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        opened.close()


def settled(window):
    """Wait until the script has run; no exception box may be there."""
    window.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    assert window.locator("[data-testid=stException]").count() == 0
    return window


def visit(window, url):
    """Open an address and wait until its page is complete."""
    window.goto(url)
    window.wait_for_selector("h1")
    return settled(window)


def note(message, complaints):
    """Keep what the console complains of.

    Streamlit asks for its own health address under a deep link first and gets a 404 before it finds the right one;
    that message alone is let through.
    """
    own = "/_stcore/" in (message.location or {}).get("url", "")
    if message.type == "error" and not own:
        complaints.append(message.text)
