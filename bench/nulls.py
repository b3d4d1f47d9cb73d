"""How often does the Findings page state something that is false? `python -m bench nulls`

Runs are drawn of which it is known what is true, because it was drawn: classes that do not differ in what a statement
is about, variants that change nothing, maps that know nothing of the class or of the object. Each is written as a run,
analysed and read as the page reads it, so the whole way from the record to the sentence is tried. What such a run
states all the same is false; over all its statements together, 5 % of the runs of each kind may have one.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import document
from store import ClassInfo, RunDescription, Variant, create_run, open_run, resume_run
from store.analysis import Finding, from_table, read_analysis
from store.analysis.analyse import analyse
from store.metrics.intervals import wilson

Float64 = NDArray[np.float64]
RUNS = 300  # of each kind
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


@dataclass(frozen=True)
class Null:
    """A kind of run in which statements are false: what is so in it, how it is drawn, and the kinds that are true."""

    what: str
    draw: Callable[[np.random.Generator], Draw]
    true: tuple[str, ...] = ()


def is_false(finding: Finding, null: Null) -> bool:
    """Whether a statement goes beyond what is measured and is false in runs of this kind."""
    words = {
        "localisation": ("The maps encode", "The maps locate", "The maps move"),
        "failure_ranking": (" better than", " less well than"),
        "surer": ("surer",),
    }
    states = finding.kind == "formation before prediction" or not np.isnan(finding.p)
    if finding.kind in words:
        states = any(word in finding.text for word in words[finding.kind])
    return states and finding.kind not in null.true


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
    """Logits and maps of every epoch and variant drawn anew."""
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
    """Each class is predicted as the next with a probability of its own, anew in each epoch and variant."""
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
}


def write_null_run(path: Path, drawn: Draw, random: np.random.Generator) -> None:
    """Write a drawn run, with objects at random places, independent of everything."""
    epochs, variants, images, classes = drawn.logits.shape
    corners = random.integers(0, 8, size=(images, 2))
    description = RunDescription(
        name=path.name,
        classes=tuple(ClassInfo(f"c{i}", f"class {i}", f"group {i // 2}") for i in range(classes)),
        variants=tuple(map(Variant, VARIANTS[:variants])),
        labels=drawn.labels,
        image_names=tuple(f"{i}.png" for i in range(images)),
        image_shape=(16, 16),
        map_shape=CELLS,
        boxes=np.concatenate([corners, corners + 8], axis=1).astype(np.int16),
        planned_epochs=epochs,
    )
    pixels = random.integers(256, size=(images, 16, 16, 3), dtype=np.uint8)
    with create_run(path, description) as new:
        for variant in description.variant_names:
            new.write_images(variant, 0, pixels)
    writer = resume_run(path)
    shapes = np.broadcast_to(drawn.shapes, (*drawn.logits.shape, *CELLS))
    for epoch in range(epochs):
        with writer.epoch(epoch + 1, {}, threads=1) as recording:
            for number, variant in enumerate(description.variant_names):
                form, logits = shapes[epoch, number], np.maximum(drawn.logits[epoch, number], 0)
                maps = form / form.mean((-2, -1), keepdims=True) * logits[..., None, None]
                recording.write(variant, 0, maps.astype(np.float32))


def false_findings(null: Null, random: np.random.Generator) -> list[Finding]:
    """The false statements about one run of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "null"
        write_null_run(path, null.draw(random), random)
        run = open_run(path)
        analyse(run)
        analysis = read_analysis(run)
        assert analysis is not None
        return [entry for entry in from_table(analysis.table("findings")) if is_false(entry, null)]


def null_row(name: str, runs: int) -> tuple[str, ...]:
    """A row of the table: the runs of a kind, how many state something false, and of which kinds."""
    started, random = time.process_time(), np.random.default_rng(list(NULLS).index(name))
    kinds = [{entry.kind for entry in false_findings(NULLS[name], random)} for _ in range(runs)]
    false, counts = sum(map(bool, kinds)), Counter(kind for found in kinds for kind in found)
    low, high = (float(limit) for limit in wilson(false, runs))
    by_kind = ", ".join(f"{kind} {times}" for kind, times in counts.most_common()) or "none"
    share = (f"{false} ({100 * false / runs:.1f} %)", f"{100 * low:.1f} to {100 * high:.1f} %")
    return name, NULLS[name].what, str(runs), *share, by_kind, f"{time.process_time() - started:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh the table of docs/findings.md."""
    parser = document.parser("nulls", __doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each kind (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=NULLS, metavar="KIND", help="print the rows of some kinds")
    parser.add_argument("--output", type=Path, default=document.ROOT / "docs" / "findings.md")
    options = parser.parse_args(arguments)
    rows = []
    for name in options.only or NULLS:
        rows.append(null_row(name, options.runs))
        print(" | ".join(rows[-1]), flush=True)
    if not options.only:
        headings = ("kind", "what is so", "runs", "with a false statement", "95 % interval", "of which kinds", "CPU s")
        table = document.table(headings, rows, text_columns=len(headings))
        command = "python -m bench nulls" + (f" --runs {options.runs}" if options.runs != RUNS else "")
        block = f"\n{table}\n\n`store.analysis.findings` · `{command}`\n\n{document.now()}, {document.machine()}.\n"
        options.output.write_text(document.replace_blocks(options.output.read_text("utf-8"), {"null": block}), "utf-8")
    return 0
