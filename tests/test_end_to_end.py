"""A small phantom run from the command to the images behind a confusion: what each perturbation does is known."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compute.data.dataset import Selection
from compute.data.phantom.dataset import class_parts, gray_sibling, load_phantom, plain_sibling, reordered_sibling
from compute.recording.perturbations import perturb_array
from store import Run, open_run
from store.check.verify import verify_run
from store.metrics.maps import logits, softmax

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[1]
# One shape in all hues and textures: enough to learn 19 of 20 images in half a minute of one core.
CLASSES, EPOCHS, TRAIN, VALIDATION = 8, 5, 50, 12
SETTINGS = {
    "data.classes": CLASSES,
    "data.train_per_class": TRAIN,
    "data.validation_per_class": VALIDATION,
    "training.epochs": EPOCHS,
    "training.batch": 24,
}


def _compute(folder: Path) -> str:
    """What the command that a user types prints, for the quick profile cut down to one shape."""
    overrides = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "compute", "train", "--run", "small", "--runs-dir", str(folder), *overrides]
    # One thread, whatever else runs: two that wait for each other on busy cores took ten times as long.
    command += ["--threads", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    _compute(folder)
    return open_run(folder / "small")


def _predictions(run: Run, variant: str) -> tuple[np.ndarray, np.ndarray]:
    """True class and prediction of the images that the network knows when they are clean."""
    clean = run.predictions(epoch=EPOCHS, variant="clean")
    known = clean["correct"].to_numpy()
    predictions = run.predictions(epoch=EPOCHS, variant=variant)["prediction"].to_numpy()
    return clean["label"].to_numpy()[known], predictions[known]


def _hues(classes: np.ndarray) -> np.ndarray:
    return np.array([class_parts(int(index))[1] for index in classes])


def _share(true_class: np.ndarray, predictions: np.ndarray, expected) -> float:
    """Share of images that are predicted as the class that `expected` names."""
    return float(
        np.mean([prediction == expected(int(label)) for label, prediction in zip(true_class, predictions, strict=True)])
    )


def test_the_network_learns_the_clean_images_and_still_fails_on_some(run):
    table = run.predictions(epoch=EPOCHS, variant="clean")
    assert table["correct"].mean() > 0.6
    assert run.epochs == tuple(range(EPOCHS + 1))
    assert run.complete


def test_gray_sends_classes_to_their_gray_sibling(run):
    true_class, predictions = _predictions(run, "gray")
    coloured = _hues(true_class) != "gray"
    assert _share(true_class[coloured], predictions[coloured], gray_sibling) > 0.5
    assert _share(true_class[coloured], predictions[coloured], lambda label: label) < 0.1
    assert _share(true_class[~coloured], predictions[~coloured], lambda label: label) > 0.7


def test_bgr_sends_red_to_blue_and_leaves_green_and_gray_alone(run):
    true_class, predictions = _predictions(run, "bgr")
    hues = _hues(true_class)
    swapped, kept = np.isin(hues, ["red", "blue"]), np.isin(hues, ["green", "gray"])
    assert _share(true_class[swapped], predictions[swapped], lambda label: reordered_sibling(label, (2, 1, 0))) > 0.6
    assert _share(true_class[kept], predictions[kept], lambda label: label) > 0.7


def test_brg_moves_all_three_hues_round_and_leaves_gray_alone(run):
    true_class, predictions = _predictions(run, "brg")
    coloured = _hues(true_class) != "gray"
    assert _share(true_class[coloured], predictions[coloured], lambda label: reordered_sibling(label, (2, 0, 1))) > 0.6
    assert _share(true_class[~coloured], predictions[~coloured], lambda label: label) > 0.7


def test_a_wide_blur_costs_striped_classes_more_than_plain_ones(run):
    true_class, predictions = _predictions(run, "blur5")
    striped = np.array([class_parts(int(index))[2] == "striped" for index in true_class])
    assert _share(true_class[striped], predictions[striped], plain_sibling) > _share(
        true_class[~striped], predictions[~striped], lambda label: label + 1
    )


def test_every_perturbation_is_in_the_record_as_the_network_saw_it(run):
    pixels = load_phantom(
        selection=Selection(classes=CLASSES, train_per_class=TRAIN, validation_per_class=VALIDATION)
    ).validation.images
    images = np.arange(len(pixels))
    for name in run.variants:
        expected = perturb_array(name, pixels, numbers=images, seed=0)
        np.testing.assert_array_equal(run.pixels(None, variant=name), expected)
    np.testing.assert_array_equal(run.pixels([5], variant="bgr")[0], pixels[5][..., ::-1])


def test_probabilities_are_the_softmax_of_the_map_means_within_the_quantisation_error(run):
    for variant in ("clean", "salt_pepper_0.005"):
        maps = run.maps(epoch=EPOCHS, variant=variant, images=None)
        bound = run.map_error(epoch=EPOCHS, variant=variant, images=None).max(1)
        decoded = softmax(logits(maps))
        recorded = run.probabilities(epoch=EPOCHS, variant=variant)
        np.testing.assert_allclose(recorded.sum(1), 1, atol=1e-5)
        # A logit is off by at most the bound, so a probability by at most the factor exp(2 bound).
        assert (
            np.abs(np.log(np.maximum(decoded, 1e-30) / np.maximum(recorded, 1e-30))) <= 2 * bound[:, None] + 1e-4
        ).all()


def test_a_cell_of_the_confusion_matrix_leads_to_its_images(run):
    confusion = run.confusion(epoch=EPOCHS, variant="bgr")
    table = run.predictions(epoch=EPOCHS, variant="bgr")
    true_class, prediction = np.unravel_index(int(np.argmax(confusion - np.diag(np.diag(confusion)))), confusion.shape)
    behind = table[(table["label"] == true_class) & (table["prediction"] == prediction)]
    assert len(behind) == confusion[true_class, prediction] > VALIDATION // 2
    assert reordered_sibling(int(true_class), (2, 1, 0)) == prediction
    assert confusion.sum() == len(table) == CLASSES * VALIDATION


def test_masks_layers_and_stages_are_recorded_and_the_run_verifies(run):
    masks = run.masks([0, 1])
    assert masks is not None
    assert 0.02 < masks.mean() < 0.9
    assert {name: values.shape[1:] for name, values in run.layers(epoch=1, images=[0]).items()} == {
        "encoder": (CLASSES, 2, 2),
        "decoder": (CLASSES, 4, 4),
    }
    assert set(run.stages(epoch=1, images=[0])) == {"stem", "layer1", "layer2", "layer3", "layer4"}
    assert not verify_run(run.path)


def test_the_same_command_again_says_that_the_run_is_complete(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*.h5")}
    assert "complete" in _compute(run.path.parent)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*.h5")} == before
