import pandas as pd
import pytest

from dashboard.shared import run_facts
from store import open_run
from store.synthetic import write_synthetic_run

PLAIN = {"variants": ("clean",), "layers": {}, "stages": {}, "masks": None, "boxes": None, "epochs": 1}


def small(path, **options):
    return open_run(write_synthetic_run(path, classes=3, images_per_class=2, **{**PLAIN, **options}))


@pytest.mark.parametrize(("evidence", "exact"), [("network", True), ("exact", True), ("frozen_norm", False)])
def test_k_is_exact_only_where_cells_may_be_removed_one_by_one(tmp_path, evidence, exact):
    run = small(tmp_path / "run", evidence=evidence, evidence_error=4.9e-7)
    assert run_facts.is_exact(run) == exact
    assert run_facts.correction_name(run) == ("k*" if exact else "k* (estimate)")
    assert ("estimate" in run_facts.evidence_text(run)) != exact and "4.9e-07" in run_facts.evidence_text(run)
    rows = pd.DataFrame({"image": [1], "correction_cells": [2], "sharpness": [0.5]})
    columns = list(run_facts.as_recorded(run, rows).columns)
    assert columns == ["image", "correction_cells" if exact else "correction_cells_estimate", "sharpness"]


def test_a_download_of_a_run_without_maps_has_no_columns_of_maps(tmp_path):
    run = small(tmp_path / "run", evidence="none", map_shape=(1, 1), signed=True)
    rows = run.predictions(epoch=1, variant="clean")
    left = run_facts.as_recorded(run, rows)
    assert "confidence" in left and not set(run_facts.MAP_COLUMNS) & set(left)
    assert set(run_facts.MAP_COLUMNS) < set(rows)


def test_signed_maps_are_said_to_be_relative_to_the_mean_of_all_classes(tmp_path):
    signed, unsigned = small(tmp_path / "signed", signed=True), small(tmp_path / "unsigned")
    assert "relative to the mean map" in run_facts.evidence_text(signed)
    assert "above the mean of all classes" in run_facts.logit_text(signed)
    assert "relative" not in run_facts.evidence_text(unsigned) and "(Eq. 8)" in run_facts.logit_text(unsigned)


@pytest.mark.parametrize(("planned", "said"), [(0, "1 epoch recorded"), (4, "1 of 4 epochs recorded")])
def test_the_planned_epochs_are_named_only_where_they_are_known(tmp_path, planned, said):
    assert run_facts.epochs_recorded(small(tmp_path / "run", planned_epochs=planned)) == said
