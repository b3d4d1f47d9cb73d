"""What the pages ask of the store, cached: one function per question. No other module of the dashboard caches queries.

Tables and arrays are shared by all sessions, see `query_cache.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.images.sheet import Atlas, atlas
from dashboard.query_cache import cached_query, cached_run_query
from dashboard.shared.theme import one_line
from store import Run, RunNotFound, StoreError, Timeline, open_run, queries
from store.analysis import Analysis, Finding, from_table, read_analysis
from store.analysis.analysis_file import ARRAYS, TABLES
from store.analysis.localisation import localisation_of
from store.metrics.maps import cosine
from store.metrics.maps import similarity_to_others as similarity_to_others_of
from store.queries.table1 import recorded_result
from store.read.run_folders import FoundRuns, RunFolders
from store.read.source import State, path_state
from store.remote.patience import PatientQuestion

T = TypeVar("T")
_VARIANT_COLUMNS = ["variant", "variant_label", "top1", "top5", "mean_confidence", "flip_rate"]


# Runs


def runs_setting() -> str:
    """Where runs are looked for: CLASSPRINT_RUNS, folders and URLs with colons between them; by default ./runs."""
    return (os.environ.get("CLASSPRINT_RUNS") or "runs").encode(errors="replace").decode()  # pages hold text only


@st.cache_resource(max_entries=4, show_spinner=False)
def _run_folders(setting: str) -> RunFolders:
    return RunFolders(setting)


def found_runs() -> FoundRuns:
    """The runs that are there, the most recently written first, and what cannot be looked into."""
    return _run_folders(runs_setting()).look()


def run_names() -> list[str]:
    """The names of the runs, the most recently written first, those without an epoch last."""
    return list(found_runs().runs)


def run_name(run: Run) -> str:
    """The name that the dashboard calls a run by: its folder's, followed by where that is if several have it."""
    return _run_folders(runs_setting()).name_at(run.source.location) or run.path.name


def reason(error: Exception) -> str:
    """Why something cannot be read, in the store's words, or the error's kind where the store did not foresee it."""
    return str(error) if isinstance(error, StoreError) else f"it is malformed ({type(error).__name__})."


def open_neighbour(name: str) -> tuple[Run | None, str]:
    """A run beside the one that is shown, and why it cannot be read; its faults never stop a page."""
    try:
        return open_named_run(name), ""
    except Exception as error:
        return None, reason(error)


@dataclass(frozen=True)
class _OpenRun:
    """A run that all sessions share, and the question for its new epochs, which storage at a URL may answer late."""

    run: Run
    refresh: PatientQuestion[bool]


@st.cache_resource(max_entries=16, show_spinner=False)
def _open_run(location: str, state: State) -> _OpenRun:
    run = open_run(location)
    return _OpenRun(run, PatientQuestion(run.refresh, answer=False))


def open_named_run(name: str) -> Run:
    """One of the runs, with the epochs that are complete by now; of a run at a URL, those of a few seconds ago.

    Raises:
        StoreError: the run cannot be read.
    """
    return _opened(name).run


def storage_problem(name: str) -> str:
    """Why a run at a URL may have newer epochs than those that are shown; empty where nothing is wrong."""
    opened = _opened(name)
    return "" if opened.run.source.is_local else opened.refresh.latest()[1]


def _opened(name: str) -> _OpenRun:
    location = _run_folders(runs_setting()).location_of(name)
    if location is None:
        raise RunNotFound(f"The run {name!r} is no longer there. Choose another one.")
    # A run.h5 that was replaced is opened again. Of a URL, the state is empty: complete files never change there.
    opened = _open_run(location, path_state(Path(location) / "run.h5"))
    if opened.run.source.is_local:
        opened.run.refresh()
    else:
        opened.refresh.latest()
    return opened


@cached_query
def epoch_name(run: Run, epoch: int) -> str:
    """An epoch for people: its number, and its label where it has one, as in "12 (best)"."""
    label = one_line(queries.epoch_label(run, epoch))
    return f"{epoch} ({label})" if label else str(epoch)


# Classes


@cached_query
def class_ids(run: Run) -> list[str]:
    """The classes' identifiers in the run's order: what a link names a class by."""
    return [str(identifier) for identifier in run.classes["id"]]


@cached_query
def class_names(run: Run) -> list[str]:
    """The classes' names in the run's order."""
    return [str(name) for name in run.classes["name"]]


@cached_query
def class_labels(run: Run) -> dict[str, str]:
    """The classes' names by identifier: what a list of classes shows for each."""
    return dict(zip(class_ids(run), class_names(run), strict=True))


def variant_labels(run: Run) -> dict[str, str]:
    """The variants' labels by name, each on one line."""
    return {name: one_line(run.variant(name).label) for name in run.variants}


@cached_query
def class_groups(run: Run) -> list[str]:
    """Each class's group in the run's order."""
    return [str(group) for group in run.classes["group"]]


@cached_run_query
def class_order(run: Run, by: str, epoch: int, variant: str) -> np.ndarray:
    """Class numbers (C,) in an order: see `store.queries.class_order`."""
    return np.asarray(queries.class_order(run, by, epoch=epoch, variant=variant))  # type: ignore[arg-type]


# One epoch under one variant


@cached_query
def predictions(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """A row per image: label, prediction, confidence and every other summary column."""
    table = run.predictions(epoch=epoch, variant=variant)
    # Words as Python's own objects, shared by all rows: pages filter and sort these rows, and pandas' strings are
    # copied character by character each time.
    names, groups = np.array(class_names(run), object), np.array(class_groups(run), object)
    label, prediction = run.labels, table["prediction"].to_numpy()
    words = {
        "name": np.array(run.image_names, object),
        "true_class": names[label],
        "group": groups[label],
        "predicted_class": names[prediction],
        "predicted_group": groups[prediction],
    }
    return table.assign(**{column: pd.Series(values, dtype=object) for column, values in words.items()})


def _at_state(question: Callable[..., T], **fixed: Any) -> Callable[..., T]:
    """A question of the store as pages ask it, `(run, epoch, variant, further keywords)`, with its answers cached."""

    @cached_query
    def ask(run: Run, epoch: int, variant: str, **more: Any) -> T:
        return question(run, epoch=epoch, variant=variant, **fixed, **more)

    return ask


# What makes the state of a network unfit to be described: no page makes a claim from it (`notices.warn_degenerate`).
degeneracies = _at_state(queries.degeneracies)


def is_degenerate(run: Run, epoch: int, variant: str) -> bool:
    """Whether nothing should be concluded from a state of a network."""
    return bool(degeneracies(run, epoch, variant))


def ends_degenerate(run: Run) -> bool:
    """Whether nothing should be concluded from the last epoch, which the analysis describes."""
    return is_degenerate(run, run.epochs[-1], run.variants[0])


balanced_accuracy = _at_state(queries.balanced_accuracy)
# A row per class: accuracy, mean confidence, spread, counts.
class_table = _at_state(Run.class_table)
# Every class's pattern, which is the mean of the true-class maps of its images, (C, H, W) float32.
patterns = _at_state(Run.patterns)
# Counts (C, C) by true class and prediction, and the most frequent confusions.
confusion = _at_state(Run.confusion)
confused_pairs = _at_state(queries.confused_pairs, k=100)
# How similar the patterns of two classes are, against how often these are confused.
similar_classes = _at_state(queries.similarity_against_confusion, k=1200)
# A row per reliability bin; `edges` says how wide bins are, `label` whose images count.
calibration = _at_state(queries.calibration_table)
# The risk-coverage curve of the confidence score `score`.
risk_coverage = _at_state(queries.risk_coverage)
# Calibration with a temperature fitted on half of the images; deletion and insertion curves over the maps.
recalibration = _at_state(queries.recalibration_table)
removal_curves = _at_state(queries.removal_curves)
# What became of each prediction and its map under a variant.
evidence_under = _at_state(queries.evidence_under)


@cached_query
def evidence_outcomes(run: Run, epoch: int) -> pd.DataFrame:
    """A row per outcome and variant other than the clean one: outcome, images, variant, variant_label, share."""
    parts = []
    for variant, label in list(variant_labels(run).items())[1:]:
        counts = evidence_under(run, epoch, variant)["outcome"].value_counts()
        part = counts.rename_axis("outcome").reset_index(name="images")
        parts.append(part.assign(variant=variant, variant_label=label, share=part["images"] / len(run.labels)))
    return pd.concat(parts, ignore_index=True)


# How much of its logit each class loses under each variant, asked with `epoch`.
cue_profiles = cached_query(queries.cue_profiles)
# The images that two runs share; how many of a run have the pixels of another one.
shared_images = cached_query(queries.shared_images)
repeated_images = cached_query(queries.repeated_images)

# How often sets of classes contain the true one, and errors and dose by kind of perturbation, asked with `epoch`.
prediction_sets = cached_query(queries.prediction_sets)
corruption_errors = cached_query(queries.corruption_errors)
dose_curves = cached_query(queries.dose_curves)


# Images and their maps


@cached_query
def image_atlas(run: Run, images: tuple[int, ...], variants: tuple[str, ...], exact: bool = False) -> Atlas:
    """The images in one image file, in the given order; `variants` is one for all or one for each."""
    if len(set(variants)) == 1:
        return atlas(run.pixels(list(images), variant=variants[0]), exact=exact)
    pixels = np.empty((len(images), *run.image_shape, 3), np.uint8)
    for variant in dict.fromkeys(variants):  # one read of each variant, not one of each image
        rows = [row for row, own in enumerate(variants) if own == variant]
        pixels[rows] = run.pixels([images[row] for row in rows], variant=variant)
    return atlas(pixels, exact=exact)


@cached_query
def all_maps(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's map for one image, (C, H, W) float32."""
    return run.maps(epoch=epoch, variant=variant, images=[image])[0]


@cached_query
def probabilities(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's probability for one image, (C,) float32."""
    return run.probabilities(epoch=epoch, variant=variant, images=[image])[0]


@cached_query
def logits(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's logit for one image, (C,) float32."""
    return run.logits(epoch=epoch, variant=variant, images=[image])[0]


@cached_query
def true_class_maps(run: Run, epoch: int, variant: str, images: tuple[int, ...]) -> np.ndarray:
    """The map of each image's true class, (n, H, W) float32."""
    return run.true_class_maps(epoch=epoch, variant=variant, images=list(images))


@cached_query
def predicted_class_maps(run: Run, epoch: int, variant: str, images: tuple[int, ...]) -> np.ndarray:
    """The map of each image's predicted class, (n, H, W) float32."""
    return run.predicted_class_maps(epoch=epoch, variant=variant, images=list(images))


@cached_query
def _timeline_at(run: Run, image: int, class_index: int, variant: str, epoch: int) -> Timeline:
    return run.timeline(image=image, class_index=class_index, variant=variant, epochs=(epoch,))


def timeline(run: Run, image: int, class_index: int, variant: str, epochs: Sequence[int]) -> Timeline:
    """One class's map and probability of one image at some epochs, one or more, and the image's predictions."""
    # Cached epoch by epoch: a run that grows reads the new one only.
    moments = [_timeline_at(run, image, class_index, variant, epoch) for epoch in epochs]
    return Timeline(*(np.concatenate([getattr(moment, part.name) for moment in moments]) for part in fields(Timeline)))


@cached_query
def stages(run: Run, epoch: int, image: int) -> dict[str, np.ndarray]:
    """Each encoder stage's energy for one clean image, name -> (1, h, w)."""
    return dict(run.stages(epoch=epoch, images=[image]))


@cached_query
def layers(run: Run, epoch: int, image: int) -> dict[str, np.ndarray]:
    """The layers before the class maps for one clean image, name -> (1, K, h, w)."""
    return dict(run.layers(epoch=epoch, images=[image]))


@cached_query
def similarity_to_others(run: Run, epoch: int, variant: str, label: int) -> np.ndarray:
    """Cosine of each true-class map of a class's images to the mean of the others, (images of the class,) float32."""
    images = np.flatnonzero(run.labels == label)
    maps = run.true_class_maps(epoch=epoch, variant=variant, images=images)
    return similarity_to_others_of(maps, np.zeros(len(images), int))


@cached_query
def minimal_correction(
    run: Run, image: int, epoch: int, variant: str, against: int | None
) -> queries.MinimalCorrection:
    """Which cells made one prediction, and how few undo it: see `store.queries.minimal_correction`."""
    return queries.minimal_correction(run, image, epoch=epoch, variant=variant, against=against)


@cached_query
def pattern_index(run: Run, epoch: int, variant: str, kind: str) -> queries.PatternIndex:
    """All predicted-class or true-class maps of a state, ready to be searched: see `store.queries.pattern_index`."""
    index = queries.pattern_index(run, epoch=epoch, variant=variant, kind=kind)  # type: ignore[arg-type]
    index.units.flags.writeable = False
    return index


@cached_query
def nearest_images(run: Run, image: int, epoch: int, variant: str) -> pd.DataFrame:
    """The images whose predicted-class map is most similar to this one's: see `store.queries.search_index`."""
    index = pattern_index(run, epoch, variant, "predicted_class")
    nearest = queries.search_index(index, index.units[image].reshape(run.map_shape), k=11)
    return nearest[nearest["image"] != image].head(10).reset_index(drop=True)


def search_pattern(run: Run, pattern: np.ndarray, epoch: int, variant: str) -> pd.DataFrame:
    """The images whose predicted-class map is most similar to a pattern (H, W): see `store.queries.search_index`."""
    return queries.search_index(pattern_index(run, epoch, variant, "predicted_class"), pattern, k=10)


# All epochs


# A row for each of some epochs: losses, accuracies, rates.
metrics = cached_run_query(queries.epoch_metrics)
# A row per epoch and class: epoch, class_index, name, group, accuracy, mean_confidence; asked with `variant`.
class_accuracy = cached_run_query(queries.class_accuracy)
epoch_churn = cached_run_query(queries.epoch_churn)
epoch_pairs = cached_run_query(queries.epoch_pairs)
# How often two classes (`true_class`, `predicted_class`) or groups were predicted as each other at every epoch.
pair_history = cached_run_query(queries.pair_history)
group_history = cached_run_query(queries.group_history)
# Over the runs that are its arguments; then what the ledger says of the training images, and their thumbnails.
spread_over_seeds = cached_run_query(lambda *runs: queries.spread_over_seeds(runs))
training_images = cached_run_query(queries.training_images)
training_thumbnails = cached_run_query(lambda run: run.training_ledger.thumbnails())


def epochs_without_fetching(run: Run) -> tuple[int, ...]:
    """The epochs whose figures need no file from a URL, because the analysis has them or they are on this machine."""
    known = {*analysis_epochs(run), *run.epochs_at_hand}
    return tuple(epoch for epoch in run.epochs if epoch in known)


@cached_run_query
def all_patterns(run: Run, variant: str) -> np.ndarray:
    """Every class's pattern at every epoch, (E, C, H, W) float32."""
    return np.stack([patterns(run, epoch, variant) for epoch in run.epochs])


@cached_run_query
def similarity_to_final(run: Run, variant: str) -> np.ndarray:
    """Cosine similarity of every class's pattern at every epoch to its final pattern, (E, C)."""
    patterns_by_epoch = all_patterns(run, variant)
    return cosine(patterns_by_epoch, np.broadcast_to(patterns_by_epoch[-1], patterns_by_epoch.shape))


@cached_run_query
def accuracy_grid(run: Run, variant: str) -> np.ndarray:
    """Accuracy of every class at every epoch, (E, C)."""
    table = class_accuracy(run, variant=variant)
    return table.pivot(index="epoch", columns="class_index", values="accuracy").to_numpy()


@cached_run_query
def accuracy_by_variant(run: Run) -> pd.DataFrame:
    """A row per epoch and variant: see `store.queries.accuracy_by_variant`; with the column variant_label."""
    return _with_variant_labels(run, queries.accuracy_by_variant(run))


def _with_variant_labels(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(variant_label=table["variant"].map(variant_labels(run)))


@cached_query
def variants_at(run: Run, epoch: int) -> pd.DataFrame:
    """A row per variant at one epoch: variant, variant_label, top1, top5, mean_confidence, flip_rate."""
    return _with_variant_labels(run, queries.accuracy_by_variant(run, epochs=(epoch,)))[_VARIANT_COLUMNS]


def variant_row(run: Run, epoch: int, variant: str) -> dict[str, float]:
    """Accuracy, confidence and flips of one variant at one epoch."""
    return variants_at(run, epoch).set_index("variant").loc[variant].to_dict()


# The run's row of Table 1; asked with `best` and `epochs`.
table1_row = cached_run_query(recorded_result)


@cached_run_query
def pair_counts(run: Run, epoch: int, variant: str) -> np.ndarray:
    """How often each of the `confused_pairs` occurred at every epoch, (pairs, E) int64."""
    pairs = confused_pairs(run, epoch, variant)[["true_class_index", "predicted_class_index"]]
    return queries.pair_counts(run, pairs.to_numpy(), variant=variant)


# The cross-epoch analysis


@cached_run_query
def _checked_analysis(run: Run) -> Analysis | None:
    """The run's analysis with every table and array read once; None where there is none."""
    analysis = read_analysis(run)
    if analysis is not None:
        tables = {name: analysis.table(name) for name in TABLES}
        for name in ARRAYS:
            analysis.array(name)
        from_table(tables["findings"])
        localisation_of(tables["localisation"])
    return analysis


def _analysis(run: Run) -> tuple[Analysis | None, str]:
    """The run's analysis, None where there is none, and why it cannot be read, empty where it can."""
    # Not cached: why it cannot be read now (permission, memory, open files) need not hold at the next look.
    try:
        return _checked_analysis(run), ""
    except Exception as error:  # a derived file must not take the pages with it that can do without
        return None, reason(error)


def analysis_epochs(run: Run) -> tuple[int, ...]:
    """The epochs that the run's analysis was made from; empty where there is none."""
    analysis, _ = _analysis(run)
    return () if analysis is None else analysis.epochs


def analysis_damage(run: Run) -> str:
    """Why the analysis that is there cannot be read; empty where it can, or where there is none."""
    return _analysis(run)[1]


def analysis_table(run: Run, name: str) -> pd.DataFrame | None:
    """A table of the run's analysis; None where the run has none that can be read."""
    return _analysis_part(run, "table", name)


def analysis_array(run: Run, name: str) -> np.ndarray | None:
    """An array of the run's analysis; None where the run has none that can be read."""
    return _analysis_part(run, "array", name)


def _analysis_part(run: Run, kind: str, name: str) -> Any:
    return None if _analysis(run)[0] is None else _read_part(run, kind, name)


@cached_run_query
def _read_part(run: Run, kind: str, name: str) -> Any:
    analysis = _checked_analysis(run)
    return None if analysis is None else getattr(analysis, kind)(name)


def findings(run: Run) -> list[Finding]:
    """The most striking true statements about the run, strongest first; empty without an analysis."""
    table = analysis_table(run, "findings")
    return [] if table is None else from_table(table)


def localisation(run: Run) -> str:
    """Whether the run's maps are places in the image: 'locates', 'encodes', 'neither' or 'unknown'."""
    table = analysis_table(run, "localisation")
    return "unknown" if table is None else localisation_of(table)
