"""The static report: one file, nothing fetched, nothing unescaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from dashboard.__main__ import main
from store import ClassInfo, open_run
from store.synthetic import write_synthetic_run


class _Reader(HTMLParser):
    """Collects tags, what is fetched, and the words."""

    def __init__(self):
        super().__init__()
        self.fetched, self.tags, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href") and value]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(tiny_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", str(tiny_run), "-o", str(path)]) == 0
    reader = _Reader()
    reader.feed(path.read_text("utf-8"))
    return reader


def test_the_report_fetches_nothing_and_runs_nothing(report):
    assert report.fetched and all(value.startswith("data:image/png;base64,") for value in report.fetched)
    assert "script" not in report.tags and "iframe" not in report.tags


def test_the_report_shows_the_essential_views(report):
    told = " ".join(report.words)
    for heading in ("Loss and accuracy", "The alphabet", "The most confident mistakes", "Who is taken for whom"):
        assert heading in told
    assert "school bus" in told and report.tags.count("svg") >= 5


def test_the_report_can_be_made_of_an_older_epoch(tiny_run, tmp_path):
    assert main(["report", str(tiny_run), "-o", str(tmp_path / "r.html"), "--epoch", "1"]) == 0
    assert re.search(r"epoch 1 of 3 recorded", (tmp_path / "r.html").read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "told"), [(["nowhere"], "nowhere"), (["TINY", "--epoch", "9"], "9")], ids=["no run", "no such epoch"]
)
def test_what_cannot_be_reported_is_told_and_nothing_is_written(tiny_run, tmp_path, capsys, arguments, told):
    arguments = [str(tiny_run) if word == "TINY" else word for word in arguments]
    assert main(["report", *arguments, "-o", str(tmp_path / "r.html")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_names_from_the_data_are_escaped(tmp_path):
    classes = tuple(ClassInfo(f"n{number}", f"<b>class {number}</b>", "<i>group</i>") for number in range(4))
    write_synthetic_run(
        tmp_path / "odd", epochs=1, classes=4, **{"layers": {}, "stages": {}, "masks": None, "boxes": None}
    )
    run = open_run(tmp_path / "odd")
    run.classes["name"] = [entry.name for entry in classes]
    run.classes["group"] = [entry.group for entry in classes]
    from dashboard.report import write_report

    text = write_report(run, tmp_path / "r.html").read_text("utf-8")
    assert "<b>class" not in text and "&lt;b&gt;class" in text
