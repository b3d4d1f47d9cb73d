"""A dashboard started for a test, a measurement or a screenshot, and the Chromium that looks at it.

Playwright belongs to the development requirements, so it is imported only when a browser is opened.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

APP = Path(__file__).with_name("app.py")
START_LIMIT = 120.0  # seconds: a cold start on two busy cores takes up to 30
_STOP_LIMIT = 15.0
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Server:
    """A running dashboard.

    Attributes:
        url: address of its first page, without a slash at the end.
        process_id: of the server.
        started: when it was started, on the clock of `time.perf_counter`.
        seconds_to_answer: from the start until it answered.
    """

    url: str
    process_id: int
    started: float
    seconds_to_answer: float


@contextmanager
def serve_dashboard(runs: Path | str, *, script: Path = APP) -> Iterator[Server]:
    """Run the block with a dashboard on a free port of this machine; it is stopped afterwards.

    Args:
        runs: the folder of runs, or folders and URLs as CLASSPRINT_RUNS has them.
        script: another Streamlit script to serve with the same settings.

    Raises:
        TimeoutError: the server stopped or did not answer in time; its output is quoted.
    """
    # The system picks a free port; tests and measurements may run side by side.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    environment = {**os.environ, "CLASSPRINT_RUNS": str(runs.absolute() if isinstance(runs, Path) else runs)}
    # Another script has no settings beside it; Streamlit also reads those in the working folder.
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=APP.parent, env=environment, stdout=log, stderr=log)
        try:
            if not _wait_for_answer(process, f"{url}/_stcore/health"):
                log.seek(0)
                raise TimeoutError(f"The dashboard did not answer within {START_LIMIT:.0f} s. Output:\n{log.read()}")
            yield Server(url, process.pid, started, time.perf_counter() - started)
        finally:
            _stop(process)


def _wait_for_answer(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.perf_counter() + START_LIMIT
    while process.poll() is None and time.perf_counter() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            time.sleep(0.02)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def chromium_path() -> str | None:
    """Path of an installed Chromium, or None."""
    return next((path for name in _CHROMIUM_NAMES if (path := shutil.which(name))), None)


@contextmanager
def open_chromium(*more: str) -> Iterator[Browser]:
    """Run the block with a headless Chromium, started with `more` options.

    Raises:
        FileNotFoundError: no Chromium is installed.
    """
    path = chromium_path()
    if path is None:
        raise FileNotFoundError("Chromium is needed, but none is on the PATH. Install the package 'chromium'.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's sandbox needs rights that a container lacks; only the dashboard of this machine is opened.
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", *more]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def go_to(window: Page, address: str) -> None:
    """Open a page of a dashboard and return when its script has run and no placeholder is left.

    Charts and components are drawn after that.
    """
    window.goto(address)
    window.wait_for_selector("h1")
    wait_for_script(window)


def wait_for_script(window: Page) -> None:
    """Return when the page's script has run and no placeholder is left."""
    window.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    window.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
