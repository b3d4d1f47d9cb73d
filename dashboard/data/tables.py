"""Tables and matrices of one epoch and variant, and the run's metrics."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.data.query_cache import cached_query
from dashboard.data.runs import frozen
from store import Run, queries


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


@cached_query
def class_groups(run: Run) -> list[str]:
    """Each class's group in the run's order."""
    return [str(group) for group in run.classes["group"]]


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


@cached_query
def class_table(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """A row per class: accuracy, mean confidence, spread, counts."""
    return run.class_table(epoch=epoch, variant=variant)


@cached_query
def patterns(run: Run, epoch: int, variant: str) -> np.ndarray:
    """The mean own map of every class, (C, H, W) float32."""
    return frozen(run.patterns(epoch=epoch, variant=variant))


@cached_query
def confusion(run: Run, epoch: int, variant: str) -> np.ndarray:
    """Counts (C, C) by true class and prediction."""
    return frozen(run.confusion(epoch=epoch, variant=variant))


@cached_query
def _metrics(run: Run, epochs: tuple[int, ...]) -> pd.DataFrame:
    return run.metrics()


def metrics(run: Run) -> pd.DataFrame:
    """A row per epoch: losses, accuracies, rates."""
    return _metrics(run, run.epochs)


@cached_query
def class_order(run: Run, by: str, epoch: int, variant: str) -> np.ndarray:
    """Class numbers (C,) in the order asked for: see `store.queries.class_order`."""
    return frozen(queries.class_order(run, by, epoch=epoch, variant=variant))  # type: ignore[arg-type]


@cached_query
def confused_pairs(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """The hundred most frequent confusions: see `store.queries.confused_pairs`."""
    return queries.confused_pairs(run, epoch=epoch, variant=variant, k=100)


@cached_query
def _pair_counts(run: Run, epoch: int, variant: str, epochs: tuple[int, ...]) -> np.ndarray:
    pairs = confused_pairs(run, epoch, variant)
    predictions = np.stack([run.column("prediction", epoch=number, variant=variant) for number in epochs])
    counts = [
        (predictions[:, run.labels == true_class] == prediction).sum(1)
        for true_class, prediction in zip(pairs["true_class_index"], pairs["predicted_class_index"], strict=True)
    ]
    return frozen(np.array(counts, np.int64).reshape(len(pairs), len(epochs)))


def pair_counts(run: Run, epoch: int, variant: str) -> np.ndarray:
    """How often each of the `confused_pairs` occurred at every epoch, (pairs, E) int64."""
    return _pair_counts(run, epoch, variant, run.epochs)


@cached_query
def _pair_history(run: Run, true_class: int, prediction: int, variant: str, epochs: tuple[int, ...]) -> pd.DataFrame:
    return queries.pair_history(run, true_class=true_class, predicted_class=prediction, variant=variant)


def pair_history(run: Run, true_class: int, prediction: int, variant: str) -> pd.DataFrame:
    """How often two classes were predicted as each other, a row per epoch."""
    return _pair_history(run, true_class, prediction, variant, run.epochs)
