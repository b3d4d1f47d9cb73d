"""Runs whose every prediction is chosen by the test: `craft` records the predictions and strengths that it is given."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store import ClassInfo, Run, RunDescription, create_run, open_run, resume_run
from store.analysis import Analysis, read_analysis
from store.analysis.analyse import analyse

CELLS = (4, 4)


def one_cell(label: int) -> NDArray[np.float32]:
    """The pattern of a class: one lit cell, another for each class."""
    pattern = np.zeros(CELLS, np.float32)
    pattern.flat[label] = 16
    return pattern


def craft(
    path: Path,
    predictions: NDArray,
    *,
    labels: Sequence[int],
    variants: tuple[str, ...] = ("clean",),
    own: Callable[[int, int, int], NDArray] | None = None,
    first_epoch: int = 1,
    **options: object,
) -> Run:
    """A run with the predictions (E, V, N).

    The true class's map is `own(epoch, variant, image)`, by default its one cell at strength 1; where the prediction is
    another class, that one's map is twice as strong. Epochs, variants and images count from 0 here.
    """
    epochs, _, images = predictions.shape
    classes = int(max(predictions.max(), max(labels))) + 1
    description = RunDescription(
        **{
            "name": path.name,
            "classes": tuple(ClassInfo(f"c{i}", f"class {i}", f"group {i % 2}") for i in range(classes)),
            "variants": variants,
            "labels": np.asarray(labels),
            "image_names": tuple(f"{i}.png" for i in range(images)),
            "image_shape": (16, 16),
            "map_shape": CELLS,
            "planned_epochs": epochs,
            **options,
        }
    )
    with create_run(path, description) as new:
        for variant in variants:
            new.write_images(variant, 0, synthetic_pixels(images, moved=variant == "shift"))
    writer = resume_run(path)
    for epoch in range(epochs):
        with writer.epoch(first_epoch + epoch, {}, threads=1) as recording:
            for number, variant in enumerate(variants):
                recording.write(variant, 0, _maps(predictions[epoch, number], labels, classes, own, (epoch, number)))
    return open_run(path)


def analysed(run: Run) -> Analysis:
    """The analysis of a run, made again."""
    analyse(run)
    found = read_analysis(run)
    assert found is not None
    return found


def synthetic_pixels(images: int, *, moved: bool) -> NDArray[np.uint8]:
    """Noise images, for the variant `shift` moved by an eighth of the side, down and to the right."""
    still = np.random.default_rng(0).integers(256, size=(images, 16, 16, 3), dtype=np.uint8)
    if not moved:
        return still
    result = np.zeros_like(still)
    result[:, 2:, 2:] = still[:, :-2, :-2]
    return result


def _maps(
    prediction: NDArray, labels: Sequence[int], classes: int, own: Callable | None, state: tuple[int, int]
) -> NDArray:
    maps = np.zeros((len(labels), classes, *CELLS), np.float32)
    for image, label in enumerate(labels):
        maps[image, label] = one_cell(label) if own is None else own(*state, image)
        if prediction[image] != label:
            maps[image, prediction[image]] = (
                2 * maps[image, label].sum() * one_cell(int(prediction[image])) / 16 + 1 / 64
            )
    return maps
