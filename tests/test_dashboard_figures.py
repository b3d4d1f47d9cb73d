"""Every link of docs/figures.md opens a view of its own, without a complaint."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import pages

TEXT = (Path(__file__).parents[1] / "docs" / "figures.md").read_text("utf-8")
LINKS = sorted(set(re.findall(r"\((http://127\.0\.0\.1:8501/[^)]*)\)", TEXT)))


@pytest.mark.parametrize("link", LINKS)
def test_a_figure_opens(link, tiny_run, monkeypatch):
    monkeypatch.setenv("CLASSPRINT_RUNS", str(tiny_run.parent))
    parts = urlsplit(link)
    app = AppTest.from_file(str(Path(pages.__file__).with_name("app.py")), default_timeout=60).run()
    name = parts.path.strip("/") or "overview"
    app.switch_page(f"views/{name}.py")
    for parameter, values in parse_qs(parts.query).items():
        app.query_params[parameter] = values[0]
    app.run()
    assert not app.exception and not app.error
    assert not app.warning, app.warning[0].value
    assert app.title[0].value == pages.info(name).title


def test_every_figure_and_table_of_the_paper_has_a_link():
    named = " ".join(re.findall(r"^\| ([^|]*)\|", TEXT, re.M))
    for what in (
        "Table 1",
        "Fig. 1 ",
        "Fig. 2",
        "Fig. 3 to 5",
        "Fig. 6",
        "Fig. 7",
        "Fig. 8",
        "Fig. 9",
        "Fig. 10",
        "Fig. 11",
        "Fig. 12",
    ):
        assert what in named
