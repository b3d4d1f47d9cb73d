"""The example of docs/deploy.md in a real Chromium: through the proxy, by its name and below its path."""

import re
from concurrent.futures import ThreadPoolExecutor

from dashboard.browser import open_chromium
from tests.browser.chromium import IN_CHROMIUM, TIMEOUT, arrived, settled, visit
from tests.dashboard.deployment import BASE, HOST, deployed

pytestmark = IN_CHROMIUM


def test_pages_and_links_keep_name_and_path(tiny_run, tmp_path):
    with ThreadPoolExecutor(1) as pool:  # Playwright's own thread has the browser of the other tests
        pool.submit(_pages_and_links_keep_name_and_path, tiny_run, tmp_path).result()


def _pages_and_links_keep_name_and_path(tiny_run, tmp_path):
    with (
        deployed(tiny_run.parent, tmp_path) as (proxy, _),
        open_chromium(f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as browser,
    ):
        window = browser.new_context(http_credentials={"username": "anna", "password": "secret"}).new_page()
        window.set_default_timeout(TIMEOUT)
        root = f"http://{HOST}:{proxy}{BASE}"
        visit(window, root)
        assert window.locator("h1").inner_text() == "Overview"
        window.get_by_test_id("stSidebar").get_by_role("link", name="Gallery", exact=True).click()
        window.wait_for_selector("h1:has-text('Gallery')")
        assert window.url.startswith(f"{root}gallery")
        settled(window)
        window.locator(".tile[href]").first.click()
        window.get_by_role("dialog").get_by_role("link", name="Everything about this image").click()
        arrived(window, re.compile(rf"{re.escape(root)}image\?"))
        visit(window, f"{root}confusion?run=tiny")
        assert window.locator("h1").inner_text() == "Confusion"
        visit(window, f"{root}confusoin")
        assert window.locator("h1").inner_text() == "Page not found"
