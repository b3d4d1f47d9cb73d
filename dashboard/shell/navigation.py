"""The pages: where each lives, what it is called and the question that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import streamlit as st

from dashboard.shell import url_state


@dataclass(frozen=True)
class PageInfo:
    """A page of the dashboard; `name` is its folder in `views` and its address."""

    name: str
    title: str
    icon: str
    question: str
    needs_maps: bool = False


# The README's table of pages shows these questions; a test compares the two.
PAGES: tuple[PageInfo, ...] = (
    PageInfo("overview", "Overview", "dashboard", "How good is this run?"),
    PageInfo("findings", "Findings", "lightbulb", "What stands out in this run, and how certain is it?"),
    PageInfo("patterns", "Patterns", "grid_view", "Which pattern belongs to which class, and when did it form?", True),
    PageInfo("image", "Image", "image", "Why did the network predict this class for this image?"),
    PageInfo("gallery", "Gallery", "photo_library", "Do the images of a class share a pattern?"),
    PageInfo("search", "Search", "pattern", "Which images have a map like this pattern?", True),
    PageInfo("map", "Map", "scatter_plot", "Which images have similar maps, and which do not fit in?", True),
    PageInfo("compare", "Compare", "compare", "What changed between two epochs, variants, classes or runs?"),
    PageInfo("failures", "Failures", "error", "Which predictions are wrong, and what do they have in common?"),
    PageInfo("confusion", "Confusion", "blur_on", "Which classes are predicted as which?"),
    PageInfo("robustness", "Robustness", "waves", "How does each perturbation change predictions and maps?"),
    PageInfo("learning", "Learning", "timeline", "When was each class learned, and when did its pattern become final?"),
    PageInfo("training_set", "Training set", "inventory_2", "Which training labels may be wrong, and which are hard?"),
    PageInfo("trust", "Trust", "verified", "Does the confidence, or the map, detect wrong predictions?"),
    PageInfo("human", "Human test", "psychology_alt", "Do people recognise the images that the network mistakes?"),
    PageInfo("live", "Live", "photo_camera", "What does the network predict for your own image?"),
    PageInfo("about", "About", "info", "Where do these numbers come from, and how are they defined?"),
)
_BY_NAME = {page.name: page for page in PAGES}


def streamlit_pages() -> dict[str, st.Page]:
    """The pages by name as Streamlit's objects; the home page is the default one, served at the root."""
    return {page.name: _streamlit_page(page, "home" if page.name == url_state.HOME else page.name) for page in PAGES}


def _streamlit_page(page: PageInfo, address: str) -> st.Page:
    return st.Page(
        f"views/{page.name}/page.py",
        title=page.title,
        icon=f":material/{page.icon}:",
        url_path=address,
        default=address == "home",
        help=page.question,
    )


def hidden_pages(registered: Mapping[str, st.Page]) -> dict[str, st.Page]:
    """Pages that are served without a link in the sidebar: the home page under its own name, and a mistyped address.

    For an unknown address Streamlit draws a box over its default page; a page of that name explains more.
    """
    hidden = {url_state.HOME: _streamlit_page(page_info(url_state.HOME), url_state.HOME)}
    address = requested_page()
    if address and address not in registered:
        # The frame draws the explanation in its place.
        hidden[address] = st.Page(lambda: None, title="Page not found", url_path=address)
    return hidden


def requested_page() -> str:
    """The page that the browser's address names, '' for the root."""
    # Streamlit serves its default page for an unknown address, so only the address itself says what was meant.
    path = unquote(urlsplit(st.context.url or "").path).strip("/")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return "" if path == base else path.rpartition("/")[2]


def page_info(name: str) -> PageInfo:
    """A page by its name; raises KeyError."""
    return _BY_NAME[name]


def is_page(name: str) -> bool:
    """Whether there is a page of this name."""
    return name in _BY_NAME
