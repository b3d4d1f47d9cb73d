"""What must hold between the datasets of an epoch, recomputed from the maps as they decode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from store.format.layout import RunFacts
from store.format.quantization import decode, error_bound, zero_point
from store.metrics import maps as measures
from store.read.sealed_file import EpochData
from store.write.summary import Columns, joint_columns

BLOCK = 512  # images at a time
SUM_TOLERANCE = 1e-4
LOG_TOLERANCE = 1e-3  # float32 scores of some tens, exponentiated
LEAST_PROBABILITY = 1e-30  # below, float32 has too few digits for a logarithm


def check_identities(data: EpochData, facts: RunFacts) -> Iterator[str]:
    """Each identity of an epoch that does not hold, in words.

    Raises:
        DamagedFile: a dataset cannot be read.
    """
    description = facts.description
    zero = zero_point(description.signed)
    columns: list[Columns] = []
    cached: list[Columns] = []
    everything = np.arange(len(description.labels))
    for strip, variant in enumerate(description.variant_names):
        names = data.names("images")
        columns.append({name: data.strip(f"images/{name}", strip) for name in names if name not in _JOINT})
        found: Columns = {}
        for kind in ("true_class", "predicted_class"):
            found[f"{kind}_map"], found[f"{kind}_scale"] = data.cached_rows(kind, strip, everything)
        cached.append(found)
        wrong: set[str] = set()
        for block in _blocks(len(everything)):
            wrong |= set(_of_block(data, facts, strip, block, columns=columns[-1], cached=found))
        yield from (f"variant {variant!r}: {what}" for what in sorted(wrong))
    stacked = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
    recomputed = joint_columns(
        description.labels,
        stacked,
        {name: np.stack([column[name] for column in cached]) for name in cached[0]},
        classes=len(description.classes),
        zero_point=zero,
    )
    for path, expected in recomputed.items():
        group, _, name = path.rpartition("/")
        if group == "variant_metrics":
            if name in data.names(group) and not _close(data.strip(path), expected):
                yield f"{path} does not follow from the columns of the images"
            continue
        for strip, variant in enumerate(description.variant_names):
            if not _close(data.strip(path, strip), expected[strip]):
                yield f"variant {variant!r}: {path} does not follow from the predictions and own maps"


def _close(found: NDArray, expected: NDArray) -> bool:
    """Whether sums of float32 numbers agree, whatever the order in which they were added."""
    return np.allclose(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


_JOINT = ("similarity", "predicted_similarity")


def _blocks(count: int) -> list[NDArray[np.int64]]:
    return [np.arange(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK)]


def _of_block(
    data: EpochData, facts: RunFacts, strip: int, rows: NDArray[np.int64], *, columns: Columns, cached: Columns
) -> Iterator[str]:
    description, zero = facts.description, zero_point(facts.description.signed)
    codes, steps = data.rows("maps", strip, rows), data.rows("map_scale", strip, rows)
    probabilities = data.rows("probabilities", strip, rows)
    block = {name: column[rows] for name, column in columns.items()}
    maps = decode(codes, steps, zero_point=zero)
    if not (np.isfinite(steps) & (steps > 0)).all():
        yield "map_scale holds numbers that are not positive"
    kept = (codes != zero).any((2, 3)) if facts.kept_maps else np.ones(steps.shape, bool)
    yield from _of_probabilities(probabilities, measures.logits(maps), error_bound(steps), kept)
    yield from _of_columns(probabilities, block, description.labels[rows])
    each, labels = np.arange(len(rows)), description.labels[rows].astype(np.int64)
    for kind, index in (("true_class", labels), ("predicted_class", block["prediction"].astype(np.int64))):
        step = cached[f"{kind}_scale"][rows]
        small = decode(cached[f"{kind}_map"][rows], step, zero_point=zero)
        bound = error_bound(step) + error_bound(steps[each, index])
        if (np.abs(small - maps[each, index]) > bound[:, None, None]).any():
            yield f"cached/{kind}_map differs from maps by more than their errors"


def _of_probabilities(probabilities: NDArray, scores: NDArray, error: NDArray, kept: NDArray) -> Iterator[str]:
    if not (np.abs(probabilities.sum(1, dtype=np.float64) - 1) < SUM_TOLERANCE).all():
        yield "probabilities do not sum to 1"
    # Of a softmax, ln P_k - S_k is the same for all classes; each score is off by its map's bound at most.
    counted = kept & (probabilities > LEAST_PROBABILITY)
    offsets = np.log(np.where(counted, probabilities, 1)) - scores
    best = np.where(counted, probabilities, 0).argmax(1)[:, None]
    off = np.abs(offsets - np.take_along_axis(offsets, best, 1))
    slack = LOG_TOLERANCE + 1e-6 * np.abs(scores).max(1, keepdims=True)
    if (counted & (off > error + np.take_along_axis(error, best, 1) + slack)).any():
        yield "probabilities are not the softmax of the means of the maps within the stated error"


def _of_columns(probabilities: NDArray, columns: Columns, labels: NDArray) -> Iterator[str]:
    each = np.arange(len(labels))
    prediction, top = columns["prediction"].astype(np.int64), columns["top5"].astype(np.int64)
    if not (probabilities[each, prediction] == probabilities.max(1)).all():
        yield "images/prediction is not the class of the highest probability"
    own = probabilities[each, labels]
    for name, expected in (
        ("confidence", probabilities[each, prediction]),
        ("label_probability", own),
        ("top5_probability", probabilities[each[:, None], top]),
    ):
        if not np.array_equal(columns[name], expected):
            yield f"images/{name} does not agree with probabilities"
    ahead, level = (probabilities > own[:, None]).sum(1), (probabilities >= own[:, None]).sum(1)
    rank = columns["label_rank"].astype(np.int64)
    if not ((ahead < rank) & (rank <= level)).all():
        yield "images/label_rank does not agree with probabilities"
    if not ((columns["correction_cells"] == 0) | (prediction != labels)).all():
        yield "images/correction_cells is not 0 for a correct prediction"
