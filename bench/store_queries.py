"""The time of every query behind a page, warm and with the files dropped from the page cache."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store import Run, open_run, queries
from store.analysis import read_analysis
from store.format.layout import epoch_file
from store.format.receipts import write_receipt

Query = Callable[[np.random.Generator], object]
WARM_BUDGET, COLD_BUDGET = 50, 200  # milliseconds, of the 95th percentile


def repeated(run: Run, count: int, folder: Path) -> Run:
    """A run of `count` epochs, copies of those of `run` in turn; the images and the analysis are those of `run`."""
    target = folder / "big"
    (target / "epochs").mkdir(parents=True)
    _link_or_copy(run.path / "run.h5", target / "run.h5")
    for number in range(1, count + 1):
        shutil.copyfile(run.path / epoch_file(run.epochs[(number - 1) % len(run.epochs)]), target / epoch_file(number))
        with h5py.File(target / epoch_file(number), "r+", locking=False) as file:
            file.attrs["epoch"] = number
    write_receipt(target, None, run.id)
    return open_run(target)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def all_queries(run: Run) -> dict[str, Query]:
    """What the pages ask, by name, each at random places."""
    return {**_of_images(run), **_of_an_epoch(run), **_of_states(run), **_over_epochs(run)}


def _at(run: Run, random: np.random.Generator) -> dict[str, Any]:
    return {"epoch": int(random.choice(run.epochs)), "variant": str(random.choice(run.variants))}


def _of_images(run: Run) -> dict[str, Query]:
    """Queries about one image or some."""
    count = len(run.labels)

    def few(random: np.random.Generator) -> np.ndarray:
        return random.integers(0, count, 50)

    def stretch(random: np.random.Generator) -> slice:
        start = int(random.integers(0, max(1, count - 50)))
        return slice(start, start + 50)

    def each_variant(random: np.random.Generator) -> list[object]:
        epoch, image = int(random.choice(run.epochs)), random.integers(0, count, 1)
        return [
            run.maps(epoch=epoch, variant=variant, images=image, classes=[0, len(run.classes) - 1])
            for variant in run.variants
        ]

    return {
        "50 scattered images": lambda r: run.pixels(few(r)),
        "50 neighbouring images": lambda r: run.pixels(stretch(r)),
        "all maps of one image": lambda r: run.maps(images=r.integers(0, count, 1), **_at(run, r)),
        "an image's maps under every variant": each_variant,
        "all maps of 50 neighbours": lambda r: run.maps(images=stretch(r), **_at(run, r)),
        "probabilities of one image": lambda r: run.probabilities(images=r.integers(0, count, 1), **_at(run, r)),
        "own maps of 50 scattered images": lambda r: run.true_class_maps(images=few(r), **_at(run, r)),
        "own maps of 50 neighbours": lambda r: run.true_class_maps(images=stretch(r), **_at(run, r)),
        "predicted maps of 50 scattered images": lambda r: run.predicted_class_maps(images=few(r), **_at(run, r)),
        "own maps of all images": lambda r: run.true_class_maps(**_at(run, r)),
        "layers and stages of one image": lambda r: _layers(run, r),
        "anatomy of a prediction": lambda r: queries.minimal_correction(run, int(r.integers(count)), **_at(run, r)),
        "nearest images": lambda r: queries.nearest_images(run, int(r.integers(count)), **_at(run, r)),
        "images like a painted pattern": lambda r: queries.search_pattern(run, r.random(run.map_shape), **_at(run, r)),
    }


def _layers(run: Run, random: np.random.Generator) -> object:
    at: dict[str, Any] = {"epoch": int(random.choice(run.epochs)), "images": random.integers(0, len(run.labels), 1)}
    return run.layers(**at), run.stages(**at)


def _of_an_epoch(run: Run) -> dict[str, Query]:
    """Queries about all images or classes of one epoch and variant."""

    def order(by: str) -> Query:
        return lambda r: queries.class_order(run, by, **_at(run, r))  # type: ignore[arg-type]

    return {
        "one column": lambda r: run.column("confidence", **_at(run, r)),
        "table of predictions": lambda r: run.predictions(**_at(run, r)),
        "confusion matrix": lambda r: run.confusion(**_at(run, r)),
        "class table": lambda r: run.class_table(**_at(run, r)),
        "class patterns": lambda r: run.patterns(**_at(run, r)),
        "classes by accuracy": order("accuracy"),
        "classes by similarity": order("similarity"),
        "best and worst classes": lambda r: queries.best_worst_classes(run, **_at(run, r)),
        "failures, filtered and sorted": lambda r: queries.failures(run, **_at(run, r)),
        "confused pairs": lambda r: queries.confused_pairs(run, k=100, **_at(run, r)),
        "confusion of groups": lambda r: queries.group_confusion(run, **_at(run, r)),
        "similarity against confusion": lambda r: queries.similarity_against_confusion(run, **_at(run, r)),
        "calibration": lambda r: queries.calibration_table(run, **_at(run, r)),
        "risk-coverage curve": lambda r: queries.risk_coverage(run, **_at(run, r)),
        "wrongly accepted": lambda r: queries.accepted_errors(run, **_at(run, r)),
        "figures of every score": lambda r: queries.score_metrics(run, **_at(run, r)),
    }


def _of_states(run: Run) -> dict[str, Query]:
    """Queries that compare variants, or two epochs."""

    def flips(random: np.random.Generator) -> object:
        states = [tuple(_at(run, random).values()) for _ in range(2)]
        return queries.flips(run, before=states[0], after=states[1])  # type: ignore[arg-type]

    return {
        "predictions that differ between two states": flips,
        "evidence under a variant": lambda r: queries.evidence_under(run, **_at(run, r)),
        "cue profiles of the cues": lambda r: queries.cue_profiles(run, epoch=int(r.choice(run.epochs))),
    }


def _over_epochs(run: Run) -> dict[str, Query]:
    """Queries over all epochs, and what every rerun of a page begins with."""
    count, classes = len(run.labels), len(run.classes)

    def variant(random: np.random.Generator) -> str:
        return str(random.choice(run.variants))

    def analysis(random: np.random.Generator) -> object:
        found = read_analysis(run)
        return None if found is None else found.table(str(random.choice(found.tables)))

    return {
        "look for new epochs": lambda _: run.refresh(),
        "metrics": lambda _: run.metrics(),
        "one table of the analysis": analysis,
        "timeline of an image": lambda r: run.timeline(
            image=int(r.integers(count)), class_index=int(r.integers(classes)), variant=variant(r)
        ),
        "one column over all epochs": lambda r: run.columns("prediction", variant=variant(r)),
        "class patterns over all epochs": lambda r: _all_patterns(run, variant(r)),
        "accuracy by variant": lambda _: queries.accuracy_by_variant(run),
        "accuracy of each class": lambda r: queries.class_accuracy(run, variant=variant(r)),
        "corruption errors": lambda _: queries.corruption_errors(run, reference=run.epochs[0]),
        "history of a pair": lambda r: queries.pair_history(
            run, true_class=int(r.integers(classes)), predicted_class=int(r.integers(classes)), variant=variant(r)
        ),
        "history of the groups": lambda r: queries.group_history(run, variant=variant(r)),
        "events of the pairs": lambda _: queries.pair_events(run),
    }


def _all_patterns(run: Run, variant: str) -> np.ndarray:
    return np.stack([run.patterns(epoch=epoch, variant=variant) for epoch in run.epochs])


def reading_table(run: Run, *, warm: int = 40, cold: int = 12) -> list[str]:
    """Lines of a table: median and 95th percentile of each query, milliseconds, warm and cold."""
    files = [path for path in (run.path, run.path / "epochs") for path in path.glob("*.h5")]
    analysed = "with" if read_analysis(run) is not None else "without"
    size = sum(path.stat().st_size for path in files)
    lines = [
        f"{len(run.epochs)} epochs x {len(run.variants)} variants x {len(run.labels):,} images x {len(run.classes)} "
        f"classes, {size / 1e9:.1f} GB, {analysed} an analysis.",
        "",
        "| query | CPU p50 | warm p50 | warm p95 | cold p50 | cold p95 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    over = []
    for name, query in all_queries(run).items():
        random = np.random.default_rng(0)
        query(random)
        cached = np.array([_milliseconds(query, random) for _ in range(warm)])
        chilled = [_after_dropping(files, query, random) for _ in range(cold)]
        shown = [np.median(cached[:, 1]), *np.percentile(cached[:, 0], [50, 95]), *np.percentile(chilled, [50, 95])]
        if shown[2] > WARM_BUDGET or shown[4] > COLD_BUDGET:
            over.append(name)
        lines.append(f"| {name} | {' | '.join(f'{value:.1f}' for value in shown)} |")
    budget = (
        f"Milliseconds; budget of p95: {WARM_BUDGET} warm, {COLD_BUDGET} cold; over it: {', '.join(over) or 'none'}."
    )
    return [*lines, "", budget, "Cold: the files were dropped from the page cache before each query.", ""]


def _milliseconds(query: Query, random: np.random.Generator) -> tuple[float, float]:
    """Time by the clock and time of a core's work."""
    began, worked = time.perf_counter(), time.process_time()
    query(random)
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - worked)


def _after_dropping(files: list[Path], query: Query, random: np.random.Generator) -> float:
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    return _milliseconds(query, random)[0]
