"""Confused pairs of classes: now, over the epochs, between groups, and against the likeness of their patterns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.file import read_analysis
from store.measures import confusion as measure
from store.measures import maps
from store.measures.intervals import wilson
from store.reader import Run


def confused_pairs(run: Run, *, epoch: int, variant: str = "clean", k: int = 20) -> pd.DataFrame:
    """The k most frequent confusions, most frequent first; fewer where fewer occur.

    truth_index, truth, predicted_index, predicted, truth_group, predicted_group, count, share (of the truth's pictures)
    with low and high (Wilson), reverse (count the other way round), mutual (0 one way .. 1 both), likeness (cosine of
    the two class patterns).
    """
    counts = run.confusion(epoch=epoch, variant=variant)
    wrong = counts * ~np.eye(len(counts), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:k]
    truth, predicted = np.unravel_index(order[wrong.flat[order] > 0], counts.shape)
    table = _named_pairs(run, truth, predicted)
    found, pictures = counts[truth, predicted], counts.sum(1)[truth]
    low, high = wilson(found, pictures)
    patterns = run.patterns(epoch=epoch, variant=variant)
    return table.assign(
        count=found,
        share=found / np.maximum(pictures, 1),
        low=low,
        high=high,
        reverse=counts[predicted, truth],
        mutual=measure.symmetric_share(counts)[truth, predicted],
        likeness=maps.cosine(patterns[truth], patterns[predicted]),
    )


def pair_history(run: Run, *, truth: int, predicted: int, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch: epoch, count (pictures of `truth` taken for `predicted`), reverse, share and reverse_share."""
    own, other = run.labels == truth, run.labels == predicted
    rows = []
    for epoch, answers in _answers(run, variant):
        count, reverse = (answers[own] == predicted).sum(), (answers[other] == truth).sum()
        rows.append({"epoch": epoch, "count": int(count), "reverse": int(reverse)})
    table = pd.DataFrame(rows, columns=["epoch", "count", "reverse"])
    return table.assign(share=table["count"] / max(own.sum(), 1), reverse_share=table["reverse"] / max(other.sum(), 1))


def _answers(run: Run, variant: str) -> Iterator[tuple[int, NDArray]]:
    """The answers (N,) of every epoch; those of the clean pictures come from the analysis where it has them."""
    analysis = read_analysis(run) if variant == run.variants[0] else None
    known = dict(zip(analysis.epochs, analysis.array("predictions"), strict=True)) if analysis is not None else {}
    for epoch in run.epochs:
        yield epoch, known[epoch] if epoch in known else run.column("prediction", epoch=epoch, variant=variant)


def group_confusion(run: Run, *, epoch: int, variant: str = "clean") -> pd.DataFrame:
    """A row per pair of groups: truth_group, predicted_group, count, share (of the truth group's pictures)."""
    names, groups = _groups(run)
    counts = measure.collapse(run.confusion(epoch=epoch, variant=variant), groups, count=len(names))
    return _group_rows(names, counts)


def group_history(run: Run, *, variant: str = "clean") -> pd.DataFrame:
    """A row per epoch and pair of groups: epoch and the columns of `group_confusion`."""
    names, groups = _groups(run)
    truth, epochs, counts = groups[run.labels], [], []
    for epoch, answers in _answers(run, variant):
        pairs = np.bincount(truth * len(names) + groups[answers], minlength=len(names) ** 2)
        epochs.append(epoch)
        counts.append(pairs.reshape(len(names), len(names)))
    table = _group_rows(names, np.reshape(counts, (len(epochs), len(names), len(names))).astype(np.int64))
    table.insert(0, "epoch", np.repeat(np.asarray(epochs, np.int64), len(names) ** 2))
    return table


def _groups(run: Run) -> tuple[NDArray, NDArray[np.int64]]:
    """Names of the groups in order of their first class, and the group of each class."""
    groups, names = pd.factorize(run.classes["group"])
    return np.asarray(names, object), groups.astype(np.int64)


def _group_rows(names: NDArray, counts: NDArray) -> pd.DataFrame:
    """A row per pair of groups, of counts (..., G, G)."""
    truth, predicted = (side.ravel() for side in np.indices(counts.shape)[-2:])
    texts = pd.Series(names).array  # taken from pandas' own array: four times as fast as from Python's texts
    return pd.DataFrame(
        {
            "truth_group": texts.take(truth),
            "predicted_group": texts.take(predicted),
            "count": counts.ravel(),
            "share": measure.row_shares(counts).ravel(),
        }
    )


def likeness_against_confusion(run: Run, *, epoch: int, variant: str = "clean", k: int = 2000) -> pd.DataFrame:
    """A row per unordered pair of classes, the k most confused (then most alike): do alike patterns go with confusion?

    first_index, first, second_index, second, likeness (cosine of the patterns), count (both ways), rate (of the
    pictures of both). `table.attrs` holds spearman (rank correlation over all pairs) and pairs (their number).
    """
    counts = run.confusion(epoch=epoch, variant=variant)
    likeness = measure.pattern_likeness(run.patterns(epoch=epoch, variant=variant))
    first, second = np.triu_indices(len(counts), 1)
    both = (counts + counts.T)[first, second]
    rate = both / np.maximum(counts.sum(1)[first] + counts.sum(1)[second], 1)
    alike = likeness[first, second]
    order = np.lexsort((-alike, -rate))[:k]
    names = run.classes["name"].to_numpy()
    table = pd.DataFrame(
        {
            "first_index": first[order],
            "first": names[first[order]],
            "second_index": second[order],
            "second": names[second[order]],
            "likeness": alike[order],
            "count": both[order],
            "rate": rate[order],
        }
    )
    table.attrs = {"spearman": _rank_correlation(alike, rate), "pairs": len(first)}
    return table


def _rank_correlation(first: NDArray, second: NDArray) -> float:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    ranks = [pd.Series(values).rank().to_numpy() for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def pair_events(run: Run) -> pd.DataFrame | None:
    """The analysis's table of confused pairs with their birth, peak, death and slope; None without an analysis."""
    analysis = read_analysis(run)
    return None if analysis is None else analysis.table("pairs")


def _named_pairs(run: Run, truth: NDArray, predicted: NDArray) -> pd.DataFrame:
    names, groups = run.classes["name"].to_numpy(), run.classes["group"].to_numpy()
    return pd.DataFrame(
        {
            "truth_index": truth,
            "truth": names[truth],
            "predicted_index": predicted,
            "predicted": names[predicted],
            "truth_group": groups[truth],
            "predicted_group": groups[predicted],
        }
    )
