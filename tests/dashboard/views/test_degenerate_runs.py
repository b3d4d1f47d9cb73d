"""Networks that went wrong: every page says so, and no page draws a conclusion from them."""

import re

import numpy as np
import pytest

from dashboard.report import write_report
from dashboard.shell.reading import HOW_TO_READ
from store import open_run, queries
from store.analysis.analyse import analyse
from tests.dashboard.app import PAGES, assert_no_errors, texts
from tests.store.degenerate import DEGENERATE, write_degenerate_run

# What pages say about maps and predictions where there is something to say.
CLAIMS = re.compile(
    "maps of this run (?:encode|follow)|maps encode|maps locate|no cell has to be removed|draws? level|similar maps"
    "|minimal correction|Are classes with similar|stabilise|relies on|share one map|The closest call|Best classes"
    "|changed most|All criteria agree|detects? errors|learned, forgotten|ECE|cue profile of"
)
WORDS = {
    "undecided": "does not decide",
    "dead": "is dead",
    "constant": "are constant",
    "blind": "does not see",
    "exploded": "has exploded",
}


@pytest.fixture(scope="module")
def degenerate_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("degenerate")
    for fault in DEGENERATE:
        analyse(open_run(write_degenerate_run(folder / fault, fault)))
    return folder


@pytest.mark.parametrize(
    ("page", "fault"),
    [(page, "dead") for page in PAGES]
    + [(page, fault) for fault in ("constant", "exploded") for page in ("image", "patterns", "trust", "robustness")],
)
def test_every_page_says_what_is_wrong_and_concludes_nothing(opened, degenerate_runs, page, fault):
    app = opened(degenerate_runs, page, run=fault)
    assert_no_errors(app)
    assert any(WORDS[fault] in warning.value for warning in app.warning)
    questions = {element.value for element in app.caption if " — run **" in element.value}
    questions |= set(HOW_TO_READ.values())  # they explain a page and claim nothing about the run
    said = "\n".join(line for line in texts(app).split("\n") if line not in questions)
    assert page == "about" or not CLAIMS.findall(said)


@pytest.mark.parametrize("fault", DEGENERATE)
def test_overview_and_findings_tell_it_with_values(opened, degenerate_runs, fault):
    said = WORDS.get(fault, "One class for everything: all 20 images")
    for page in ("overview", "findings"):
        app = opened(degenerate_runs, page, run=fault)
        assert said in texts(app).replace("\\", "")
    earlier = opened(degenerate_runs, "overview", run=fault, epoch="1")
    assert not any(said in warning.value for warning in earlier.warning)


@pytest.mark.parametrize("fault", DEGENERATE)
def test_the_report_holds_no_patterns_of_such_a_network(degenerate_runs, tmp_path, fault):
    text = write_report(open_run(degenerate_runs / fault), tmp_path / "report.html").read_text("utf-8")
    assert "A network that is not fit to be described" in text and "Class patterns" not in text


def test_an_unequal_data_set_shows_what_knowing_one_class_is_worth(opened, tmp_path):
    labels = np.r_[np.zeros(95, int), np.ones(5, int)]
    write_degenerate_run(tmp_path / "unequal", "one class", labels=labels)
    app = opened(tmp_path, "overview")
    figures = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert figures["Top-1"][0] == "95.0 %" and figures["Balanced accuracy"] == ("50.0 %", "largest class 95.0 %")
    table = app.dataframe[-1].value
    expected = queries.balanced_accuracy(open_run(tmp_path / "unequal"), epoch=1)  # the best epoch
    assert table[["balanced", "majority"]].iloc[0].tolist() == [pytest.approx(100 * expected), pytest.approx(95)]
    report = write_report(open_run(tmp_path / "unequal"), tmp_path / "report.html").read_text("utf-8")
    assert "balanced accuracy) is 50.0 %; always predicting the largest class would reach a top-1 of 95.0 %" in report
