"""Trainings that differ in their seed alone: which runs they are, and the spread of their figures."""

import numpy as np
import pytest

from store import Variant, open_run
from store.analysis import Finding
from store.queries.replicates import group_name, replicates, same_statement, spread_over_seeds, training_seed
from store.queries.table1 import as_text, table1
from store.synthetic import write_synthetic_run

CLEAN = (Variant("clean", "clean"),)


def write_run(path, seed, *, rate=0.1, **options):
    """A run of two epochs that says how it was trained."""
    configuration = {"training": {"seed": seed, "learning_rate": rate}, "data": {"seed": 0}}
    return open_run(write_synthetic_run(path, epochs=2, variants=CLEAN, configuration=configuration, **options))


def test_replicates_differ_in_their_seed_alone(tmp_path):
    runs = [write_run(tmp_path / f"s{seed}", seed) for seed in (2, 0, 1)]
    other = write_run(tmp_path / "other", 3, rate=0.2)
    again = write_run(tmp_path / "again", 0)
    found = replicates(runs[0], [other, *runs, again])
    assert [training_seed(run) for run in found] == [0, 1, 2]
    assert found[0].path.name == "s0" and replicates(other, runs) == [other]


def test_a_run_that_was_not_trained_here_has_none(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1, variants=CLEAN, configuration={}))
    assert training_seed(run) is None and replicates(run, [run]) == [run]


def test_the_name_of_a_group_is_that_of_the_command(tmp_path):
    assert group_name(write_run(tmp_path / "q-seed1", 1, provenance={"group": "q"})) == "q"
    assert group_name(write_run(tmp_path / "alone", 1, provenance={})) == "alone"


def test_mean_and_spread_are_over_the_trainings(tmp_path):
    runs = [write_run(tmp_path / f"s{seed}", seed) for seed in (0, 1)]
    table = spread_over_seeds(runs)
    values = [run.metrics().set_index("epoch").loc[2, "validation_loss"] for run in runs]
    row = table[(table["epoch"] == 2) & (table["measure"] == "validation_loss")].iloc[0]
    assert row["trainings"] == 2 and row["mean"] == pytest.approx(np.mean(values))
    assert (row["lowest"], row["highest"]) == (min(values), max(values))


def test_the_same_statement_is_of_the_same_kind_class_and_variant_at_whatever_epoch():
    def finding(kind, value, **query):
        return Finding(kind, "t", value, 0, 1, "share", "robustness", 0.5, query=query)

    mine = finding("accuracy", 0.3, variant="gray", epoch=6)
    others = [finding("accuracy", 0.1, variant="bgr"), finding("cue", 0.2, variant="gray")]
    assert same_statement(mine, others) is None
    assert same_statement(mine, [*others, finding("accuracy", 0.4, variant="gray", epoch=5)]).value == 0.4


def test_table_1_has_a_row_of_means_before_its_trainings():
    results = [
        {"name": f"q-seed{seed}", "source": "recorded", "replicate_key": "q", "seed": seed, "group": "q", "epoch": 6}
        | {"network": "paper", "data": "phantom", "weights": "none", "planned_epochs": 6, "parameters": 9, "epochs": 6}
        | {"majority": 0.1, "top1": top1, "balanced": top1, "top5": 0.9, "minutes": 2.0}
        for seed, top1 in ((0, 0.6), (1, 0.7), (2, 0.8))
    ]
    alone = {**results[0], "name": "other", "replicate_key": "", "seed": None}
    table = table1([alone, *results], paper=False)
    assert table["name"].tolist() == ["other", "q: mean of 3 trainings", "q-seed0", "q-seed1", "q-seed2"]
    means = table.iloc[1]
    assert means["trainings"] == 3 and means["top1"] == pytest.approx(0.7) and means["top1_sd"] == pytest.approx(0.1)
    assert "70.00 ± 10.00" in as_text(table)
