"""Every link of docs/figures.md opens the view that it names, without a complaint."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboard.shell import navigation
from tests.dashboard.app import open_page

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "figures.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
LINKS = sorted(set(re.findall(r"\((http://127\.0\.0\.1:8501/[^)]*)\)", TEXT)))
LINK = re.compile(r"\[([^\]]+)\]\((http[^)]*)\)")
ROWS = dict(re.findall(r"^\| ((?:Table|Fig\.) [^|]*?) \| [^|]* \| ([^\n]*) \|$", TEXT, re.M))


@pytest.mark.parametrize("link", LINKS)
def test_a_figure_opens(link, tiny_run, monkeypatch):
    parts = urlsplit(link)
    name = parts.path.strip("/") or "overview"
    parameters = {parameter: values[0] for parameter, values in parse_qs(parts.query).items()}
    app = open_page(monkeypatch, tiny_run.parent, name, **parameters)
    assert not app.exception and not app.error
    assert not app.warning, app.warning[0].value
    assert app.title[0].value == navigation.page_info(name).title


def test_every_figure_and_table_of_the_paper_has_a_link():
    figures = ["Fig. 1", "Fig. 2", "Fig. 3 to 5", *(f"Fig. {number}" for number in range(6, 13))]
    assert list(ROWS) == ["Table 1", *figures]
    assert all(LINK.findall(cell) for cell in ROWS.values())


def test_a_link_is_called_by_the_page_or_state_that_it_opens():
    titles = {page.name: page.title for page in navigation.PAGES}
    named = {"3×3": "blur3", "5×5": "blur5", "B,G,R": "bgr", "B,R,G": "brg"}
    for label, link in (pair for cell in ROWS.values() for pair in LINK.findall(cell)):
        parts = urlsplit(link)
        title = titles[parts.path.strip("/") or "overview"]
        variant = parse_qs(parts.query).get("variant", [""])[0]
        words = {title, f"{title}, {variant}", variant.removeprefix("salt_pepper_")}
        assert label in words or named.get(label) == variant, label


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("image?image=0", "Over the epochs"),
        ("robustness?variant=bgr", r"Images under \[B,G,R\]"),
        ("robustness?variant=salt_pepper_0.005", r"Images under salt \& pepper 0.005"),
        ("gallery?predictions=correct", "brown bear"),
    ],
)
def test_the_view_holds_what_the_figure_shows(opened, tiny_run, link, said):
    parts = urlsplit(link)
    app = opened(tiny_run.parent, parts.path, **{name: values[0] for name, values in parse_qs(parts.query).items()})
    shown = [part.value for kind in ("subheader", "markdown", "caption") for part in getattr(app, kind)]
    shown += [str(box.options) for box in app.selectbox]
    assert any(said in text for text in shown), shown


def test_the_readme_asks_a_question_for_every_page():
    asked = re.findall(r"^\| ([A-Z][a-z ]+) \| [^|]*\? (?:\([^|]*\) )?\|$", README, re.M)
    assert asked == [page.title for page in navigation.PAGES]
