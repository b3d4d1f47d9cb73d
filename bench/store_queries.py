"""The time of every query behind a page, warm and with the files dropped from the page cache."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench import document
from store import Run, open_run, queries
from store.analysis import read_analysis
from store.analysis.analysis_file import TABLES
from store.format.layout import epoch_file
from store.format.receipts import write_receipt

Query = Callable[[np.random.Generator], object]


@dataclass(frozen=True)
class Budget:
    """Milliseconds of the 95th percentile of a query, warm and with the files dropped from the page cache."""

    warm: int = 50
    cold: int = 200


def repeat_epochs(run: Run, count: int, folder: Path) -> Run:
    """A run of `count` epochs, copies of those of `run` in turn, without an analysis."""
    target = folder / "repeated"
    (target / "epochs").mkdir(parents=True)
    shutil.copyfile(run.path / "run.h5", target / "run.h5")
    for number in range(1, count + 1):
        shutil.copyfile(run.path / epoch_file(run.epochs[(number - 1) % len(run.epochs)]), target / epoch_file(number))
        with h5py.File(target / epoch_file(number), "r+", locking=False) as file:
            file.attrs["epoch"] = number
    write_receipt(target, None, run.id)
    return open_run(target)


def all_queries(run: Run) -> dict[str, Query]:
    """The queries of the pages, by name, each at a random place."""
    return {**_image_queries(run), **_epoch_queries(run), **_run_queries(run)}


def _at(run: Run, random: np.random.Generator) -> dict[str, Any]:
    return {"epoch": int(random.choice(run.epochs)), "variant": str(random.choice(run.variants))}


def _image_queries(run: Run) -> dict[str, Query]:
    """Queries about one image or fifty."""
    count = len(run.labels)

    def scattered(random: np.random.Generator) -> NDArray[np.int64]:
        return random.integers(0, count, 50)

    def neighbours(random: np.random.Generator) -> slice:
        start = int(random.integers(0, max(1, count - 50)))
        return slice(start, start + 50)

    def every_variant(random: np.random.Generator) -> object:
        at: dict[str, Any] = {"epoch": int(random.choice(run.epochs)), "images": random.integers(0, count, 1)}
        return [run.maps(variant=variant, classes=[0, len(run.classes) - 1], **at) for variant in run.variants]

    def layers(random: np.random.Generator) -> object:
        at: dict[str, Any] = {"epoch": int(random.choice(run.epochs)), "images": random.integers(0, count, 1)}
        return run.layers(**at), run.stages(**at)

    def search(random: np.random.Generator) -> object:
        index = queries.pattern_index(run, **_at(run, random))
        return queries.search_index(index, random.random(run.map_shape))

    return {
        "50 scattered images": lambda r: run.pixels(scattered(r)),
        "50 neighbouring images": lambda r: run.pixels(neighbours(r)),
        "all maps of one image": lambda r: run.maps(images=r.integers(0, count, 1), **_at(run, r)),
        "an image's maps under every variant": every_variant,
        "all maps of 50 neighbours": lambda r: run.maps(images=neighbours(r), **_at(run, r)),
        "probabilities of one image": lambda r: run.probabilities(images=r.integers(0, count, 1), **_at(run, r)),
        "true-class maps of 50 scattered images": lambda r: run.true_class_maps(images=scattered(r), **_at(run, r)),
        "true-class maps of 50 neighbours": lambda r: run.true_class_maps(images=neighbours(r), **_at(run, r)),
        "predicted maps of 50 scattered images": lambda r: run.predicted_class_maps(images=scattered(r), **_at(run, r)),
        "true-class maps of all images": lambda r: run.true_class_maps(**_at(run, r)),
        "layers and stages of one image": layers,
        "minimal correction": lambda r: queries.minimal_correction(run, int(r.integers(count)), **_at(run, r)),
        "images like a painted pattern": search,
    }


def _epoch_queries(run: Run) -> dict[str, Query]:
    """Queries about all images or classes of one epoch and variant."""

    def order(by: Any) -> Query:
        return lambda r: queries.class_order(run, by, **_at(run, r))

    return {
        "one column": lambda r: run.column("confidence", **_at(run, r)),
        "table of predictions": lambda r: run.predictions(**_at(run, r)),
        "confusion matrix": lambda r: run.confusion(**_at(run, r)),
        "class table": lambda r: run.class_table(**_at(run, r)),
        "class patterns": lambda r: run.patterns(**_at(run, r)),
        "classes by accuracy": order("accuracy"),
        "classes by similarity": order("similarity"),
        "failures, filtered and sorted": lambda r: queries.failures(run, **_at(run, r)),
        "confused pairs": lambda r: queries.confused_pairs(run, k=100, **_at(run, r)),
        "similarity against confusion": lambda r: queries.similarity_against_confusion(run, **_at(run, r)),
        "calibration": lambda r: queries.calibration_table(run, **_at(run, r)),
        "risk-coverage curve": lambda r: queries.risk_coverage(run, **_at(run, r)),
        "accepted errors": lambda r: queries.accepted_errors(run, **_at(run, r)),
        "evidence under a variant": lambda r: queries.evidence_under(run, **_at(run, r)),
        "cue profiles": lambda r: queries.cue_profiles(run, epoch=int(r.choice(run.epochs))),
    }


def _run_queries(run: Run) -> dict[str, Query]:
    """Queries over all epochs, and those that begin every rerun of a page."""
    count, classes = len(run.labels), len(run.classes)

    def variant(random: np.random.Generator) -> dict[str, Any]:
        return {"variant": str(random.choice(run.variants))}

    def analysis(random: np.random.Generator) -> object:
        found = read_analysis(run)
        return found and found.table(str(random.choice(list(TABLES))))

    def pair(random: np.random.Generator) -> dict[str, Any]:
        first, second = random.integers(classes, size=2).tolist()
        return {"true_class": first, "predicted_class": second}

    def place(random: np.random.Generator) -> dict[str, Any]:
        return {"image": int(random.integers(count)), "class_index": int(random.integers(classes))}

    return {
        "look for new epochs": lambda _: run.refresh(),
        "metrics": lambda _: run.metrics(),
        "one table of the analysis": analysis,
        "timeline of an image": lambda r: run.timeline(**place(r), **variant(r)),
        "one column over all epochs": lambda r: run.columns("prediction", **variant(r)),
        "class patterns over all epochs": lambda r: [run.patterns(epoch=e, **variant(r)) for e in run.epochs],
        "accuracy by variant": lambda _: queries.accuracy_by_variant(run),
        "accuracy of each class": lambda r: queries.class_accuracy(run, **variant(r)),
        "history of a pair": lambda r: queries.pair_history(run, **pair(r), **variant(r)),
        "history of the groups": lambda r: queries.group_history(run, **variant(r)),
    }


def reading_table(run: Run, *, warm: int = 40, cold: int = 12, budget: Budget = Budget()) -> str:
    """Median and 95th percentile of each query, milliseconds, warm and cold."""
    files = [path for path in (run.path, run.path / "epochs") for path in path.glob("*.h5")]
    rows, slow = [], []
    for name, query in all_queries(run).items():
        random = np.random.default_rng(0)
        query(random)
        cached = np.array([_milliseconds(query, random) for _ in range(warm)])
        dropped = np.array([_milliseconds(query, random, drop=files) for _ in range(cold)])
        times = [
            *np.percentile(cached[:, 1], [50, 95]),
            *np.percentile(cached[:, 0], [50, 95]),
            *np.percentile(dropped[:, 0], [50, 95]),
        ]
        slow += [name] if times[3] > budget.warm or times[5] > budget.cold else []
        rows.append((name, *(f"{value:.1f}" for value in times)))
    size = f"{len(run.epochs)} epochs x {len(run.variants)} variants x {len(run.labels):,} images x {len(run.classes)} "
    size += f"classes, {sum(path.stat().st_size for path in files) / 1e9:.1f} GB, "
    size += f"{'without' if read_analysis(run) is None else 'with'} an analysis."
    limits = (
        f"Milliseconds; budget of p95: {budget.warm} warm, {budget.cold} cold; over it: {', '.join(slow) or 'none'}."
    )
    headings = ("query", "CPU p50", "CPU p95", "warm p50", "warm p95", "cold p50", "cold p95")
    note = "Cold: the files were dropped from the page cache before each query."
    return f"{size}\n\n{document.table(headings, rows)}\n\n{limits}\n{note}"


def _milliseconds(query: Query, random: np.random.Generator, drop: Sequence[Path] = ()) -> tuple[float, float]:
    """Time by the clock and processor time of one query, after dropping files from the page cache."""
    for path in drop:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    began, worked = time.perf_counter(), time.process_time()
    query(random)
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)
