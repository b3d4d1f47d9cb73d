"""What the tests in a real Chromium share: when they run, when a page is complete, what went wrong in a window."""

import re

import pytest
from playwright.sync_api import expect

from dashboard.browser import chromium_path
from dashboard.shell import navigation

TIMEOUT = 60_000  # milliseconds
expect.set_options(timeout=TIMEOUT)
IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium_path() is None, reason="no Chromium is installed"),
]


# Boxes of an exception on the server, of one in the browser (`ErrorElement` in Streamlit's source), and of `st.error`.
ERROR_BOXES = "[data-testid=stException], [data-testid^=stErrorElement], [data-testid=stAlertContentError]"


def settled(window, boxes="[data-testid=stException], [data-testid^=stErrorElement]"):
    """Wait until the script has run; no box of an exception may be there."""
    window.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    assert window.locator(boxes).all_inner_texts() == []
    return window


def visit(window, url):
    """Open an address and wait until its page is complete."""
    window.goto(url)
    window.wait_for_selector("h1")
    return settled(window)


def follow(window, name):
    """Open a page by its link in the sidebar, as readers do: the browser keeps what it has loaded."""
    title = navigation.page_info(name).title
    window.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True).click()
    window.wait_for_selector(f"h1:has-text('{title}')")
    return settled(window)


def arrived(window, address):
    """Wait until the address has this form; only the address changes, so there is no new document to wait for."""
    window.wait_for_url(address, wait_until="commit")
    return settled(window)


# At a deep link, Streamlit in the browser looks for the server beside the page first and at the root after that: these
# two addresses may be missing, and no others.
_LOOKED_FOR = re.compile(r"http://[^/]+/[^/]+/_stcore/(health|host-config)$")
# Vega's own notices: it keeps the height of a chart whose rows decide it, and a chart that is drawn a moment before its
# values arrive has a scale without limits.
_NOTICES = ('Dropping "fit-y" because spec has discrete height.', "WARN Infinite extent for field")


def listen(window):
    """A list that collects what goes wrong in a window: errors and warnings of the console, failed requests."""
    complaints = []
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.on("console", lambda message: _note_message(message, complaints))
    window.on("response", lambda response: _note_status(response.status, response.url, complaints))
    window.on("requestfailed", lambda request: _note_failure(request, complaints))
    return complaints


def _note_message(message, complaints):
    missing = "Failed to load resource" in message.text  # `_note_status` reports it
    notice = any(text in message.text for text in _NOTICES)
    if message.type in ("error", "warning") and not missing and not notice:
        complaints.append(f"{message.type}: {message.text}")


def _note_status(status, url, complaints):
    if status >= 400 and not (status == 404 and _LOOKED_FOR.match(url)):
        complaints.append(f"{status} {url}")


def _note_failure(request, complaints):
    if request.failure != "net::ERR_ABORTED":  # the page was left before it had everything
        complaints.append(f"{request.failure} {request.url}")
