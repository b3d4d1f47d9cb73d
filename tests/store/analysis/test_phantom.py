"""Cue profiles on phantom images, where the answer is known: a network that sees colour alone relies on colour."""

import numpy as np
import pytest

from compute.data.dataset import Selection
from compute.data.phantom.dataset import class_parts, load_phantom
from compute.recording.perturbations import perturb_array
from store import RunDescription, create_run, open_run, queries, resume_run
from store.analysis import from_table
from store.analysis.localisation import localisation_of
from tests.store.crafted_run import analysed

USED_VARIANTS = ("clean", "gray", "blur5", "bgr", "brg")


def colour_maps(images, classes):
    """Class maps (n, C, 8, 8): how far a class's hue leads in each cell; for gray, a little everywhere."""
    cells = images.astype(np.float32).reshape(len(images), 8, 8, 8, 8, 3).mean((2, 4)) / 255
    maps = np.empty((len(images), classes, 8, 8), np.float32)
    for index in range(classes):
        hue = class_parts(index)[1]
        if hue == "gray":
            maps[:, index] = 0.02
        else:
            channel = ("red", "green", "blue").index(hue)
            others = np.delete(cells, channel, axis=-1).max(-1)
            maps[:, index] = np.maximum(cells[..., channel] - others, 0)
    return maps * 50


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    selection = Selection(classes=8, train_per_class=1, validation_per_class=12)
    pixels = load_phantom(selection=selection)
    path, shown = tmp_path_factory.mktemp("runs") / "colour", pixels.validation
    description = RunDescription(
        name="colour",
        classes=pixels.classes,
        variants=USED_VARIANTS,
        labels=shown.labels,
        image_names=shown.names,
        image_shape=shown.images.shape[1:3],
        map_shape=(8, 8),
        masks=shown.masks,
        planned_epochs=1,
    )
    images = np.arange(len(shown.labels))
    perturbed = {name: perturb_array(name, shown.images, numbers=images, seed=0) for name in USED_VARIANTS}
    with create_run(path, description) as new:
        for name, block in perturbed.items():
            new.write_images(name, 0, block)
    with resume_run(path).epoch(1, {}, threads=1) as recording:
        for name, block in perturbed.items():
            recording.write(name, 0, colour_maps(block, len(pixels.classes)))
    return open_run(path)


@pytest.fixture(scope="module")
def analysis(run):
    return analysed(run)


@pytest.mark.parametrize(
    ("variant", "lost", "kept"),
    [
        ("gray", ["red", "green", "blue"], ["gray"]),
        ("bgr", ["red", "blue"], ["green", "gray"]),
        ("brg", ["red", "green", "blue"], ["gray"]),
    ],
)
def test_a_variant_takes_the_logit_of_the_hues_that_it_changes(run, variant, lost, kept):
    table = queries.cue_profiles(run, epoch=1)
    hues = np.array([class_parts(int(index))[1] for index in table["class_index"]])
    drops = table["drop"].groupby([table["variant"], hues]).mean()
    assert min(drops[variant][lost]) > 1
    assert drops[variant][kept].to_numpy() == pytest.approx([0] * len(kept), abs=0.01)
    assert drops["blur5"].abs().max() < 0.2 * drops["gray"].max()  # the network sees colour alone


def test_red_turns_into_blue_and_the_findings_say_so(run, analysis):
    predictions = run.predictions(epoch=1, variant="bgr")
    hues = np.array([class_parts(int(index))[1] for index in range(8)])
    red = hues[predictions["label"]] == "red"
    assert (hues[predictions["prediction"][red]] == "blue").mean() > 0.9
    reported = [entry.text for entry in from_table(analysis.table("findings"))]
    assert any("are predicted as" in text or "accuracy falls" in text for text in reported)


def test_the_maps_of_that_network_locate_the_object(analysis):
    table = analysis.table("localisation")
    values = table.set_index("quantity")["value"]
    assert values["evidence_on_object"] > values["evidence_on_others"] + 0.1 > values["object_area"]
    assert localisation_of(table) == "locates"
