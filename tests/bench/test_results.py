"""One command writes a run's page, on the tiny network; and the arithmetic of the tables."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench import results
from store import open_run
from store.rates import percent

TABLES = [
    "differences",
    "failure_detection",
    "figure2",
    "formation",
    "table1",
    "throughput",
    "variants",
    "verification",
]
FILES = {"README.md", "figure2.svg", "patterns.webp", *(f"{name}.csv" for name in TABLES)}


@pytest.fixture(scope="module")
def recorded(finished_experiment):
    return open_run(finished_experiment / "runs" / "tiny")


def test_one_command_leaves_a_page_every_table_and_two_images(finished_experiment, recorded):
    assert {path.name for path in (finished_experiment / "results").iterdir()} == FILES
    text = (finished_experiment / "results" / "README.md").read_text()
    last = recorded.metrics().iloc[-1]
    assert text.startswith(f"# tiny: {percent(last['validation_top1'], 2)} top-1")
    assert "53.78" in text and "61.09" in text and "| Proposed" in text
    assert "`store verify`: no problems found in 4 epochs" in text
    assert str(finished_experiment) not in text  # no folder of this machine
    for line in (line for line in text.splitlines() if line.startswith("| ---")):
        assert line.count("|") > 2


def test_the_tables_hold_what_was_recorded(finished_experiment, recorded):
    metrics, folder = recorded.metrics(), finished_experiment / "results"
    figure = pd.read_csv(folder / "figure2.csv")
    assert figure["validation_loss"].to_numpy() == pytest.approx(metrics["validation_loss"], rel=1e-5)
    assert figure["paper_validation_top1"].tolist()[1:] == [0.0486, 0.0934, 0.1198]  # the paper has no epoch 0
    variants = pd.read_csv(folder / "variants.csv")
    gray = variants[(variants["epoch"] == 2) & (variants["variant"] == "gray")].iloc[0]
    assert gray["top1"] == pytest.approx(recorded.predictions(epoch=2, variant="gray")["correct"].mean(), abs=1e-6)
    assert len(pd.read_csv(folder / "formation.csv")) == 8
    assert pd.read_csv(folder / "failure_detection.csv")["auroc"].is_monotonic_decreasing


def test_throughput_is_worked_by_hand(recorded):
    table, metrics = results.throughput(recorded), recorded.metrics()
    first, facts = table.iloc[0], metrics.iloc[1]  # epoch 0 is not trained
    whole = facts["train_seconds"] + facts["record_seconds"]
    assert first["recording_passes_per_second"] == pytest.approx(24 * 3 / facts["record_seconds"])
    assert first["recording_share"] == pytest.approx(facts["record_seconds"] / whole)
    assert first["waiting_share"] == pytest.approx((facts["write_wait_seconds"] + facts["finish_wait_seconds"]) / whole)
    assert first["gigabytes"] == pytest.approx((recorded.path / "epochs" / "0001.h5").stat().st_size / 1e9)


def test_a_run_that_knows_no_waiting_times_has_none_in_its_table(tiny_run):
    table = results.throughput(open_run(tiny_run))
    assert "waiting_share" not in table
    assert "This run did not record" in results.throughput_text(open_run(tiny_run), table)


def test_every_difference_to_the_paper_is_named_and_nothing_else(recorded):
    table = results.differences(recorded).set_index("setting")
    assert table.loc["training.optimizer"].tolist() == ["sgd", "adamw"]
    assert table.loc["training.epochs"].tolist() == ["80", "3"]
    assert table.loc["validation images", "run"] == "all 24"
    assert "training.momentum" not in table.index  # 0.9 in both


def test_a_damaged_record_is_reported_on_the_page_and_by_the_exit_code(finished_experiment, tmp_path):
    run = Path(shutil.copytree(finished_experiment / "runs" / "tiny", tmp_path / "tiny"))
    epoch = run / "epochs" / "0001.h5"
    content = bytearray(epoch.read_bytes())
    content[-100] ^= 0xFF
    epoch.write_bytes(content)
    assert results.main([str(run), "--output", str(tmp_path / "results")]) == 1
    found = pd.read_csv(tmp_path / "results" / "verification.csv")["found"]
    assert found.str.contains("epochs/0001.h5").all()
    assert "problems found in 4 epochs" in (tmp_path / "results" / "README.md").read_text()


def test_selected_epochs_include_the_first_and_the_last():
    assert results.select_epochs([1, 2, 3]) == [1, 2, 3]
    chosen = results.select_epochs(list(range(1, 81)))
    assert len(chosen) == 10
    assert (chosen[0], chosen[-1]) == (1, 80)
    assert np.all(np.diff(chosen) >= 8)


def test_classes_are_counted_from_the_epoch_at_which_they_form():
    table = pd.DataFrame({"formation": [1, 2, -1], "half_correct": [2, -1, -1], "stabilisation": [1.5, 2.0, 3.0]})
    counts = results.formation_counts(table, [1, 2, 3])
    assert counts["formation"].tolist() == [1, 2, 2]
    assert counts["half_correct"].tolist() == [0, 1, 1]
    assert counts["stabilisation"].tolist() == [0, 2, 3]


def test_a_share_of_almost_all_is_not_called_all():
    table = pd.DataFrame({"validation_top1": [0.99999, 1.0]})
    text = results.columns_table(table, {"validation_top1": ("validation", "{:.2%}")})
    assert "99.999 %" in text and text.count("100.00 %") == 1
