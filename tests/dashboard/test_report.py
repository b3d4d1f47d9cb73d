"""The report: one file, nothing fetched, nothing unescaped."""

import re
from html.parser import HTMLParser

import pytest

from dashboard.__main__ import main
from dashboard.report import write_report
from store import ClassInfo, open_run
from store.analysis.analyse import analyse
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
    reported = " ".join(report.words)
    for heading in ("Loss and accuracy", "Class patterns", "Most confident wrong predictions", "Confusion matrix"):
        assert heading in reported
    assert "school bus" in reported and report.tags.count("svg") >= 5


def test_the_report_can_be_made_of_an_older_epoch(tiny_run, tmp_path):
    assert main(["report", str(tiny_run), "-o", str(tmp_path / "r.html"), "--epoch", "1"]) == 0
    assert re.search(r"epoch 1 of 3 recorded", (tmp_path / "r.html").read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [(["nowhere"], "nowhere"), (["TINY", "--epoch", "9"], "9")],
    ids=["no run", "no such epoch"],
)
def test_a_report_that_cannot_be_made_says_why_and_writes_nothing(tiny_run, tmp_path, capsys, arguments, reported):
    arguments = [str(tiny_run) if word == "TINY" else word for word in arguments]
    assert main(["report", *arguments, "-o", str(tmp_path / "r.html")]) == 2
    assert reported in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    "place", ["nowhere/r.html", "", "file/r.html", "a\0b"], ids=["no folder", "a folder", "in a file", "no name"]
)
def test_a_report_that_cannot_be_written_says_why(tiny_run, tmp_path, capsys, place):
    (tmp_path / "file").write_text("mine")
    assert main(["report", str(tiny_run), "-o", str(tmp_path / place)]) == 2
    assert re.search(r"report cannot be written to '.*': .+\. Choose a file in a folder", capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_screenshots_without_a_folder_say_why(tiny_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    (tmp_path / "file").write_text("mine")
    assert main(["screenshots", str(tiny_run), "-o", str(tmp_path / "file")]) == 2
    assert re.search(r"file' cannot be used: File exists. Choose another one with -o", capsys.readouterr().err)


def test_a_full_disk_leaves_the_older_report_as_it_was(tiny_run, tmp_path, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    (tmp_path / "r.html").write_text("older")
    monkeypatch.setattr("os.fsync", full)
    assert main(["report", str(tiny_run), "-o", str(tmp_path / "r.html")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_a_report_follows_a_link_and_has_the_permissions_of_a_new_file(tiny_run, tmp_path):
    (tmp_path / "link.html").symlink_to("real.html")
    assert main(["report", str(tiny_run), "-o", str(tmp_path / "link.html")]) == 0
    (tmp_path / "new").touch()
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_findings_from_a_damaged_epoch_say_so(tmp_path):
    path = write_synthetic_run(tmp_path / "hurt", epochs=3, classes=4)
    analyse(open_run(path))
    assert "Derived from" not in write_report(open_run(path), tmp_path / "r.html").read_text("utf-8")
    content = (path / "epochs" / "0002.h5").read_bytes()
    (path / "epochs" / "0002.h5").write_bytes(content[:999])
    text = write_report(open_run(path), tmp_path / "r.html").read_text("utf-8")
    note = "Derived from epochs 1 to 3; epoch 2 can no longer be read. To update it, run the analysis again."
    assert text.count(note) == 2  # beside the findings and beside the failure-detection ranking


def test_names_from_the_data_are_escaped(tmp_path):
    classes = tuple(ClassInfo(f"n{number}", f"<b>class {number}</b>", "<i>group</i>") for number in range(4))
    write_synthetic_run(
        tmp_path / "odd", epochs=1, classes=4, **{"layers": {}, "stages": {}, "masks": None, "boxes": None}
    )
    run = open_run(tmp_path / "odd")
    run.classes["name"] = [entry.name for entry in classes]
    run.classes["group"] = [entry.group for entry in classes]
    text = write_report(run, tmp_path / "r.html").read_text("utf-8")
    assert "<b>class" not in text and "&lt;b&gt;class" in text
