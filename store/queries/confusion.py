"""Confused pairs of classes: at an epoch, over the epochs, between groups, against similarity; orders of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from store.analysis.analysis_file import readable_analysis
from store.metrics import maps
from store.metrics.confusion import pattern_similarity, row_shares, similarity_order
from store.metrics.intervals import wilson
from store.metrics.learning import NEVER
from store.read.run import Run


def confused_pairs(run: Run, *, epoch: int, variant: str = "clean", k: int = 20) -> pd.DataFrame:
    """The k most frequent confusions, most frequent first; fewer if there are fewer.

    true_class_index, true_class, predicted_class_index, predicted_class, true_group, predicted_group, count, share (of
    the true class's images) with low and high (Wilson), reverse (count the other way round), similarity (cosine of
    the two class patterns).

    >>> list(queries.confused_pairs(run, epoch=1, k=3).columns[:4])
    ['true_class_index', 'true_class', 'predicted_class_index', 'predicted_class']
    """
    counts = run.confusion(epoch=epoch, variant=variant)
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:k]
    true_class, predicted_class = np.unravel_index(order[wrong.flat[order] > 0], counts.shape)
    names, groups = run.classes["name"].to_numpy(), run.classes["group"].to_numpy()
    found, images = counts[true_class, predicted_class], counts.sum(1)[true_class]
    low, high = wilson(found, images)
    patterns = run.patterns(epoch=epoch, variant=variant)
    return pd.DataFrame(
        {
            "true_class_index": true_class,
            "true_class": names[true_class],
            "predicted_class_index": predicted_class,
            "predicted_class": names[predicted_class],
            "true_group": groups[true_class],
            "predicted_group": groups[predicted_class],
            "count": found,
            "share": found / np.maximum(images, 1),
            "low": low,
            "high": high,
            "reverse": counts[predicted_class, true_class],
            "similarity": maps.cosine(patterns[true_class], patterns[predicted_class]),
        }
    )


def pair_history(run: Run, *, true_class: int, predicted_class: int, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch: epoch, count (images of `true_class` predicted as `predicted_class`), reverse, and their shares.

    Columns: epoch, count, reverse, share, reverse_share.

    >>> queries.pair_history(run, true_class=0, predicted_class=1)["count"].tolist()
    [0, 0, 0]
    """
    counts = pair_counts(run, [(true_class, predicted_class), (predicted_class, true_class)], variant=variant)
    own, other = (max(int((run.labels == index).sum()), 1) for index in (true_class, predicted_class))
    table = pd.DataFrame({"epoch": run.epochs, "count": counts[0], "reverse": counts[1]})
    return table.assign(share=table["count"] / own, reverse_share=table["reverse"] / other)


def pair_counts(run: Run, pairs: ArrayLike, *, variant: str = "clean") -> NDArray[np.int64]:
    """How many images of a class were predicted as another one at every epoch, (pairs, E).

    Args:
        pairs: (pairs, 2) class indices, true class and prediction.

    >>> queries.pair_counts(run, [(0, 1), (1, 0)]).shape
    (2, 3)
    """
    true_class, predicted_class = np.asarray(pairs, np.int64).reshape(-1, 2).T
    members = [np.flatnonzero(run.labels == index) for index in true_class]
    counts = [
        [np.count_nonzero(predictions[images] == other) for images, other in zip(members, predicted_class, strict=True)]
        for _, predictions in _predictions_by_epoch(run, variant)
    ]
    return np.array(counts, np.int64).reshape(len(run.epochs), len(members)).T


def _predictions_by_epoch(run: Run, variant: str) -> Iterator[tuple[int, NDArray]]:
    """The predictions (N,) of every epoch; those of the clean images come from the analysis where it has them."""
    analysis = readable_analysis(run, "predictions") if variant == run.variants[0] else None
    known = dict(zip(analysis.epochs, analysis.array("predictions"), strict=True)) if analysis is not None else {}
    for epoch in run.epochs:
        yield epoch, known[epoch] if epoch in known else run.column("prediction", epoch=epoch, variant=variant)


def group_history(run: Run, *, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch and pair of groups: epoch, true_group, predicted_group, count, share (of the true group).

    >>> queries.group_history(run).columns.tolist()
    ['epoch', 'true_group', 'predicted_group', 'count', 'share']
    """
    groups, names = pd.factorize(run.classes["group"])  # in order of their first class
    true_group, epochs, pairs = groups[run.labels], [], []
    for epoch, predictions in _predictions_by_epoch(run, variant):
        epochs.append(epoch)
        pairs.append(np.bincount(true_group * len(names) + groups[predictions], minlength=len(names) ** 2))
    counts = np.reshape(pairs, (len(epochs), len(names), len(names))).astype(np.int64)
    true_index, predicted_index = (side.ravel() for side in np.indices(counts.shape)[1:])
    texts = pd.Series(np.asarray(names, object)).array  # four times as fast as from a list of strings
    return pd.DataFrame(
        {
            "epoch": np.repeat(np.asarray(epochs, np.int64), len(names) ** 2),
            "true_group": texts.take(true_index),
            "predicted_group": texts.take(predicted_index),
            "count": counts.ravel(),
            "share": row_shares(counts).ravel(),
        }
    )


def similarity_against_confusion(run: Run, *, epoch: int, variant: str = "clean", k: int = 2000) -> pd.DataFrame:
    """A row per unordered pair of classes, the k most confused (then most similar): are similar patterns confused?

    first_index, first, second_index, second, similarity (cosine of the patterns), count (both ways), rate (of the
    images of both); of classes that have images, and so a pattern. `table.attrs` holds spearman (rank correlation over
    all pairs) and pairs (their number).

    >>> queries.similarity_against_confusion(run, epoch=3).columns.tolist()
    ['first_index', 'first', 'second_index', 'second', 'similarity', 'count', 'rate']
    """
    counts = run.confusion(epoch=epoch, variant=variant)
    similarity = pattern_similarity(run.patterns(epoch=epoch, variant=variant))
    known = np.flatnonzero(counts.sum(1))
    first, second = known[np.stack(np.triu_indices(len(known), 1))]
    both = (counts + counts.T)[first, second]
    rate = both / np.maximum(counts.sum(1)[first] + counts.sum(1)[second], 1)
    similar = similarity[first, second]
    order = _most_confused(rate, similar, k)
    names = run.classes["name"].to_numpy()
    table = pd.DataFrame(
        {
            "first_index": first[order],
            "first": names[first[order]],
            "second_index": second[order],
            "second": names[second[order]],
            "similarity": similar[order],
            "count": both[order],
            "rate": rate[order],
        }
    )
    table.attrs = {"spearman": _rank_correlation(similar, rate), "pairs": len(first)}
    return table


def _most_confused(rate: NDArray, similar: NDArray, k: int) -> NDArray[np.int64]:
    """The k pairs of the highest rates, then of the highest similarity; ties keep the index.

    Of half a million pairs of 1,000 classes nearly all are never confused: these are not all sorted.
    """
    confused, rest = np.flatnonzero(rate), np.flatnonzero(rate == 0)
    order = confused[np.lexsort((-similar[confused], -rate[confused]))][:k]
    more = k - len(order)
    if not more:
        return order
    if more < len(rest):
        least = np.partition(similar[rest], len(rest) - more)[len(rest) - more]
        rest = rest[similar[rest] >= least]
    return np.concatenate([order, rest[np.argsort(-similar[rest], kind="stable")][:more]])


def _rank_correlation(first: NDArray, second: NDArray) -> float:
    """Spearman's, of values that are not negative in `second`, of which most may be 0."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    zeros = int((second == 0).sum())
    ranks = np.full(len(second), (zeros + 1) / 2)
    ranks[second > 0] = zeros + pd.Series(second[second > 0]).rank().to_numpy()
    return float(np.corrcoef(pd.Series(first).rank().to_numpy(), ranks)[0, 1])


Order = Literal["index", "name", "group", "accuracy", "formation", "similarity"]


def class_order(run: Run, by: Order, *, epoch: int, variant: str = "clean") -> NDArray[np.int64]:
    """Class indices (C,) int64 in an order; ties keep the index.

    "group": groups in order of their first class, most accurate class first within each. "accuracy": best first.
    "formation": the earliest to form first, by the analysis of the run. "similarity": neighbours have similar patterns.

    Raises:
        ValueError: the order is unknown, or it is "formation" and the run has no analysis.

    >>> queries.class_order(run, "accuracy", epoch=3).shape
    (5,)
    """
    count = len(run.classes)
    if by == "index":
        return np.arange(count)
    if by == "name":
        return np.argsort(run.classes["name"].str.casefold().to_numpy().astype(str), kind="stable")
    if by == "similarity":
        return similarity_order(run.patterns(epoch=epoch, variant=variant))
    if by == "formation":
        return np.argsort(_formation(run), kind="stable")
    if by in ("accuracy", "group"):
        accuracy = np.nan_to_num(run.class_table(epoch=epoch, variant=variant)["accuracy"].to_numpy(), nan=-1.0)
        groups = list(dict.fromkeys(run.classes["group"])) if by == "group" else []
        group_of = run.classes["group"].map(groups.index).to_numpy() if groups else np.zeros(count)
        return np.lexsort((-accuracy, group_of))
    raise ValueError(
        f"Classes cannot be ordered by {by!r}: choose index, name, group, accuracy, formation or similarity."
    )


def _formation(run: Run) -> NDArray:
    analysis = readable_analysis(run, "classes")
    if analysis is None:
        raise ValueError(f'Run {run.name!r} has no formation epochs yet: run "python -m compute analyse {run.path}".')
    formed = analysis.table("classes")["formation"].to_numpy()
    return np.where(formed == NEVER, np.iinfo(np.int64).max, formed)
