"""Which of the paper's figures a run can show, which of its images they show, and what is written under them.

Source: X. Zhang, "Visualization of encoder-decoder structure of Deep Convolutional Neural Network", Table 1 and
Fig. 1 to 12. Where the paper drew images at random, a seed does here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dashboard.paper import diagrams, layouts
from dashboard.paper.canvas import Canvas
from dashboard.shared.run_facts import has_top5
from dashboard.shared.theme import epoch_list
from store import Run, StoreError
from store.queries.random_draw import random_draw
from store.rates import percent

PAPER_EPOCHS = (1, 5, *range(15, 81, 5))  # Fig. 3 to 5
_MOST_EPOCHS, _FEW_EPOCHS = len(PAPER_EPOCHS), 4
_FORMATION_CLASSES = ("school bus", "brown bear", "christmas stocking")
_PAIR_CLASSES = ("school bus", "lion")
_EXAMPLES, _ROWS = 9, 5
_PERTURBATIONS = (
    # figure, variants of the run, what they are called
    ("figure-09", ("gray",), "Gray images"),
    ("figure-10", ("blur3", "blur5"), "Gaussian blur, 3×3 and 5×5 (Eq. 11)"),
    ("figure-11", ("bgr", "brg"), "Channels in another order"),
    ("figure-12", ("salt_pepper_0.0005", "salt_pepper_0.005"), "Salt and pepper (Eq. 12)"),
)


@dataclass(frozen=True)
class PaperFigure:
    """A figure to make: `canvas` draws it, or `missing` says why this run has none; `name` is also its file's name."""

    name: str
    title: str
    caption: str = ""
    canvas: Callable[[], Canvas] | None = None
    missing: str = ""


def paper_figures(run: Run, *, epoch: int | None = None, seed: int = 0) -> list[PaperFigure]:
    """The paper's table and figures, in its order.

    Args:
        epoch: that the predictions are of; None for the last one.
        seed: of every random choice of images.

    Raises:
        StoreError: the run has no epoch, or not this one.
        ValueError: the seed is negative.
    """
    if not run.epochs:
        raise StoreError(f"{str(run.path)!r} has no epoch yet, so there is nothing to draw. Record one first.")
    chosen = run.epochs[-1] if epoch is None else epoch
    run.read(chosen, lambda data: None)  # an epoch that is not there is refused here
    parts = [_diagrams(run)]
    if run.has_maps:
        parts += [_formation(run, seed), _examples(run, chosen, seed), _pairs(run, chosen, seed)]
        parts.append(_perturbed(run, chosen, seed))
        return [figure for part in parts for figure in part]
    absent = [f"figure-{number:02d}" for number in range(3, 13)]
    missing = "The run has no class maps."
    return [*parts[0], *(PaperFigure(name, "Class maps", missing=missing) for name in absent)]


def _diagrams(run: Run) -> Iterator[PaperFigure]:
    top5 = "" if has_top5(run) else " With at most five classes, the second accuracy is 100 % by definition."
    yield PaperFigure(
        "table-1",
        "Accuracy",
        "Accuracy on all validation images, clean, with the 95 % Wilson interval, at the epoch with the highest top-1, "
        f"as in the paper: chosen on the same images, so slightly too high.{top5}",
        partial(diagrams.results_table, run),
    )
    yield PaperFigure(
        "figure-01",
        "The network",
        "The edge of a square is the logarithm of the edge of its maps. The means of the class maps f are the logits S "
        "(Eq. 8), and P is the softmax of S (Eq. 4).",
        partial(diagrams.network, run),
    )
    yield PaperFigure(
        "figure-02",
        "Loss and accuracy",
        "Training and validation, per epoch. The training figures are those of the training pass itself, with its "
        "augmentation, where the network changes while they are summed.",
        partial(diagrams.training, run),
    )


def _epochs(run: Run) -> list[int]:
    """The paper's epochs that the run has, or, where these are few, at most as many of its own, evenly spread."""
    own = [epoch for epoch in run.epochs if epoch in PAPER_EPOCHS]
    if len(own) >= _FEW_EPOCHS:
        return own
    places = np.unique(np.linspace(0, len(run.epochs) - 1, min(_MOST_EPOCHS, len(run.epochs))).round().astype(int))
    return [run.epochs[place] for place in places]


def _correct(run: Run, epoch: int) -> np.ndarray:
    """Numbers of the images that are predicted correctly, clean."""
    return np.flatnonzero(run.column("prediction", epoch=epoch, variant=run.variants[0]) == run.labels)


def _classes(run: Run, wanted: Sequence[str], images: np.ndarray, *, least: int, seed: int) -> list[int]:
    """The wanted classes that have `least` of the images, and in the place of each other one a random class."""
    counts = np.bincount(run.labels[images], minlength=len(run.classes))
    names = [str(name).split(",")[0].strip().lower().replace("_", " ") for name in run.classes["name"]]
    found = [names.index(name) for name in wanted if name in names and counts[names.index(name)] >= least]
    drawn = (int(run.labels[image]) for image in random_draw(run, images, len(images), seed=seed))
    for class_index in drawn:
        if len(found) == len(wanted):
            break
        if class_index not in found and counts[class_index] >= least:
            found.append(class_index)
    return found


def _formation(run: Run, seed: int) -> Iterator[PaperFigure]:
    correct, epochs = _correct(run, run.epochs[-1]), _epochs(run)
    classes = _classes(run, _FORMATION_CLASSES, correct, least=1, seed=seed)
    for place in range(3):
        name, title = f"figure-{place + 3:02d}", "One image over the epochs"
        if place >= len(classes):
            yield PaperFigure(name, title, missing="No other class has a correct prediction at the last epoch.")
            continue
        of_class = correct[run.labels[correct] == classes[place]]
        image = random_draw(run, of_class, 1, seed=seed)[0]
        yield PaperFigure(
            name,
            f"{title}: {run.classes['name'][classes[place]]}",
            f"Image {image}, drawn with seed {seed} from those of its class that are predicted correctly at epoch "
            f"{run.epochs[-1]}; {epoch_list(epochs)}. Above the map of the prediction at each epoch with its "
            f"probability P, below the map of the true class. {_scale(run)}",
            partial(layouts.formation, run, image, epochs=epochs, variant=run.variants[0]),
        )


def _scale(run: Run) -> str:
    """What the colours of the maps mean."""
    relative = "; maps are relative to the mean of all classes, which is dark" if run.signed else ""
    return f"Each map is divided by its own maximum (Eq. 10){relative}."


def _examples(run: Run, epoch: int, seed: int) -> Iterator[PaperFigure]:
    correct = _correct(run, epoch)
    wrong = np.setdiff1d(np.arange(len(run.labels)), correct)
    for name, outcome, images in (("figure-06", "Correct", correct), ("figure-07", "Wrong", wrong)):
        title = f"{outcome} predictions"
        if not len(images):
            yield PaperFigure(name, title, missing=f"No prediction is {outcome.lower()} at epoch {epoch}.")
            continue
        drawn = random_draw(run, images, _EXAMPLES, seed=seed)
        yield PaperFigure(
            name,
            title,
            f"Images {', '.join(map(str, drawn))}, drawn with seed {seed} from the {len(images)} {outcome.lower()} "
            f"predictions of epoch {epoch}. On top the true class; beside the image the most probable classes, each "
            f"with its map and probability P, the true class in bold. {_scale(run)}",
            partial(layouts.examples, run, drawn, epoch=epoch, variant=run.variants[0]),
        )


def _pairs(run: Run, epoch: int, seed: int) -> Iterator[PaperFigure]:
    correct = _correct(run, epoch)
    drawn = (
        random_draw(run, correct[run.labels[correct] == class_index], 2, seed=seed)
        for class_index in _classes(run, _PAIR_CLASSES, correct, least=2, seed=seed)
    )
    chosen = [(first, second) for first, second in drawn]
    if not chosen:
        yield PaperFigure("figure-08", "Two images of a class", missing="No class has two correct predictions.")
        return
    yield PaperFigure(
        "figure-08",
        "Two images of a class",
        f"Images {', '.join(f'{a} and {b}' for a, b in chosen)}, drawn with seed {seed} from the correct predictions "
        f"of their classes at epoch {epoch}, each with the map of its prediction. {_scale(run)}",
        partial(layouts.pairs, run, chosen, epoch=epoch, variant=run.variants[0]),
    )


def _perturbed(run: Run, epoch: int, seed: int) -> Iterator[PaperFigure]:
    drawn = random_draw(run, np.arange(len(run.labels)), _ROWS, seed=seed)
    accuracy = run.variant_metrics(epoch=epoch).set_index("variant")["top1"]
    for name, wanted, title in _PERTURBATIONS:
        present = [variant for variant in wanted if variant in run.variants]
        if not present:
            yield PaperFigure(name, title, missing=f"The run was recorded without {' and '.join(wanted)}.")
            continue
        shown = [run.variants[0], *present]
        figures = ", ".join(f"{run.variant(variant).label} {percent(accuracy[variant])}" for variant in shown)
        yield PaperFigure(
            name,
            title,
            f"Images {', '.join(map(str, drawn))}, drawn with seed {seed} from all images, correct or not, at epoch "
            f"{epoch}: clean, then perturbed, each with the map of its prediction there and its probability P. Top-1 "
            f"on all {len(run.labels)} images: {figures}. {_scale(run)}",
            partial(layouts.perturbed, run, drawn, shown, epoch=epoch),
        )
