"""The pages: where each lives, what it is called and the question it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard import state


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
    PageInfo("alphabet", "Alphabet", "grid_view", "Which pattern stands for which class?", "Look"),
    PageInfo("picture", "Picture", "image", "Why this answer to this picture?", "Look"),
    PageInfo("gallery", "Gallery", "photo_library", "Do the pictures of a class share a pattern?", "Look"),
    PageInfo("compare", "Compare", "compare", "What differs between two states?", "Look"),
    PageInfo("failures", "Failures", "error", "What do the wrong answers have in common?", "Ask"),
    PageInfo("confusion", "Confusion", "blur_on", "Which class is taken for which?", "Ask"),
    PageInfo("robustness", "Robustness", "waves", "Which classes live on colour, which on shape?", "Ask"),
    PageInfo("learning", "Learning", "timeline", "When did each class's pattern form?", "Ask"),
    PageInfo("trust", "Trust", "verified", "Can the pattern tell a right answer from a wrong one?", "Ask"),
    PageInfo("live", "Live", "photo_camera", "What does the network say to your picture?", "More"),
    PageInfo("about", "About", "info", "Where do these numbers come from?", "More"),
)

_VIEWS = Path(__file__).parent / "views"


def available() -> tuple[PageInfo, ...]:
    """The pages whose view is there."""
    return tuple(page for page in PAGES if (_VIEWS / f"{page.name}.py").is_file())


def streamlit_pages() -> dict[str, st.Page]:
    """The pages by name, as Streamlit wants them."""
    return {
        page.name: st.Page(
            f"views/{page.name}.py",
            title=page.title,
            icon=f":material/{page.icon}:",
            url_path=page.name,
            default=page.name == state.HOME,
            help=page.question,
        )
        for page in available()
    }


def info(name: str) -> PageInfo:
    """A page by its name."""
    return next(page for page in PAGES if page.name == name)
