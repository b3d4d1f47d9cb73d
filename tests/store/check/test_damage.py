"""Damage of every kind: verify finds it, and the reader never returns a wrong value. The full campaign is in bench/."""

from __future__ import annotations

import shutil

import h5py
import pytest

from bench.corrupt_run import judge, make_runs, predictions, spoil
from store.__main__ import main
from store.check.verify import verify_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    run, other = make_runs(tmp_path_factory.mktemp("damage"))
    return run, other, predictions(run)


def test_an_intact_run_answers_everything_and_verifies(runs):
    run, _, true_class = runs
    assert "refused" not in true_class.values() and len(true_class) > 40
    assert verify_run(run) == []


def test_a_run_is_read_alike_where_h5py_has_no_name_for_the_filter(runs, monkeypatch):
    monkeypatch.setattr(h5py.Dataset, "compression", property(lambda dataset: None))  # h5py before 3.16
    run, _, true_class = runs
    assert verify_run(run) == []
    assert predictions(run) == true_class


@pytest.mark.parametrize("seed", range(24))
def test_random_damage_is_found_and_never_returned_as_if_right(runs, tmp_path, seed):
    run, other, true_class = runs
    copy = shutil.copytree(run, tmp_path / "run")
    what = spoil(copy, other, seed)
    assert judge(copy, true_class) in ("found", "harmless"), what


def test_the_judge_itself_notices_wrong_values(runs, tmp_path):
    run, other, _ = runs
    assert judge(run, predictions(other)).startswith("WRONG")


def test_verify_on_the_command_line_names_the_problems(runs, tmp_path, capsys):
    copy = shutil.copytree(runs[0], tmp_path / "run")
    assert main(["verify", str(copy), "--quiet"]) == 0
    assert "no problems found" in capsys.readouterr().out
    (copy / "epochs" / "0001.h5").write_bytes(b"")
    (copy / "epochs" / "0002.h5").unlink()
    assert main(["verify", str(copy), "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "epochs/0001.h5: it has 0 bytes" in said and "epochs/0002.h5: it was sealed, but the file is gone" in said
    assert main(["verify", str(copy / "nowhere"), "--quiet"]) == 1
    assert "There is no run at" in capsys.readouterr().err


def test_info_says_what_the_run_is_and_weighs(runs, capsys):
    assert main(["info", str(runs[0])]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 planned, 1 to 2" in said and "80 of 4 classes" in said
    assert "probabilities" in said and "in all" in said
