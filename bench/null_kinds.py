"""Runs of which it is known what is true, because they were drawn: in each kind statements are false in another way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
CLASSES, IMAGES, EPOCHS = 6, 15, 4
VARIANTS = ("clean", "gray", "blur3")
CELLS = (4, 4)
BASE = 40.0  # a logit; maps are not negative, so it leaves room for what a variant takes away


@dataclass(frozen=True)
class Draw:
    """A drawn run: logits (E, V, N, C), shapes of the maps (E, V, N, C, y, x) or what broadcasts to it, labels (N,)."""

    logits: Float64
    shapes: Float64
    labels: NDArray[np.int64]
    signed: bool = False  # shapes are then the maps themselves


@dataclass(frozen=True)
class Null:
    """A kind of run in which statements are false: what is so in it, how it is drawn, and the kinds that are true.

    promised: whether the page's error rate holds here, too; it needs images that are independent of each other.
    """

    what: str
    draw: Callable[[np.random.Generator], Draw]
    true: tuple[str, ...] = ()
    promised: bool = True


def _labels(classes: int = CLASSES, images: int = IMAGES) -> NDArray[np.int64]:
    return np.repeat(np.arange(classes), images)


def _noise_shapes(random: np.random.Generator, *size: int) -> Float64:
    return random.exponential(size=(*size, *CELLS)) ** 2


def _class_shapes(random: np.random.Generator, classes: int = CLASSES) -> Float64:
    """A pattern for each class, (1, 1, 1, C, y, x)."""
    return _noise_shapes(random, 1, 1, 1, classes)


def _predicted(prediction: NDArray[np.int64], random: np.random.Generator, classes: int = CLASSES) -> Float64:
    """Logits (..., C) whose largest is the prediction (...), by a margin that says nothing of whether it is correct."""
    logits = BASE + random.normal(size=(*prediction.shape, classes))
    top = logits.max(-1) + random.exponential(size=prediction.shape)
    np.put_along_axis(logits, prediction[..., None], top[..., None], -1)
    return logits


def _mistaken(labels: NDArray[np.int64], wrong: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.int64]:
    """Predictions: the next class where wrong, else the label."""
    return np.where(wrong, (labels + 1) % (labels.max() + 1), labels)


def noise(random: np.random.Generator, classes: int = CLASSES, images: int = IMAGES) -> Draw:
    """Logits and maps are noise, independent in every epoch and variant."""
    labels = _labels(classes, images)
    size = (EPOCHS, len(VARIANTS), len(labels), classes)
    return Draw(BASE + random.normal(size=size), _noise_shapes(random, *size), labels)


def drops(random: np.random.Generator, draw: Callable[[np.random.Generator, NDArray], Float64]) -> Draw:
    """A network that is right on four of five images; a variant lowers all logits of an image, in all classes alike."""
    labels = _labels()
    wrong = random.random(len(labels)) < 0.2
    logits = np.tile(_predicted(_mistaken(labels, wrong, random), random), (EPOCHS, len(VARIANTS), 1, 1))
    for variant in range(1, len(VARIANTS)):
        logits[:, variant] -= np.minimum(draw(random, labels), 0.9 * BASE)[:, None]
    return Draw(logits, _class_shapes(random), labels)


def mixture(random: np.random.Generator, labels: NDArray[np.int64]) -> Float64:
    """Normal drops, a tenth of them ten times as wide."""
    return random.normal(size=len(labels)) * np.where(random.random(len(labels)) < 0.1, 10, 1)


def uneven(random: np.random.Generator, labels: NDArray[np.int64]) -> Float64:
    """Normal drops, five times as wide in one class."""
    return random.normal(size=len(labels)) * np.where(labels == 0, 5, 1)


def confused(random: np.random.Generator) -> Draw:
    """Each class has its own probability of being predicted as the next one, the same in every epoch and variant."""
    labels = _labels()
    rate = random.uniform(0.02, 0.5, size=CLASSES)[labels]
    wrong = random.random((EPOCHS, len(VARIANTS), len(labels))) < rate
    return Draw(_predicted(_mistaken(labels, wrong, random), random), _class_shapes(random), labels)


def restless(random: np.random.Generator) -> Draw:
    """Maps formed from the first epoch on, under predictions that a coin decides in every epoch."""
    labels = _labels()
    wrong = np.repeat(random.random((EPOCHS, 1, len(labels))) < 0.5, len(VARIANTS), axis=1)
    own = _class_shapes(random) * random.uniform(0.8, 1.2, size=(1, 1, len(labels), CLASSES, *CELLS))
    return Draw(_predicted(_mistaken(labels, wrong, random), random), own, labels)


def late(random: np.random.Generator) -> Draw:
    """Maps form at epoch 3 on average: half of the classes always there, half at 1, 2, or 4 (twice as often)."""
    labels = _labels()
    wrong = random.random(len(labels)) < 0.2
    logits = np.tile(_predicted(_mistaken(labels, wrong, random), random), (EPOCHS, len(VARIANTS), 1, 1))
    spread = random.choice([1, 2, 4, 4, 4], size=len(labels))
    formed = np.where(labels % 2 == 0, 3, spread)
    own, before = _class_shapes(random), _noise_shapes(random, EPOCHS, 1, len(labels), CLASSES)
    there = np.arange(1, EPOCHS + 1)[:, None] >= formed
    return Draw(logits, np.where(there[:, None, :, None, None, None], own, before), labels)


def hard(random: np.random.Generator) -> Draw:
    """A logit of the label decides what is wrong, and how sharp its map is: two shapes in each class."""
    labels = _labels()
    each, ease = np.arange(len(labels)), random.normal(size=len(labels))
    logits = np.full((len(labels), CLASSES), BASE) + random.normal(0, 0.1, size=(len(labels), CLASSES))
    logits[each, labels] = BASE + 1 + 2 * ease
    second = _class_shapes(random) * (1 + 30 * (random.random((1, 1, 1, CLASSES, *CELLS)) < 0.2))
    faint = (ease + random.normal(0, 0.5, len(labels)) < -0.3)[None, None, :, None, None, None]
    jitter = random.uniform(0.9, 1.1, size=(1, 1, len(labels), CLASSES, *CELLS))
    shapes = np.where(faint, second[..., ::-1, ::-1], second) * jitter
    return Draw(np.tile(logits, (EPOCHS, len(VARIANTS), 1, 1)), shapes, labels)


def formless(random: np.random.Generator) -> Draw:
    """Correct predictions from maps whose cells are noise."""
    labels = _labels()
    wrong = random.random(len(labels)) < 0.2
    logits = np.tile(_predicted(_mistaken(labels, wrong, random), random), (EPOCHS, len(VARIANTS), 1, 1))
    return Draw(logits, _noise_shapes(random, EPOCHS, len(VARIANTS), len(labels), CLASSES), labels)


def alike(random: np.random.Generator) -> Draw:
    """Maps of one pattern for all classes, with a little noise."""
    drawn = formless(random)
    return Draw(drawn.logits, _noise_shapes(random, 1, 1, 1, 1) + 0.2 * drawn.shapes, drawn.labels)


def heavy_tails(random: np.random.Generator) -> Draw:
    """Noise whose logits have the tails of Cauchy's distribution."""
    labels = _labels()
    size = (EPOCHS, len(VARIANTS), len(labels), CLASSES)
    logits = BASE + np.clip(random.standard_cauchy(size), -0.9 * BASE, 100 * BASE)
    return Draw(logits, _noise_shapes(random, *size), labels)


def few_images(random: np.random.Generator) -> Draw:
    """Twelve classes of two to five images; predictions and drops are noise."""
    return _uneven_classes(random, random.integers(2, 6, size=12))


def imbalanced(random: np.random.Generator) -> Draw:
    """One class of two thirds of the images, others of two to ten; predictions and drops are noise."""
    return _uneven_classes(random, np.array([80, 2, 3, 5, 10, 20]))


def _uneven_classes(random: np.random.Generator, images: NDArray[np.int64]) -> Draw:
    """`confused` with classes of so many images, whose logits a variant lowers at random."""
    labels = np.repeat(np.arange(len(images)), images)
    rate = random.uniform(0.02, 0.5, size=len(images))[labels]
    wrong = random.random((EPOCHS, len(VARIANTS), len(labels))) < rate
    logits = _predicted(_mistaken(labels, wrong, random), random, len(images))
    logits -= random.exponential(size=(EPOCHS, len(VARIANTS), len(labels), 1))
    return Draw(logits, _class_shapes(random, len(images)), labels)


def shared_template(random: np.random.Generator) -> Draw:
    """The two classes of a group share a pattern, and a coin decides between them in every epoch and variant."""
    labels = _labels()
    other = random.random((EPOCHS, len(VARIANTS), len(labels))) < 0.5
    shapes = np.repeat(_class_shapes(random, CLASSES // 2), 2, axis=3)
    jitter = random.uniform(0.8, 1.2, size=(1, 1, len(labels), CLASSES, *CELLS))
    return Draw(_predicted(labels ^ other, random), shapes * jitter, labels)


def unchanged(random: np.random.Generator) -> Draw:
    """Variants and epochs that change nothing at all."""
    return drops(random, lambda random, labels: np.zeros(len(labels)))


def tempered(random: np.random.Generator, temperature: float) -> Draw:
    """`confused` by a network whose logits are divided by a temperature."""
    drawn = confused(random)
    return Draw(BASE * max(1, 1 / temperature) + (drawn.logits - BASE) / temperature, drawn.shapes, drawn.labels)


def ties(random: np.random.Generator) -> Draw:
    """`confused` with logits in whole steps, so that predictions and confidences are equal on many images."""
    drawn = confused(random)
    return Draw(np.round(drawn.logits), drawn.shapes, drawn.labels)


def hardly_wrong(random: np.random.Generator) -> Draw:
    """One image in twenty is predicted wrongly, other ones in every epoch and variant."""
    labels = _labels()
    wrong = random.random((EPOCHS, len(VARIANTS), len(labels))) < 0.05
    jitter = random.uniform(0.5, 1.5, size=(1, 1, len(labels), CLASSES, *CELLS))
    return Draw(_predicted(_mistaken(labels, wrong, random), random), _class_shapes(random) * jitter, labels)


def random_weights(random: np.random.Generator) -> Draw:
    """Signed maps of a random linear head on features that know nothing of the class; variants and epochs add noise."""
    labels, features = _labels(), 12
    seen = random.exponential(size=(1, 1, len(labels), features, 1, 1)) * random.exponential(size=(features, *CELLS))
    seen = seen + random.normal(0, 0.3, size=(EPOCHS, len(VARIANTS), *seen.shape[2:]))
    seen -= seen.mean(axis=(2, -2, -1), keepdims=True)
    maps = np.einsum("kf,evnfyx->evnkyx", random.normal(size=(CLASSES, features)), seen)
    return Draw(maps.mean((-2, -1)), maps, labels, signed=True)


def near_duplicates(random: np.random.Generator) -> Draw:
    """`confused`, but every three images are one photo, predicted alike."""
    labels = _labels(images=5)
    rate = random.uniform(0.02, 0.5, size=CLASSES)[labels]
    wrong = random.random((EPOCHS, len(VARIANTS), len(labels))) < rate
    logits = np.repeat(_predicted(_mistaken(labels, wrong, random), random), 3, axis=2)
    return Draw(logits + random.normal(0, 0.02, size=logits.shape), _class_shapes(random), np.repeat(labels, 3))


_TRUE_OF_CODES = ("localisation",)
NULLS: dict[str, Null] = {
    "noise": Null("logits and maps are noise", noise),
    "two classes": Null("the same with two classes", lambda random: noise(random, classes=2, images=45)),
    "normal": Null(
        "a variant lowers the logits of all classes alike: normal",
        lambda random: drops(random, lambda random, labels: random.normal(size=len(labels))),
        _TRUE_OF_CODES,
    ),
    "exponential": Null(
        "... exponential",
        lambda random: drops(random, lambda random, labels: random.exponential(size=len(labels))),
        _TRUE_OF_CODES,
    ),
    "lognormal": Null(
        "... lognormal",
        lambda random: drops(random, lambda random, labels: random.lognormal(0, 1.5, size=len(labels))),
        _TRUE_OF_CODES,
    ),
    "mixture": Null("... a tenth ten times as wide", lambda random: drops(random, mixture), _TRUE_OF_CODES),
    "uneven": Null("... five times as wide in one class", lambda random: drops(random, uneven), _TRUE_OF_CODES),
    "confused": Null(
        "classes are confused as often in each epoch and variant", confused, (*_TRUE_OF_CODES, "ensemble")
    ),
    "restless": Null("a coin predicts, under maps that never change", restless, (*_TRUE_OF_CODES, "ensemble")),
    "late": Null("maps of all classes form at epoch 3 on average", late, _TRUE_OF_CODES),
    "hard": Null("the label's logit alone decides what is wrong", hard, (*_TRUE_OF_CODES, "failure_ranking", "surer")),
    "formless": Null("good predictions from maps without a form", formless),
    "alike": Null("one pattern for all classes", alike),
    "heavy tails": Null("logits are Cauchy noise", heavy_tails),
    "few images": Null("confused, classes of 2 to 5 images", few_images, (*_TRUE_OF_CODES, "ensemble")),
    "imbalanced": Null(  # what is predicted as a rare class is mostly wrong, and each class has a map of its own
        "confused, classes of 2 to 80 images", imbalanced, (*_TRUE_OF_CODES, "ensemble", "failure_ranking")
    ),
    "template": Null("a coin decides between two classes of one pattern", shared_template, _TRUE_OF_CODES),
    "unchanged": Null("variants and epochs change nothing", unchanged, _TRUE_OF_CODES),
    "certain": Null(
        "confused, at a temperature of 0.01",
        lambda random: tempered(random, 0.01),
        (*_TRUE_OF_CODES, "ensemble"),
    ),
    "uncertain": Null("... of 100", lambda random: tempered(random, 100), (*_TRUE_OF_CODES, "ensemble")),
    "ties": Null("confused, with equal logits", ties, (*_TRUE_OF_CODES, "ensemble")),
    "hardly wrong": Null("one prediction in twenty is wrong", hardly_wrong, (*_TRUE_OF_CODES, "ensemble")),
    "random weights": Null("a random head on noise, signed maps", random_weights, (*_TRUE_OF_CODES, "surer")),
    "near duplicates": Null(
        "confused, every three images are one photo",
        near_duplicates,
        (*_TRUE_OF_CODES, "ensemble"),
        promised=False,
    ),
}
