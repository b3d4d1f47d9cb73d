"""Cached calls into the store: the only module of the dashboard that caches.

A sealed epoch never changes, so an entry never goes stale: keys are the run's identity, the epoch, the variant and
what else was asked, never an array. Tables are handed out as shallow copies (pandas copies on write), arrays are
read-only.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.images import Atlas, atlas
from store import Run, Timeline, open_run, queries

_BY_RUN = {Run: lambda run: (str(run.path), run.id)}


@st.cache_resource
def freeze() -> None:
    """Take everything loaded at start out of the collector's reach.

    Streamlit collects garbage after every run of the script; with pandas and Altair loaded that is most of the
    time of a rerun, and it holds up every other reader. What is frozen here lives as long as the process anyway.
    """
    gc.collect()
    gc.freeze()


def runs_folder() -> Path:
    """The folder of runs: CLASSPRINT_RUNS, by default ./runs."""
    return Path(os.environ.get("CLASSPRINT_RUNS") or "runs")


def run_names() -> list[str]:
    """The names of the runs, the most recently written first; empty where the folder is missing."""
    folder = runs_folder()
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if (path / "run.h5").is_file()]
    return [path.name for path in sorted(found, key=_last_written, reverse=True)]


def _last_written(path: Path) -> float:
    epochs = path / "epochs"
    return (epochs if epochs.is_dir() else path).stat().st_mtime


@st.cache_resource(max_entries=16, show_spinner=False)
def _opened(path: str, stamp: int) -> Run:
    return open_run(path)


def open_named_run(name: str) -> Run:
    """A run of the folder, with the epochs that are sealed by now.

    Raises:
        StoreError: the run cannot be read.
    """
    path = runs_folder() / name
    try:
        stamp = (path / "run.h5").stat().st_mtime_ns
    except OSError:
        stamp = 0  # gone since it was listed: the store says so
    run = _opened(str(path), stamp)
    run.refresh()
    return run


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_BY_RUN)
def class_ids(run: Run) -> list[str]:
    """The classes' identifiers in the run's order: what a link names a class by."""
    return [str(identifier) for identifier in run.classes["id"]]


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_BY_RUN)
def class_names(run: Run) -> list[str]:
    """The classes' names in the run's order."""
    return [str(name) for name in run.classes["name"]]


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_BY_RUN)
def class_groups(run: Run) -> list[str]:
    """Each class's group in the run's order."""
    return [str(group) for group in run.classes["group"]]


@st.cache_resource(max_entries=48, show_spinner=False, hash_funcs=_BY_RUN)
def _predictions(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    return run.predictions(epoch=epoch, variant=variant)


def predictions(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """A row per picture: label, prediction, confidence and every other summary column."""
    return _predictions(run, epoch, variant).copy(deep=False)


@st.cache_resource(max_entries=96, show_spinner=False, hash_funcs=_BY_RUN)
def _class_table(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    return run.class_table(epoch=epoch, variant=variant)


def class_table(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """A row per class: accuracy, mean confidence, spread, counts."""
    return _class_table(run, epoch, variant).copy(deep=False)


@st.cache_resource(max_entries=96, show_spinner=False, hash_funcs=_BY_RUN)
def patterns(run: Run, epoch: int, variant: str) -> np.ndarray:
    """The mean own map of every class, (C, H, W) float32."""
    return _frozen(run.patterns(epoch=epoch, variant=variant))


@st.cache_resource(max_entries=48, show_spinner=False, hash_funcs=_BY_RUN)
def confusion(run: Run, epoch: int, variant: str) -> np.ndarray:
    """Counts (C, C) by truth and prediction."""
    return _frozen(run.confusion(epoch=epoch, variant=variant))


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_BY_RUN)
def _metrics(run: Run, epochs: tuple[int, ...]) -> pd.DataFrame:
    return run.metrics()


def metrics(run: Run) -> pd.DataFrame:
    """A row per epoch: losses, accuracies, rates."""
    return _metrics(run, run.epochs).copy(deep=False)


@st.cache_resource(max_entries=256, show_spinner=False, hash_funcs=_BY_RUN)
def variant_row(run: Run, epoch: int, variant: str) -> dict[str, float]:
    """Accuracy, confidence and flips of one variant at one epoch."""
    answers = run.column("prediction", epoch=epoch, variant=variant)
    clean = run.column("prediction", epoch=epoch, variant=run.variants[0])
    return {
        "top1": float((answers == run.labels).mean()),
        "top5": float((run.column("truth_rank", epoch=epoch, variant=variant) <= 5).mean()),
        "mean_confidence": float(run.column("confidence", epoch=epoch, variant=variant).mean()),
        "flip_rate": float((answers != clean).mean()),
    }


def by_variant(run: Run, epoch: int) -> pd.DataFrame:
    """A row per variant at one epoch: variant, top1, top5, mean_confidence, flip_rate."""
    return pd.DataFrame([{"variant": variant, **variant_row(run, epoch, variant)} for variant in run.variants])


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=_BY_RUN)
def picture_atlas(run: Run, images: tuple[int, ...], variants: tuple[str, ...], exact: bool = False) -> Atlas:
    """The pictures as one image file, in the order asked for; `variants` is one for all or one for each."""
    if len(set(variants)) == 1:
        return atlas(run.pictures(list(images), variant=variants[0]), exact=exact)
    parts = [run.pictures([image], variant=variant) for image, variant in zip(images, variants, strict=True)]
    return atlas(np.concatenate(parts), exact=exact)


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=_BY_RUN)
def all_maps(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's map for one picture, (C, H, W) float32."""
    return _frozen(run.maps(epoch=epoch, variant=variant, images=[image])[0])


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=_BY_RUN)
def probabilities(run: Run, epoch: int, variant: str, image: int) -> np.ndarray:
    """Every class's probability for one picture, (C,) float32."""
    return _frozen(run.probabilities(epoch=epoch, variant=variant, images=[image])[0])


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=_BY_RUN)
def own_maps(run: Run, epoch: int, variant: str, images: tuple[int, ...]) -> np.ndarray:
    """The map of each picture's true class, (n, H, W) float32."""
    return _frozen(run.own_maps(epoch=epoch, variant=variant, images=list(images)))


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=_BY_RUN)
def predicted_maps(run: Run, epoch: int, variant: str, images: tuple[int, ...]) -> np.ndarray:
    """The map of each picture's predicted class, (n, H, W) float32."""
    return _frozen(run.predicted_maps(epoch=epoch, variant=variant, images=list(images)))


def _frozen(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    values.flags.writeable = False
    return values


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=_BY_RUN)
def _timeline(run: Run, image: int, class_index: int, variant: str, epochs: tuple[int, ...]) -> Timeline:
    return run.timeline(image=image, class_index=class_index, variant=variant)


def timeline(run: Run, image: int, class_index: int, variant: str) -> Timeline:
    """One class's map and probability of one picture at every epoch, and what was answered."""
    return _timeline(run, image, class_index, variant, run.epochs)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_BY_RUN)
def stages(run: Run, epoch: int, image: int) -> dict[str, np.ndarray]:
    """Each encoder stage's energy for one clean picture, name -> (1, h, w)."""
    return dict(run.stages(epoch=epoch, images=[image]))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_BY_RUN)
def layers(run: Run, epoch: int, image: int) -> dict[str, np.ndarray]:
    """The layers before the class maps for one clean picture, name -> (1, K, h, w)."""
    return dict(run.layers(epoch=epoch, images=[image]))


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=_BY_RUN)
def class_order(run: Run, by: str, epoch: int, variant: str) -> np.ndarray:
    """Class numbers (C,) in the order asked for: see `store.queries.class_order`."""
    return _frozen(queries.class_order(run, by, epoch=epoch, variant=variant))  # type: ignore[arg-type]


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=_BY_RUN)
def confused_pairs(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """The hundred most frequent confusions: see `store.queries.confused_pairs`."""
    return queries.confused_pairs(run, epoch=epoch, variant=variant, k=100)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=_BY_RUN)
def _pair_history(run: Run, truth: int, answer: int, variant: str, epochs: tuple[int, ...]) -> pd.DataFrame:
    return queries.pair_history(run, truth=truth, predicted=answer, variant=variant)


def pair_history(run: Run, truth: int, answer: int, variant: str) -> pd.DataFrame:
    """How often two classes were taken for each other, a row per epoch."""
    return _pair_history(run, truth, answer, variant, run.epochs)
