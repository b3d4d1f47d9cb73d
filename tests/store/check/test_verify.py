"""Values that the format rules out, under valid checksums: verify names each of them."""

import json
import shutil

import numpy as np
import pytest

from store import open_run, resume_run
from store.check.verify import verify_run
from store.format import chunks
from store.format.chunks import write_array
from store.format.hdf5_file import set_attributes, unfinished_file
from store.format.receipts import write_receipt
from store.format.schema import epoch_field, run_field
from store.synthetic import write_synthetic_run


def change(run, path, at, value, *, kept=False):
    """Set one number of a dataset of epoch 1, or of run.h5 where the path says so, as a faulty writer might."""
    in_run_file = path.startswith("run.h5/")
    file_path, path = run / ("run.h5" if in_run_file else "epochs/0001.h5"), path.removeprefix("run.h5/")
    field = run_field(path) if in_run_file else epoch_field(path)
    if not kept:
        field = field.of_all_classes()
    with unfinished_file(file_path, "r+") as file:
        values = file[path][...]
        values[at] = value
        del file[path]
        write_array(file, path, field, values)
        set_attributes(file[path], {"zero_point": 0} if path == "maps" else {})
        run_id = file.attrs["run_id"].decode()
    write_receipt(run, None if in_run_file else 1, run_id)


VARIANTS = ("clean", "gray")
NOT_FINITE = "it contains numbers that are not finite"
CHANGES = {
    "maps": ((1, 3, 0, 4, 4), 255, "probabilities are not the softmax of the means of the maps"),
    "map_scale": ((0, 0, 0), 0, "map_scale: it contains 0 to"),
    "probabilities": ((0, 0, 0), np.nan, f"probabilities: {NOT_FINITE}"),
    "stages/stem": ((0, 0, 0), np.inf, f"stages/stem: {NOT_FINITE}"),
    "layers/encoder/scale": ((0, 0), np.nan, f"layers/encoder/scale: {NOT_FINITE}"),
    "images/prediction": ((1, 7), 5, "images/prediction: it contains 0 to 5, allowed are 0 to 4"),
    "images/runner_up": ((0, 0), 4, "images/runner_up does not agree with"),
    "images/confidence": ((0, 0), 1.5, "images/confidence: it contains"),
    "images/margin": ((0, 0), 0.5, "images/margin does not agree with"),
    "images/label_rank": ((1, 3), 4, "images/label_rank does not agree with"),
    "images/label_logit": ((1, 3), 99, "logits of images differ from the means of cached/true_class_map"),
    "images/predicted_logit": ((1, 3), 99, "logits of images differ from the means of cached/predicted_class_map"),
    "images/peak": ((1, 3), 99, "images/peak is not the largest cell"),
    "images/consistency": ((1, 3), -2, "images/consistency: it contains -2 to"),
    "images/similarity": ((1, 3), 0, "images/similarity does not follow from"),
    "images/correction_cells": ((0, 0), 3, "images/correction_cells is not 0 for a correct prediction"),
    "classes/accuracy": ((0, 0), np.nan, "classes/accuracy does not follow from"),
    "classes/pattern": ((0, 0, 0, 0), np.nan, f"classes/pattern: {NOT_FINITE}"),
    "confusion": ((0, 0, 0), 3, "confusion does not follow from"),
    "variant_metrics/ece": (0, 0.5, "variant_metrics/ece does not follow from"),
    "run.h5/masks": ((0, 0, 0), 2, "masks: it contains 0 to 2, allowed are 0 to 1"),
    "run.h5/labels": (19, 5, "run.h5"),
    "run.h5/variants/changed_images": (1, 3, "variants/changed_images does not follow from the pixels"),
    "run.h5/image_sha256": ((4, 0), 0, "image_sha256 does not follow from the pixels"),
}
CHANGES_OF_KEPT_MAPS = {
    "maps": ((1, 3, 0, 4, 4), 255, "logits differ from the means of the maps by more than their error"),
    "logits": ((0, 0, 0), -99, "logits differ from the means of the maps by more than their error"),
    "map_classes": ((1, 0, 1), 5, "map_classes: it contains 0 to 5, allowed are 0 to 4"),
}
OTHER_CLASSES = ((1, 2, 3), (0, 0, 1), (1, 0, 2))  # without the label 0, one class twice, the strongest not first


@pytest.fixture
def run(tmp_path):
    """Folder of a small run that keeps all maps."""
    return write_synthetic_run(tmp_path / "run", epochs=1, variants=VARIANTS)


@pytest.mark.parametrize("path", CHANGES)
def test_a_value_that_cannot_be_is_named(run, path):
    at, value, problem = CHANGES[path]
    change(run, path, at, value)
    found = [str(problem) for problem in verify_run(run)]
    assert any(problem in text for text in found), found


@pytest.fixture
def kept_run(tmp_path):
    """A run that keeps the maps of each image's two strongest classes and of its true class."""
    return write_synthetic_run(tmp_path / "kept", epochs=1, variants=VARIANTS, kept_maps=2)


@pytest.mark.parametrize("path", CHANGES_OF_KEPT_MAPS)
def test_a_value_that_cannot_be_is_named_where_few_maps_are_kept(kept_run, path):
    at, value, problem = CHANGES_OF_KEPT_MAPS[path]
    change(kept_run, path, at, value, kept=True)
    found = [str(problem) for problem in verify_run(kept_run)]
    assert any(problem in text for text in found), found


@pytest.mark.parametrize("classes", OTHER_CLASSES)
def test_the_classes_whose_maps_are_kept_must_be_the_strongest_and_the_true_class(kept_run, classes):
    change(kept_run, "map_classes", (0, 0), classes, kept=True)
    expected = "map_classes are not the classes of the highest logits and the true class"
    assert any(expected in str(problem) for problem in verify_run(kept_run))


@pytest.mark.parametrize(("path", "name", "value"), [("logits", "axes", "class image"), ("maps", "zero_point", 128)])
def test_an_attribute_that_is_not_the_formats_is_named(kept_run, path, name, value):
    with unfinished_file(kept_run / "epochs" / "0001.h5", "r+") as file:
        set_attributes(file[path], {name: value})
        run_id = file.attrs["run_id"].decode()
    write_receipt(kept_run, 1, run_id)
    assert any(f"{path}: its {name.replace('_', ' ')}" in str(problem) for problem in verify_run(kept_run))


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture(autouse=True)
def _write_what_is_given(monkeypatch):
    """The writer refuses what is not finite; verify must find what another writer did not refuse."""
    monkeypatch.setattr(chunks, "not_finite", lambda values, field: np.zeros(values.shape, bool))


LEDGER = {"prediction": np.arange(30) % 5, "label_probability": np.full(30, 0.5), "margin": np.ones(30)}
LEDGER |= {"loss": np.ones(30)}
LEDGER_CHANGES = {
    "infinite": (lambda new, _: new({**LEDGER, "loss": np.full(30, np.inf)}), f"0001.h5: loss: {NOT_FINITE}"),
    "class": (lambda new, _: new({**LEDGER, "prediction": np.full(30, 5)}), "0001.h5: prediction: it contains 5 to 5"),
    "share": (lambda new, _: new({**LEDGER, "label_probability": np.full(30, 2)}), "allowed are -0.0001 to 1.0001"),
    "length": (lambda new, _: new({**LEDGER, "loss": np.ones(29)}), "its datasets have [29, 30] training images"),
    "count": (
        lambda new, _: new({name: column[:9] for name, column in LEDGER.items()}),
        "0001.h5: it contains 9 training images, training/images.h5 lists 30",
    ),
    "column": (lambda new, _: new({"prediction": LEDGER["prediction"]}), "damaged: label_probability is missing"),
    "name": (lambda _, file: file.rename(file.with_name("0002.h5")), "it contains epoch 1, but its name says 2"),
    "bit": (lambda _, file: flip_a_bit(file), "training/0001.h5: "),
    "thumbnail": (
        lambda _, file: resume_run(file.parents[1]).write_training_thumbnails(
            np.array([3, 30]), np.zeros((2, 16, 16, 3), np.uint8)
        ),
        "images: they are not ascending numbers of the 30 training images",
    ),
    "images": (lambda _, file: file.with_name("images.h5").unlink(), "training/images.h5: it is missing"),
    "other run": (
        lambda _, file: shutil.copyfile(write_ledger(file.parents[1].with_name("other")) / "training/0001.h5", file),
        "0001.h5: 'TRAINING/0001.h5' is damaged: it belongs to run",
    ),
}


def write_ledger(path):
    """Folder of a run of one epoch with a training ledger of 30 images."""
    writer = resume_run(write_synthetic_run(path, epochs=1, variants=VARIANTS))
    writer.write_training_images([f"{i}.png" for i in range(30)], np.arange(30) % 5)
    writer.write_training_epoch(1, LEDGER)
    writer.write_training_thumbnails(
        np.array([3, 7]), np.zeros((2, *writer.facts.description.image_shape, 3), np.uint8)
    )
    return path


@pytest.mark.parametrize("change", LEDGER_CHANGES)
def test_the_training_ledger_is_checked(tmp_path, change):
    path = write_ledger(tmp_path / "run")
    assert verify_run(path) == []
    apply, problem = LEDGER_CHANGES[change]
    apply(lambda columns: resume_run(path).write_training_epoch(1, columns), path / "training" / "0001.h5")
    found = [str(problem).replace(str(path / "training"), "TRAINING") for problem in verify_run(path)]
    assert len(found) >= 1 and any(problem in text for text in found), found


def test_maps_whose_cells_changed_places_are_noticed_by_the_cached_ones(run):
    maps = open_run(run).read(1, lambda data: data.rows("maps", 0, np.array([3])))
    change(run, "maps", (0, 3), np.roll(maps[0], 1, axis=-1))  # every mean is as it was
    assert any("cached/true_class_map differs from maps" in str(problem) for problem in verify_run(run))


def test_a_rank_better_than_the_probabilities_say_is_named(run):
    change(run, "images/label_rank", (0, 7), 1)  # image 7 is predicted as another class
    assert any("images/label_rank does not agree" in str(problem) for problem in verify_run(run))


@pytest.mark.parametrize("name", ["run.json", "epochs/0001.json"])
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sha256": "0" * 64}, "SHA-256 differs from the receipt"),
        ({"bytes": 1}, "bytes, but 1 were recorded"),
        ({"run_id": "another"}, "it is of run 'another', run.h5 of '"),
    ],
)
def test_a_file_that_is_not_the_one_of_its_receipt_is_named(run, name, changes, problem):
    receipt = json.loads((run / name).read_text())
    receipt |= {key: value for key, value in changes.items() if key in receipt}
    for entry in receipt["files"].values():
        entry |= {key: value for key, value in changes.items() if key in entry}
    (run / name).write_text(json.dumps(receipt))
    (found,) = verify_run(run)
    assert problem in str(found)
