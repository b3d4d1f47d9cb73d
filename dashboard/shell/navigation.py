"""The pages: where each lives, what it is called and the question it predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import streamlit as st

from dashboard.shell import url_state


@dataclass(frozen=True)
class PageInfo:
    """A page of the dashboard; `name` is its file in `views` and its address."""

    name: str
    title: str
    icon: str
    question: str
    section: str


PAGES: tuple[PageInfo, ...] = (
    PageInfo("overview", "Overview", "dashboard", "What is this run, and how good is it?", ""),
    PageInfo("findings", "Findings", "lightbulb", "What stands out in this run, and how sure is it?", ""),
    PageInfo("patterns", "Patterns", "grid_view", "Which pattern stands for which class?", "Look"),
    PageInfo("image", "Image", "image", "Why this prediction to this image?", "Look"),
    PageInfo("gallery", "Gallery", "photo_library", "Do the images of a class share a pattern?", "Look"),
    PageInfo("search", "Search", "pattern", "Which images have a map like this?", "Look"),
    PageInfo("compare", "Compare", "compare", "What differs between two states?", "Look"),
    PageInfo("failures", "Failures", "error", "What do the wrong predictions have in common?", "Ask"),
    PageInfo("confusion", "Confusion", "blur_on", "Which class is predicted as which?", "Ask"),
    PageInfo("robustness", "Robustness", "waves", "Which classes live on colour, which on shape?", "Ask"),
    PageInfo("learning", "Learning", "timeline", "When did each class's pattern form?", "Ask"),
    PageInfo("trust", "Trust", "verified", "Can the pattern tell a correct prediction from a wrong one?", "Ask"),
    PageInfo("live", "Live", "photo_camera", "What does the network say to your image?", "More"),
    PageInfo("about", "About", "info", "Where do these numbers come from?", "More"),
)

_VIEWS = Path(__file__).parents[1] / "views"


@cache
def available() -> tuple[PageInfo, ...]:
    """The pages whose view is there."""
    return tuple(page for page in PAGES if (_VIEWS / page.name / "page.py").is_file())


def streamlit_pages() -> dict[str, st.Page]:
    """The pages by name, as Streamlit wants them; the home page is the default one, served at the root."""
    return {
        page.name: _streamlit_page(page, "home" if page.name == url_state.HOME else page.name) for page in available()
    }


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
    """What is served without a link in the sidebar: the home page under its own name, and whatever was mistyped.

    Streamlit predictions an address that it does not know with a box over its default page; a page of that name, which
    says what there is instead, is kinder.
    """
    hidden = {url_state.HOME: _streamlit_page(info(url_state.HOME), url_state.HOME)}
    asked = requested()
    if asked and asked not in registered:
        hidden[asked] = st.Page(_nothing, title="No such page", url_path=asked)
    return hidden


def requested() -> str:
    """The page that the browser's address names, '' for the root."""
    return unquote(urlsplit(st.context.url or "").path).strip("/").rpartition("/")[2]


def _nothing() -> None:
    """The frame draws what is said instead."""


def info(name: str) -> PageInfo:
    """A page by its name.

    Raises:
        KeyError: there is no such page.
    """
    found = next((page for page in PAGES if page.name == name), None)
    if found is None:
        raise KeyError(f"There is no page {name!r}; there are {', '.join(page.name for page in PAGES)}.")
    return found


def is_page(name: str) -> bool:
    """Whether there is a page of this name."""
    return any(page.name == name for page in PAGES)
