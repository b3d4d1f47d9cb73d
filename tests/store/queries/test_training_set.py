"""The table of training images and its suspects, from a ledger whose every number is known."""

import numpy as np
import pytest

from store import NotInRun, Variant, open_run, resume_run
from store.queries.training_set import label_detection, suspects, training_images
from store.synthetic import write_synthetic_run

LABELS = np.array([0, 1, 2, 3])
ORIGINAL = np.array([0, 1, 4, 3])  # the label of image 2 was exchanged
# epoch -> prediction, probability and margin of each image; image 3 was in no batch of epoch 2
EPOCHS = {
    1: ([0, 1, 4, 0], [0.5, 0.6, 0.1, 0.2], [1.0, 2.0, -3.0, -1.0]),
    2: ([0, 2, 4, 0], [0.7, 0.2, 0.1, np.nan], [3.0, -1.0, -1.0, np.nan]),
}


def write_ledger(path, labels=LABELS, original=ORIGINAL, **options):
    """A run with the ledger above."""
    writer = resume_run(write_synthetic_run(path, epochs=2, variants=(Variant("clean", "clean"),), **options))
    writer.write_training_images(["a", "b", "c", "d"], labels, None, original)
    for epoch, (prediction, probability, margin) in EPOCHS.items():
        columns = {"prediction": prediction, "label_probability": probability, "margin": margin}
        columns["loss"] = -np.log(probability)
        writer.write_training_epoch(epoch, {name: np.array(values) for name, values in columns.items()})
    return open_run(path)


def test_a_row_for_each_training_image(tmp_path):
    run = write_ledger(tmp_path / "run")
    table = training_images(run)
    assert table.attrs["epochs"] == (1, 2)
    assert table["aum"].tolist() == pytest.approx([2, 0.5, -2, -1])
    assert table["confidence"].tolist() == pytest.approx([0.6, 0.4, 0.1, 0.2])
    assert table["variability"].tolist() == pytest.approx([0.1, 0.2, 0, 0])
    assert table["forgetting"].tolist() == [0, 1, 0, 0] and table["first_learned"].tolist() == [1, 1, 0, 0]
    assert table["seen"].tolist() == [2, 2, 2, 1] and table["prediction"].tolist() == [0, 2, 4, 0]
    assert table["true_class"].tolist() == run.classes["name"][:4].tolist()
    assert table["el2n"].isna().all()  # an optional column of the ledger


def test_suspects_come_in_the_order_asked_for(tmp_path):
    table = training_images(write_ledger(tmp_path / "run"))
    assert suspects(table, "aum", count=2).index.tolist() == [2, 3]
    assert suspects(table, "confidence", count=9).index.tolist() == [2, 3, 1, 0]
    assert suspects(table, "forgetting", count=2).index.tolist() == [1, 2]  # equal counts in the order of their AUM


def test_exchanged_labels_are_found(tmp_path):
    table = training_images(write_ledger(tmp_path / "run"))
    found = label_detection(table, "aum", at=(1, 2))
    assert found is not None and found.auroc == 1 and found.precision == {1: 1, 2: 0.5}
    last = label_detection(table, "forgetting", at=(1,))
    # forgotten 0 times as two of the other three: equal values are half right, whatever order they are shown in
    assert last is not None and last.auroc == pytest.approx(1 / 3) and last.precision == {1: 0}


def test_without_exchanged_labels_nothing_can_be_counted(tmp_path):
    assert label_detection(training_images(write_ledger(tmp_path / "run", original=None)), "aum") is None
    assert label_detection(training_images(write_ledger(tmp_path / "same", original=LABELS)), "aum") is None


def test_a_threshold_class_gives_the_threshold_and_is_no_suspect(tmp_path):
    options = {"configuration": {"data": {"threshold_class": True}}}
    table = training_images(write_ledger(tmp_path / "run", np.array([0, 1, 4, 3]), **options))
    assert table.attrs["threshold"] == -2  # image 2 alone: margins of -3 and -1
    assert suspects(table, "aum", count=9).index.tolist() == [3, 1, 0]
    without = training_images(write_ledger(tmp_path / "none", LABELS, **options))
    assert "threshold" not in without.attrs and len(suspects(without, "aum", count=9)) == 4


def test_a_run_without_ledger_says_so(tmp_path):
    run = open_run(write_synthetic_run(tmp_path / "run", epochs=1, variants=("clean",)))
    with pytest.raises(NotInRun, match=r"training/images\.h5 is not in the run"):
        training_images(run)
