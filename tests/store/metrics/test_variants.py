"""The figures of an epoch: recorded with it, the same when they are worked out, and checked."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from store import open_run, queries
from store.analysis import variant_metrics as analysis_figures
from store.analysis.variant_metrics import epoch_variant_metrics
from store.check.verify import verify_run
from store.format.chunks import write_array
from store.format.hdf5_file import unfinished_file
from store.format.receipts import write_receipt
from store.format.schema import VARIANT_METRICS, epoch_field
from store.tools.link import link_run


@pytest.fixture
def copy(tiny_run, tmp_path):
    return shutil.copytree(tiny_run, tmp_path / "copy")


def change(path, epoch, how):
    """Alter a sealed epoch and its receipt, as another version of the program would have written them."""
    with unfinished_file(path / "epochs" / f"{epoch:04d}.h5", "r+") as file:
        how(file)
        run_id = file.attrs["run_id"].decode()
    write_receipt(path, epoch, run_id)


def without_figures(file):
    del file["variant_metrics"]


def test_recorded_figures_are_those_that_follow_from_the_columns(copy):
    recorded = epoch_variant_metrics(open_run(copy), 2)
    change(copy, 2, without_figures)
    worked_out = epoch_variant_metrics(open_run(copy), 2)
    assert recorded.equals(worked_out)
    assert recorded.columns.tolist() == ["epoch", "variant", *(field.name for field in VARIANT_METRICS)]
    assert verify_run(copy) == []


def test_figures_of_an_older_epoch_are_worked_out_once(copy, monkeypatch):
    change(copy, 1, without_figures)
    run = open_run(copy)
    before = queries.accuracy_by_variant(run)
    monkeypatch.setattr(analysis_figures, "variant_metric_columns", lambda *_: pytest.fail("worked out again"))
    assert queries.accuracy_by_variant(run).equals(before)


def test_recorded_figures_are_read_without_the_columns(copy, monkeypatch):
    monkeypatch.setattr(analysis_figures, "variant_metric_columns", lambda *_: pytest.fail("worked out"))
    assert len(queries.accuracy_by_variant(open_run(copy))) == 3 * 8


def test_verify_names_a_figure_that_does_not_follow(copy):
    def spoil(file):
        del file["variant_metrics/ece"]
        write_array(file, "variant_metrics/ece", epoch_field("variant_metrics/ece"), np.full(8, 0.5))

    change(copy, 3, spoil)
    assert [str(finding) for finding in verify_run(copy)] == [
        "epochs/0003.h5: variant_metrics/ece does not follow from the columns of the images"
    ]


def test_a_link_leaves_out_what_some_epochs_lack(copy):
    with h5py.File(link_run(open_run(copy))) as file:
        top1 = file["variant_metrics/top1"][...]
    assert top1.shape == (3, 8) and top1[2, 0] == 18 / 20
    change(copy, 3, without_figures)
    with h5py.File(link_run(open_run(copy))) as file:
        assert "variant_metrics" not in file and file["images/prediction"].shape == (3, 8, 20)
