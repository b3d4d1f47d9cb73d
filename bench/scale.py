"""A run as large as ImageNet's validation set: what it costs to write, to analyse, to ask and to look at.

    python -m bench scale [--images 50000] [--classes 1000] [--top 20] [--folder DIR] [--keep]

The maps are made up: a pattern for each class, stronger where the class is likely, with noise and confusions between
neighbouring classes. They go through the real writer with the maps of the strongest classes kept, then through the
analysis, every query of a page and every page of a dashboard. The run takes about a gigabyte and is removed at the end.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from bench import document, sessions
from bench.sessions import HOME, PAGES, TITLES, View
from bench.store_queries import Budget, reading_table
from dashboard.browser import serve_dashboard
from store import Run, RunDescription, Variant, create_run, open_run, resume_run
from store.analysis.analyse import analyse
from store.format.description import ClassInfo

BATCH = 250
CELLS = (7, 7)  # of a ResNet at 224 pixels
SIDE = 32  # pixels of the made-up images
NEIGHBOURS = 10  # classes among which an image may be confused
BUDGET = Budget(warm=100, cold=400)
VISITS = 3  # of each page, after the first


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print tables in Markdown."""
    parser = document.parser("scale", __doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--top", type=int, default=20, help="classes of each image whose maps are kept")
    parser.add_argument("--variants", nargs="+", default=["clean", "gray"])
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--keep", action="store_true", help="leave the run in --folder, and use one that is there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        path = (options.folder if options.keep else Path(temporary)) / "runs" / "scale"
        steps = []
        if not (path / "run.h5").exists():
            made = describe(options.images, options.classes, options.top, options.variants)
            steps.append(step("images written", lambda: write_images(path, made)))
            steps.append(step("an epoch recorded", lambda: write_epoch(path)))
            steps.append(step("analysis", lambda: analyse(open_run(path))))
        run = open_run(path)
        print(f"{document.table(('what', 'seconds', 'processor', 'peak memory, MB'), steps)}\n\n{sizes(run)}\n")
        print(reading_table(run, warm=20, cold=5, budget=BUDGET), end="\n\n", flush=True)
        print(pages_table(run))


def describe(images: int, classes: int, top: int, variants: Sequence[str]) -> RunDescription:
    """A run whose classes have equally many images."""
    digits = len(str(classes - 1))
    return RunDescription(
        name="scale",
        classes=tuple(ClassInfo(f"c{n:0{digits}d}", f"class {n}", f"group {n // NEIGHBOURS}") for n in range(classes)),
        variants=tuple(map(Variant, variants)),
        labels=np.arange(images) * classes // images,
        image_names=tuple(f"image_{number:06d}.jpg" for number in range(images)),
        image_shape=(SIDE, SIDE),
        map_shape=CELLS,
        signed=True,
        configuration={"data": {"source": "made up"}, "model": {"name": "made up"}},
        evidence="exact",
        evidence_error=1e-6,
        kept_maps=top,
    )


def write_images(path: Path, description: RunDescription) -> None:
    """The run with made-up images: a gradient in a colour of the class, and a few pixels of the image's own."""
    ramp = np.linspace(0, 160, SIDE)[:, None] + np.linspace(0, 60, SIDE)
    random = np.random.default_rng(0)
    colours = random.uniform(0.3, 1, (len(description.classes), 3))
    with create_run(path, description) as new:
        for rows in _batches(len(description.labels)):
            images = (ramp[:, :, None] * colours[description.labels[rows], None, None]).astype(np.uint8)
            images[:, :2, :2] = random.integers(0, 256, (len(images), 2, 2, 3))
            for number, variant in enumerate(description.variant_names):
                new.write_images(variant, rows.start, images if not number else images.mean(-1, keepdims=True)
                                 .astype(np.uint8).repeat(3, -1))  # fmt: skip


def write_epoch(path: Path) -> None:
    """One epoch, through the writer as a network's maps go."""
    writer = resume_run(path)
    description = writer.facts.description
    random = np.random.default_rng(1)
    patterns = random.random((len(description.classes), *CELLS), np.float32) ** 4
    patterns /= patterns.mean((1, 2), keepdims=True)
    noise = random.normal(0, 0.3, (BATCH, len(description.classes), *CELLS)).astype(np.float32)
    with writer.epoch(1, {"validation_loss": 1.0, "validation_top1": 0.7, "validation_top5": 0.9}) as epoch:
        for rows in _batches(len(description.labels)):
            labels = description.labels[rows]
            for number, variant in enumerate(description.variant_names):
                strengths = _strengths(labels, len(description.classes), 0.5 * number, random)
                maps = strengths[:, :, None, None] * patterns
                maps += noise[: len(maps)]
                epoch.write(variant, rows.start, maps)


def _strengths(labels: NDArray, classes: int, weaker: float, random: np.random.Generator) -> NDArray[np.float32]:
    """A logit (n, C) for each class: highest mostly for the true one, high for its neighbours."""
    found = random.normal(0, 1, (len(labels), classes)).astype(np.float32)
    group = labels[:, None] // NEIGHBOURS * NEIGHBOURS + np.arange(NEIGHBOURS)
    np.put_along_axis(found, np.minimum(group, classes - 1), random.normal(4, 1.5, group.shape).astype("f4"), 1)
    found[np.arange(len(labels)), labels] = random.normal(8 - weaker, 2, len(labels))
    return found


def _batches(count: int) -> Iterator[slice]:
    return (slice(start, min(start + BATCH, count)) for start in range(0, count, BATCH))


def step(name: str, work: Callable[[], object]) -> tuple[str, ...]:
    """A line of the table: seconds by the clock and of the processor, and the process's peak memory so far."""
    began, worked = time.perf_counter(), time.process_time()
    work()
    began, worked = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return name, f"{began:.1f}", f"{worked:.1f}", f"{peak:.0f}"


def sizes(run: Run) -> str:
    """The bytes of each file of the run."""
    files = sorted(path for path in run.path.rglob("*.h5"))
    each = ", ".join(f"{path.relative_to(run.path)} {path.stat().st_size / 1e6:.0f} MB" for path in files)
    return f"Files: {each}."


def pages_table(run: Run) -> str:
    """Server time of every page, first and later, with the server's memory after it, and what went wrong."""
    rows, failures = [], []
    with serve_dashboard(run.path.parent) as server:
        for page in PAGES:
            views = [View(page, urlencode({"run": run.path.name, **_selection(run, n)})) for n in range(VISITS + 1)]
            before = sessions.processor_seconds(server.process_id)
            reruns = asyncio.run(sessions.visit_all(server.url, [View(HOME, f"run={run.path.name}"), *views]))[1:]
            worked = 1000 * (sessions.processor_seconds(server.process_id) - before) / len(reruns)
            first, *later = [1000 * rerun.seconds for rerun in reruns]
            failures += [rerun.failure for rerun in reruns]
            figures = first, np.median(later), worked, reruns[0].size / 1000, sessions.memory(server.process_id)[0]
            rows.append((TITLES[page], *(f"{figure:.0f}" for figure in figures)))
    headings = ("server time, ms", "first", "another selection", "processor, mean", "kB", "server's memory, MB")
    return document.table(headings, rows) + document.failure_lines(failures)


def _selection(run: Run, number: int) -> dict[str, str]:
    """Another class and image at each visit."""
    class_ids = run.classes["id"]
    return {
        "class": str(class_ids[number * 97 % len(class_ids)]),
        "image": str(number * 7919 % len(run.labels)),
        "variant": run.variants[number % len(run.variants)],
    }
