"""What the tests in a real Chromium share: the browser, a dashboard over a folder of runs, when a page is complete."""

from __future__ import annotations

import re

import pytest

from dashboard.browser import chromium_path

TIMEOUT = 60_000  # milliseconds
IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no Chromium is installed"),
]


def settled(window):
    """Wait until the script has run; no exception box may be there."""
    window.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    assert window.locator("[data-testid=stException]").all_inner_texts() == []
    return window


def visit(window, url):
    """Open an address and wait until its page is complete."""
    window.goto(url)
    window.wait_for_selector("h1")
    return settled(window)


def arrived(window, address):
    """Wait until the address is of this form; a change of the address alone is no new document that could load."""
    window.wait_for_url(address, wait_until="commit")
    return settled(window)


# Under a deep link Streamlit's browser side looks for the server beside the page first, and then at the root: these two
# addresses, and no others, may be missing.
_LOOKED_FOR = re.compile(r"http://[^/]+/[^/]+/_stcore/(health|host-config)$")
# Vega's own notices: that it leaves a chart's height alone where rows decide it, and, where a chart is drawn a moment
# before its values arrive, that a scale has no ends yet.
_NOTICES = ('Dropping "fit-y" because spec has discrete height.', "WARN Infinite extent for field")


def listen(window):
    """A list that fills with what goes wrong in a window: errors and warnings of the console, failed requests."""
    complaints = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda message: _note(message, complaints))
    window.on("response", lambda prediction: _answered(prediction.status, prediction.url, complaints))
    window.on("requestfailed", lambda request: _failed(request, complaints))
    return complaints


def _note(message, complaints):
    missing = "Failed to load resource" in message.text  # told by `_answered`, with its status
    notice = any(text in message.text for text in _NOTICES)
    if message.type in ("error", "warning") and not missing and not notice:
        complaints.append(f"{message.type}: {message.text}")


def _answered(status, url, complaints):
    if status >= 400 and not (status == 404 and _LOOKED_FOR.match(url)):
        complaints.append(f"{status} {url}")


def _failed(request, complaints):
    if request.failure != "net::ERR_ABORTED":  # the page was left before it had everything
        complaints.append(f"{request.failure} {request.url}")
