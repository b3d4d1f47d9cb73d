"""What a run's description may say, and that run.h5 gives it back."""

import hashlib
from math import isnan

import numpy as np
import pytest

from store import ClassInfo, NotInRun, Variant, open_run
from store.synthetic import create_synthetic_run, synthetic_description

PLAIN = {"variants": ("clean", "gray"), "layers": {}, "stages": {}, "masks": None, "boxes": None}


def stored(path, **options):
    """A run without epochs of the description's options at `path`, opened."""
    description = synthetic_description(path.name, 5, 4, epochs=2, options={**PLAIN, **options})
    return open_run(create_synthetic_run(path, description).path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 2, 1, 3] * 5)}, "ascending order"),
        ({"labels": np.full(20, 7)}, "there are 5 classes"),
        ({"variants": ("gray", "clean")}, 'start with "clean"'),
        ({"image_names": ("a",)}, "1 image names do not fit 20 labels"),
        ({"masks": np.zeros((3, 4, 4))}, "masks must have the shape"),
        ({"layers": {"a/b": (1, 1, 1)}}, "cannot be a path"),
        ({"configuration": {"a": object()}}, "must be JSON values"),
        ({"evidence": "guessed"}, "Evidence 'guessed' is unknown: choose one of network, exact"),
        ({"evidence_error": -1.0}, "The error of the evidence is -1.0"),
        ({"kept_maps": -1}, "The number of maps kept of each image is -1"),
        ({"preparation": {"resize": object()}}, "must be JSON values"),
        ({"image_names": ("a\0", *"bcdefghijklmnopqrst")}, r"The name 'a\\x00' cannot be written as text"),
        ({"image_names": ("a\udcff", *"bcdefghijklmnopqrst")}, r"The name 'a\\udcff' cannot be written as text"),
        ({"map_shape": (0, 8)}, r"The shape of map_shape is \(0, 8\)"),
        ({"map_shape": (300, 300)}, "at most 65,535 cells in a map, got 90,000"),
        ({"layers": {"encoder": (4, 2)}}, r"The shape of layer 'encoder' is \(4, 2\)"),
        ({"planned_epochs": -1}, "The number of planned epochs is -1"),
        ({"labels": np.zeros(20)}, "Labels must be whole numbers, got float64"),
        ({"classes": tuple(ClassInfo(str(i), "", "") for i in range(70_000))}, "at most 65,535 classes, got 70,000"),
    ],
)
def test_a_description_that_no_run_could_have_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        synthetic_description("bad", 5, 4, epochs=1, options={**PLAIN, **change})


@pytest.mark.parametrize(("kept", "recorded"), [(3, 3), (4, 0), (9, 0)])
def test_a_run_that_keeps_as_many_maps_as_it_has_classes_keeps_all(kept, recorded):
    description = synthetic_description("few", 5, 1, epochs=1, options={**PLAIN, "kept_maps": kept})
    assert description.kept_maps == recorded


@pytest.mark.parametrize("preparation", [{"resize": [256, 256], "mean": [0.5] * 3}, "a transform of my own", None])
def test_what_the_description_says_comes_back(tmp_path, preparation):
    shift = Variant("shift", "moved by 8 px", {"pixels": 8}, keeps_positions=False)
    evidence = {"evidence": "linearised", "evidence_error": 1e-6, "preparation": preparation}
    run = stored(tmp_path / "run", variants=("clean", shift), **evidence)
    for name, value in evidence.items():
        assert getattr(run.description, name) == value
    assert run.variants == ("clean", "shift") and run.variant("shift") == shift
    assert run.variant("clean") == Variant("clean", "clean", {}, keeps_positions=True)
    with pytest.raises(NotInRun, match="Variant 'sepia' is not in the run"):
        run.variant("sepia")
    assert isnan(stored(tmp_path / "other").description.evidence_error)


def test_a_run_without_maps_has_one_cell_for_each_class(tmp_path):
    run = stored(tmp_path / "run", evidence="none", map_shape=(1, 1))
    assert not run.has_maps and stored(tmp_path / "other").has_maps
    with pytest.raises(ValueError, match=r"one cell for each class, but map_shape is \(4, 4\)"):
        synthetic_description("third", 5, 4, epochs=1, options={**PLAIN, "evidence": "none", "map_shape": (4, 4)})


def test_images_are_known_by_their_pixels(tmp_path):
    run = stored(tmp_path / "run", variants=("clean", "gray", "blur3"))
    assert run.changed_images == {"clean": 0, "gray": 20, "blur3": 0}  # the synthetic blur changes nothing
    expected = [hashlib.sha256(image.tobytes()).digest() for image in run.pixels()]
    assert [row.tobytes() for row in run.image_sha256()] == expected
