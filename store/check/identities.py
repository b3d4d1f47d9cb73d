"""The identities between the datasets of a run, recomputed from pixels, cached maps and decoded maps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from store.format.description import RunDescription, RunFacts
from store.format.quantization import decode, error_bound, zero_point
from store.format.record_file import RecordFile
from store.metrics import maps as measures
from store.read.epoch_data import EpochData, Rows, mean_maps_of, of_all_classes
from store.write.summary import CACHED, Columns, joint_columns, kept_classes

BLOCK = 512  # images at a time: limits the memory of decoded maps
SUM_TOLERANCE = 1e-4
ROUNDING = 1e-5  # of float32 means, relative
LOG_TOLERANCE = 1e-3  # float32 logits of some tens, exponentiated
LEAST_PROBABILITY = 1e-30  # below, float32 has too few digits for a logarithm
JOINT_IMAGE_COLUMNS = ("similarity", "predicted_similarity")  # they need all images of a class


def check_run_file(file: RecordFile, description: RunDescription) -> Iterator[str]:
    """Each violated identity of run.h5, in words; raises DamagedFile where a dataset cannot be read."""
    changed = np.zeros(len(description.variants), np.int64)
    has_sha256, wrong_sha256 = file.has("image_sha256"), 0
    for rows in _blocks(len(description.labels)):
        clean = file.rows("pixels", 0, rows)
        if has_sha256:
            expected = [np.frombuffer(hashlib.sha256(image.tobytes()).digest(), np.uint8) for image in clean]
            wrong_sha256 += int((file.rows("image_sha256", 0, rows) != expected).any(1).sum())
        for index in range(1, len(changed)):
            changed[index] += (file.rows("pixels", index, rows) != clean).any((1, 2, 3)).sum()
    if not np.array_equal(file.all_rows("variants/changed_images"), changed):
        yield "variants/changed_images does not follow from the pixels"
    if wrong_sha256:
        yield f"image_sha256 does not follow from the pixels of {wrong_sha256} images"


def check_epoch(data: EpochData, facts: RunFacts) -> Iterator[str]:
    """Each violated identity of an epoch, in words; raises DamagedFile where a dataset cannot be read."""
    description, labels = facts.description, facts.description.labels
    all_columns: list[Columns] = []
    all_cached: list[Columns] = []
    for index, variant in enumerate(description.variant_names):
        names = [name for name in data.names("images") if name not in JOINT_IMAGE_COLUMNS]
        columns = {name: data.all_rows(f"images/{name}", index) for name in names}
        cached: Columns = {}
        for kind in CACHED:
            cached[f"{kind}_map"], cached[f"{kind}_scale"] = data.cached_rows(kind, index, np.arange(len(labels)))
        problems: set[str] = set()
        for rows in _blocks(len(labels)):
            block = {name: values[rows] for name, values in {**columns, **cached}.items()}
            problems |= set(_check_block(data, facts, index, rows, block))
        yield from (f"variant {variant!r}: {text}" for text in sorted(problems))
        all_columns.append(columns)
        all_cached.append(cached)
    expected = joint_columns(description, _stacked(all_columns), _stacked(all_cached))
    yield from _check_joint(data, expected, description.variant_names)


def _stacked(columns: list[Columns]) -> Columns:
    return {name: np.stack([column[name] for column in columns]) for name in columns[0]}


def _blocks(count: int) -> Iterator[Rows]:
    return (np.arange(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def _check_joint(data: EpochData, expected: Columns, variants: tuple[str, ...]) -> Iterator[str]:
    """The identities that need all images: similarities, class columns, confusion and the metrics of variants."""
    for path, values in expected.items():
        group, _, name = path.rpartition("/")
        if group == "variant_metrics":
            if name in data.names(group) and not _close(data.all_rows(path), values):
                yield f"{path} does not follow from the columns of the images"
            continue
        for index, variant in enumerate(variants):
            if not _close(data.all_rows(path, index), values[index]):
                yield f"variant {variant!r}: {path} does not follow from the predictions and cached maps"


def _close(found: NDArray, expected: NDArray) -> bool:
    """Whether sums of float32 numbers agree, whatever the order in which they were added."""
    return np.allclose(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


def _check_block(data: EpochData, facts: RunFacts, index: int, rows: Rows, block: Columns) -> Iterator[str]:
    """Identities of some images under one variant; `block` has their columns and cached maps."""
    zero, labels = zero_point(facts.description.signed), facts.description.labels[rows].astype(np.int64)
    quantised, scale = data.rows("maps", index, rows), data.rows("map_scale", index, rows)
    probabilities = data.rows("probabilities", index, rows)
    maps = decode(quantised, scale, zero_point=zero)
    shared = mean_maps_of(data, index, rows, facts.description.map_shape).mean((1, 2))
    logits, error = measures.logits(maps) + shared[:, None], error_bound(scale)
    if facts.description.kept_maps:
        classes, recorded = data.rows("map_classes", index, rows), data.rows("logits", index, rows)
        yield from _check_kept(recorded, classes, labels, logits, error)
        logits, error = recorded, np.zeros_like(recorded)
        maps, scale = (of_all_classes(values, classes, recorded.shape[1]) for values in (maps, scale))
    yield from _check_softmax(probabilities, logits, error)
    yield from _check_columns(probabilities, block, labels)
    each, prediction = np.arange(len(rows)), block["prediction"].astype(np.int64)
    for kind, classes, logit in (
        ("true_class", labels, block["label_logit"]),
        ("predicted_class", prediction, block["predicted_logit"]),
    ):
        cached_scale = block[f"{kind}_scale"]
        cached = decode(block[f"{kind}_map"], cached_scale, zero_point=zero)
        bound = error_bound(cached_scale)
        if (np.abs(cached - maps[each, classes]) > (bound + error_bound(scale[each, classes]))[:, None, None]).any():
            yield f"cached/{kind}_map differs from maps by more than their errors"
        if (np.abs(cached.mean((1, 2)) + shared - logit) > bound + ROUNDING * np.abs(logit)).any():
            yield f"the logits of images differ from the means of cached/{kind}_map by more than its error"
        if kind == "predicted_class" and (np.abs(cached.max((1, 2)) - block["peak"]) > bound).any():
            yield "images/peak is not the largest cell of the predicted class's map"


def _check_kept(recorded: NDArray, classes: NDArray, labels: NDArray, means: NDArray, error: NDArray) -> Iterator[str]:
    """Where not all maps are kept: which are, and that their means (n, K) are the recorded logits (n, C)."""
    if not np.array_equal(classes, kept_classes(recorded, labels, classes.shape[1])):
        yield "map_classes are not the classes of the highest logits and the true class"
    logits = np.take_along_axis(recorded, classes.astype(np.int64), 1)
    if (np.abs(means - logits) > error + ROUNDING * np.abs(logits)).any():
        yield "logits differ from the means of the maps by more than their error"


def _check_softmax(probabilities: NDArray, logits: NDArray, error: NDArray) -> Iterator[str]:
    if not (np.abs(probabilities.sum(1, dtype=np.float64) - 1) < SUM_TOLERANCE).all():
        yield "probabilities do not sum to 1"
    # In a softmax, ln P_k - S_k is the same for all classes; each logit is off by its map's bound at most.
    counted = probabilities > LEAST_PROBABILITY
    offsets = np.log(np.where(counted, probabilities, 1)) - logits
    best = np.where(counted, probabilities, 0).argmax(1)[:, None]
    off = np.abs(offsets - np.take_along_axis(offsets, best, 1))
    slack = LOG_TOLERANCE + 1e-6 * np.abs(logits).max(1, keepdims=True)
    if (counted & (off > error + np.take_along_axis(error, best, 1) + slack)).any():
        yield "probabilities are not the softmax of the means of the maps within the stated error"


def _check_columns(probabilities: NDArray, block: Columns, labels: NDArray) -> Iterator[str]:
    each = np.arange(len(labels))
    prediction, top = block["prediction"].astype(np.int64), block["top5"].astype(np.int64)
    true_class = probabilities[each, labels]
    if not (probabilities[each, prediction] == probabilities.max(1)).all():
        yield "images/prediction is not the class of the highest probability"
    second = min(1, top.shape[1] - 1)
    for name, expected in (
        ("confidence", probabilities[each, prediction]),
        ("label_probability", true_class),
        ("top5_probability", probabilities[each[:, None], top]),
        ("prediction", top[:, 0]),
        ("runner_up", top[:, second]),
        ("margin", block["top5_probability"][:, 0] - block["top5_probability"][:, second]),
    ):
        if not np.array_equal(block[name], expected):
            yield f"images/{name} does not agree with probabilities and the top five"
    higher, as_high = (probabilities > true_class[:, None]).sum(1), (probabilities >= true_class[:, None]).sum(1)
    rank = block["label_rank"].astype(np.int64)
    if not ((higher < rank) & (rank <= as_high)).all():
        yield "images/label_rank does not agree with probabilities"
    if not ((block["correction_cells"] == 0) | (prediction != labels)).all():
        yield "images/correction_cells is not 0 for a correct prediction"
