"""A run from predictions alone: from arrays, from a table of paths, and what is refused before anything is written."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from compute.errors import BadImage, BadOption
from compute.recording.predictions import from_predictions
from store import RunExists
from store.check.verify import verify_run

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 9, 8, 3), np.uint8)
LABELS = np.array([2, 0, 1] * 4)
PROBABILITIES = RNG.dirichlet(np.ones(3), 12)
ORDER = np.argsort(LABELS, kind="stable")


def test_arrays_become_a_run_whose_predictions_are_those_given(tmp_path):
    later = np.eye(3)[LABELS]  # certain and correct
    run = from_predictions(tmp_path / "run", PIXELS, LABELS, {1: PROBABILITIES, 5: later})
    assert run.epochs == (1, 5) and not run.has_maps and run.image_shape == (9, 8)
    assert np.array_equal(run.pixels(), PIXELS[ORDER])
    assert np.allclose(run.probabilities(epoch=1, variant="clean"), PROBABILITIES[ORDER], atol=1e-6)
    assert np.allclose(run.probabilities(epoch=5, variant="clean"), later[ORDER], rtol=0, atol=1e-30)
    table = run.predictions(epoch=1, variant="clean")
    correct = PROBABILITIES.argmax(1) == LABELS
    assert table["correct"].tolist() == correct[ORDER].tolist()
    metrics = run.metrics()
    assert metrics["validation_top1"].tolist() == [pytest.approx(correct.mean()), 1.0]
    expected = -np.log(PROBABILITIES[np.arange(12), LABELS]).mean()
    assert metrics["validation_loss"].iloc[0] == pytest.approx(expected, rel=1e-6)
    assert verify_run(tmp_path / "run") == []


def test_a_table_of_paths_labels_and_probabilities_is_one_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, image in enumerate(PIXELS):
        Image.fromarray(image).resize((40, 30)).save(f"{number:02d}.png")
    names = ["ant", "bee", "cow"]
    frame = pd.DataFrame(PROBABILITIES, columns=names)
    frame["path"], frame["label"] = [f"{number:02d}.png" for number in range(12)], [names[label] for label in LABELS]
    run = from_predictions("runs/mine", frame["path"], frame["label"], frame[names], size=(16, 24))
    assert run.classes["name"].tolist() == names and run.image_shape == (16, 24)
    assert run.image_names == tuple(frame["path"].iloc[ORDER])
    assert run.labels.tolist() == sorted(LABELS.tolist())


def test_pytorch_is_not_needed():
    code = "import sys; from classprint import from_predictions; print('torch' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.stdout.strip() == "False", process.stderr


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": LABELS[:-1]}, BadOption, r"are \(12, 3\), but there are \(11, 3\)"),
        ({"images": PIXELS[:-1]}, BadOption, "There are 11 images but 12 labels"),
        ({"labels": np.array([*LABELS[:-1], 3])}, BadOption, "The label of image 11 is .*3.*, which is none of the 3"),
        ({"labels": np.zeros((12, 1), int)}, BadOption, r"one for each image, got the shape \(12, 1\)"),
        ({"labels": ["0"] * 11 + ["dog"]}, BadOption, "The label of image 11 is .*'dog'"),
        ({"probabilities": PROBABILITIES * 2}, BadOption, "image 0 in epoch 1 are from .* with the sum 2"),
        ({"probabilities": PROBABILITIES - 0.5}, BadOption, "Give the softmax of the logits"),
        ({"probabilities": np.full((12, 3), np.nan)}, BadOption, "from nan to nan"),
        ({"probabilities": PROBABILITIES[:, :1]}, BadOption, "with two classes or more"),
        ({"probabilities": {}}, BadOption, "There are no probabilities"),
        ({"probabilities": {-1: PROBABILITIES}}, BadOption, "The epoch -1"),
        ({"classes": ["a", "a", "b"]}, BadOption, "2 distinct names of classes do not fit 3 columns"),
        ({"images": PIXELS[..., :1]}, BadOption, r"Images must be uint8 \(N, h, w, 3\)"),
        ({"images": ["nowhere.png"] * 12}, BadImage, "There is no file 'nowhere.png'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, change, error, message):
    given = {"images": PIXELS, "labels": LABELS, "probabilities": PROBABILITIES} | change
    with pytest.raises(error, match=message):
        from_predictions(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_image_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(BadImage, match=r"a\.png"):
        from_predictions(tmp_path / "run", [tmp_path / "a.png"] * 12, LABELS, PROBABILITIES)
    assert not list((tmp_path / "run").rglob("*.h5*"))


def test_a_run_that_exists_is_left_alone(tmp_path):
    from_predictions(tmp_path / "run", PIXELS, LABELS, PROBABILITIES)
    with pytest.raises(RunExists, match="There is a run at"):
        from_predictions(tmp_path / "run", PIXELS, LABELS, PROBABILITIES)
