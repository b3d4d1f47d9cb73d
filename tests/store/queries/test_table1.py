import pytest

from store import NotInRun, open_run
from store.metrics.intervals import wilson
from store.queries.table1 import COLUMNS, PAPER_ROWS, as_text, recorded_result, table1
from store.synthetic import write_synthetic_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return open_run(write_synthetic_run(tmp_path_factory.mktemp("runs") / "mine", epochs=3, classes=3))


def test_the_last_epoch_or_the_best_one_is_reported(run):
    top1 = [(run.predictions(epoch=epoch, variant="clean")["correct"]).mean() for epoch in run.epochs]
    last, best = recorded_result(run), recorded_result(run, best=True)
    assert (last["epoch"], last["top1"]) == (run.epochs[-1], pytest.approx(top1[-1]))
    assert (best["epoch"], best["top1"]) == (run.epochs[top1.index(max(top1))], pytest.approx(max(top1)))
    low, high = wilson(top1[-1] * len(run.labels), len(run.labels))
    assert (last["top1_low"], last["top1_high"]) == (pytest.approx(low), pytest.approx(high))


def test_recorded_runs_stand_before_the_rows_of_the_paper(run):
    table = table1([recorded_result(run)])
    assert list(table.columns) == list(COLUMNS)
    assert table["name"].to_list() == ["mine", "Baseline", "Pre-trained ResNet-18", "Proposed"]
    assert table["source"].to_list() == ["recorded", "paper", "paper", "paper"]
    assert table["top1"].to_list()[1:] == [0.5280, 0.6976, 0.5378]
    assert table["top5"].to_list()[1:] == [0.7331, 0.8908, 0.6109]
    assert len(table1([], paper=False)) == 0


def test_text_and_markdown_hold_the_same_cells(run):
    table = table1([recorded_result(run)])
    text, markdown = as_text(table).splitlines(), as_text(table, markdown=True).splitlines()
    assert len(text) == len(markdown) - 1 == 1 + 1 + len(PAPER_ROWS)
    assert " ".join(text[-1].split()) == "Proposed encoder-decoder Tiny ImageNet – 80 53.78 – – 61.09 – –"
    assert len({line.count("|") for line in markdown}) == 1
    assert set(markdown[1]) == set("|-: ")


def test_intervals_are_shown_where_they_are_known(run):
    table = table1([recorded_result(run)])
    own, *paper = as_text(table, intervals=True).splitlines()[1:]
    assert f"{100 * table['top1'][0]:.2f} [{100 * table['top1_low'][0]:.1f}, " in own
    assert not any("[" in line for line in paper)


def test_a_run_without_epochs_has_no_row(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "empty", epochs=0))
    with pytest.raises(NotInRun, match="no complete epoch yet"):
        recorded_result(run)
