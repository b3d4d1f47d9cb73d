"""One bad run must not hurt the others: it is named with its reason and left out, on every page."""

import shutil
from pathlib import Path

import pytest

from dashboard import data
from dashboard.report import write_report
from dashboard.shell import navigation
from store import open_run
from store.analysis.analyse import analyse
from store.synthetic import write_synthetic_run
from tests.dashboard.app import PAGES, assert_no_errors, texts


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory):
    """A good run among bad ones; in 'broken-analysis' only the analysis is damaged."""
    folder = tmp_path_factory.mktemp("neighbours")
    good = write_synthetic_run(folder / "good", epochs=2, classes=3, variants=("clean", "gray"))
    analyse(open_run(good))
    for name in ("broken-analysis", "cut", "empty", "no-epochs"):
        shutil.copytree(good, folder / name)
    for name, file, length in (
        ("broken-analysis", "analysis.h5", 3000),
        ("cut", "run.h5", 900),
        ("empty", "run.h5", 0),
    ):
        path = folder / name / file
        path.write_bytes(path.read_bytes()[:length])
    shutil.rmtree(folder / "no-epochs" / "epochs")
    (folder / "stray.txt").write_text("a file")
    (folder / "nowhere").symlink_to(folder / "absent")
    (folder / "folder-for-file" / "run.h5").mkdir(parents=True)
    return folder


@pytest.fixture
def without_rights(neighbours, monkeypatch):
    """A folder of the neighbours that may not be looked into (tests run as root, who may)."""
    (neighbours / "locked").mkdir(exist_ok=True)
    is_file = Path.is_file

    def refusing(path, *args, **kwargs):
        if path.parent.name == "locked":
            raise PermissionError(13, "Permission denied")
        return is_file(path, *args, **kwargs)

    monkeypatch.setattr(Path, "is_file", refusing)
    return neighbours


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_the_good_run_opens(opened, without_rights, page):
    app = opened(without_rights, page, run="good")
    assert_no_errors(app)
    assert app.title[0].value == navigation.page_info(page).title


def test_overview_names_the_runs_that_it_leaves_out(opened, without_rights):
    app = opened(without_rights, run="good")
    left_out = "\n".join(warning.value for warning in app.warning)
    assert "locked** is left out" in left_out and "Permission denied" in left_out
    assert "cut** is left out" in left_out and "empty** is left out" in left_out and "good**" not in left_out


def test_compare_goes_on_without_a_run_that_cannot_be_read(opened, neighbours):
    app = opened(neighbours, "compare", **{"run": "good", "with": "cut", "third": "empty"})
    assert_no_errors(app)
    assert {"cut", "empty"} == {warning.value.split(" is left out")[0] for warning in app.warning}


def test_a_neighbour_that_fails_in_an_unforeseen_way_is_left_out_with_its_kind(opened, neighbours, monkeypatch):
    open_named_run = data.open_named_run

    def failing(name):
        if name == "no-epochs":
            raise RecursionError
        return open_named_run(name)

    monkeypatch.setattr(data, "open_named_run", failing)
    app = opened(neighbours, run="good")
    assert any("no-epochs" in warning.value and "RecursionError" in warning.value for warning in app.warning)


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_analysis_stops_no_page_and_is_said(opened, neighbours, page):
    app = opened(neighbours, page, run="broken-analysis")
    assert_no_errors(app)
    assert "The pages go on without the analysis" in texts(app)


def test_the_report_goes_on_without_a_damaged_analysis(neighbours, tmp_path):
    text = write_report(open_run(neighbours / "broken-analysis"), tmp_path / "report.html").read_text("utf-8")
    assert text.endswith("</html>") and "analysis.h5" in text
