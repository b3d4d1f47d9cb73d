"""The summary columns of an epoch: what every page reads first, computed once from the maps before quantisation.

`Summary` collects what follows from single images, block by block and from several threads. `joint_columns` then adds
what needs all images of a class: the class patterns and the similarity to them. It works on the cached maps as stored,
so that anybody can recompute it from the file.
"""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from store.format.description import TOP, RunDescription
from store.format.quantization import Quantiser, decode, zero_point
from store.format.schema import IMAGE_COLUMNS
from store.metrics import correction
from store.metrics import maps as measures
from store.metrics.means import class_means
from store.metrics.variant_metrics import COLUMNS, variant_metric_columns

Columns = dict[str, NDArray]
Float32 = NDArray[np.float32]
CACHED = ("true_class", "predicted_class")  # kinds of cached maps

# Columns of single images that the joint datasets follow from.
JOINT_INPUTS = tuple(name for name in COLUMNS if name != "similarity")


class Summary:
    """Columns (V, n) of n consecutive images, and their cached maps; see the schema's images/* and cached/*."""

    def __init__(self, description: RunDescription, images: range) -> None:
        self.labels = description.labels[images.start : images.stop].astype(np.int64)
        count, map_shape = len(images), description.map_shape
        sizes = {**description.sizes, "N": count}
        self.columns: Columns = {f.name: np.zeros(f.shape(sizes), f.dtype) for f in IMAGE_COLUMNS if not f.joint}
        self._quantiser = Quantiser(signed=description.signed, per_map=True)
        self.cached: Columns = {}
        for kind in CACHED:
            self.cached[f"{kind}_map"] = np.zeros((sizes["V"], count, *map_shape), np.uint8)
            self.cached[f"{kind}_scale"] = np.zeros((sizes["V"], count), np.float32)
        self._clean_maps = np.zeros((count, *map_shape), np.float32)
        self._clean_known = np.zeros(count, bool)
        self._clean_added = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """Release the threads that wait for a clean block that will never come."""
        with self._clean_added:
            self._stopped = True
            self._clean_added.notify_all()

    def add(self, variant: int, start: int, maps: Float32, logits: Float32, probabilities: Float32) -> None:
        """Fill rows start.. of a variant from maps (n, C, H, W), logits (n, C) and probabilities (n, C).

        Maps of a signed run are relative to their mean map; logits are the network's own.

        The clean variant of the same images must be added before, or be on its way in another thread.
        """
        rows = slice(start, start + len(maps))
        each, labels = np.arange(len(maps)), self.labels[rows]
        best = top_classes(logits, min(TOP, logits.shape[1]))
        prediction, runner_up = best[:, 0], best[:, min(1, best.shape[1] - 1)]
        found: Columns = {"prediction": prediction, "runner_up": runner_up, "top5": best}
        found |= _probability_columns(probabilities, best, labels) | _logit_columns(logits, prediction, labels)
        true_class, predicted_class = maps[each, labels], maps[each, prediction]
        found |= _map_columns(predicted_class, maps[each, runner_up])
        found |= _correction_columns(maps, prediction, labels)
        found["consistency"] = self._consistency(variant, rows, maps, prediction)
        for name, values in found.items():
            self.columns[name][variant, rows] = values
        for kind, chosen in zip(CACHED, (true_class, predicted_class), strict=True):
            quantised, scale = self._quantiser.encode(chosen[:, None])
            self.cached[f"{kind}_map"][variant, rows] = quantised[:, 0]
            self.cached[f"{kind}_scale"][variant, rows] = scale[:, 0]

    def _consistency(self, variant: int, rows: slice, maps: Float32, prediction: NDArray) -> Float32:
        """Cosine with the clean map of the class that the clean image was predicted as."""
        if variant == 0:
            with self._clean_added:
                self._clean_maps[rows] = maps[np.arange(len(maps)), prediction]
                self.columns["prediction"][0, rows] = prediction
                self._clean_known[rows] = True
                self._clean_added.notify_all()
            return np.ones(len(maps), np.float32)
        with self._clean_added:
            # The clean block was queued first, so some thread is working on it.
            self._clean_added.wait_for(lambda: self._stopped or bool(self._clean_known[rows].all()))
            if self._stopped:
                return np.zeros(len(maps), np.float32)
        clean = self.columns["prediction"][0, rows].astype(np.int64)
        return measures.cosine(self._clean_maps[rows], maps[np.arange(len(maps)), clean])


def top_classes(logits: Float32, count: int) -> NDArray[np.int64]:
    """The `count` classes of the highest logits (n, C), best first, (n, count) int64; the lower index wins a tie."""
    left, each = logits.copy(), np.arange(len(logits))
    best = np.empty((len(logits), count), np.int64)
    for place in range(count):
        best[:, place] = left.argmax(1)
        left[each, best[:, place]] = -np.inf
    return best


def kept_classes(logits: Float32, labels: NDArray, count: int) -> NDArray[np.int64]:
    """The classes whose maps are kept, (n, count) int64: those of the highest logits (n, C), best first.

    Where the true class (n,) is not among them, it takes the last place.
    """
    best = np.argsort(-logits, axis=1, kind="stable")[:, :count]  # stable: the lower index wins a tie
    absent = ~(best == labels[:, None]).any(1)
    best[absent, -1] = labels[absent]
    return best


def _probability_columns(probabilities: Float32, best: NDArray, labels: NDArray) -> Columns:
    each = np.arange(len(labels))
    top = probabilities[each[:, None], best]
    logarithms = np.log(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return {
        "top5_probability": top,
        "confidence": top[:, 0],
        "margin": top[:, 0] - top[:, min(1, top.shape[1] - 1)],
        "label_probability": probabilities[each, labels],
        "entropy": np.maximum(-np.einsum("nc,nc->n", probabilities, logarithms), 0),
    }


def _logit_columns(logits: Float32, prediction: NDArray, labels: NDArray) -> Columns:
    each = np.arange(len(labels))
    own = logits[each, labels][:, None]
    ahead = (logits > own).sum(1) + ((logits == own) & (np.arange(logits.shape[1]) < labels[:, None])).sum(1)
    return {"label_rank": ahead + 1, "label_logit": own[:, 0], "predicted_logit": logits[each, prediction]}


def _map_columns(predicted_class: Float32, runner_up: Float32) -> Columns:
    return {
        "sharpness": measures.sharpness(predicted_class),
        "map_entropy": measures.map_entropy(predicted_class),
        "peak_share": measures.peak_share(predicted_class),
        "peak": predicted_class.max((-2, -1)),
        "overlap": measures.overlap(predicted_class, runner_up),
    }


def _correction_columns(maps: Float32, prediction: NDArray, labels: NDArray) -> Columns:
    wrong = np.flatnonzero(prediction != labels)
    if 4 * len(wrong) > len(maps):  # computing it for the correct ones, too, costs less than selecting the wrong ones
        cells, winner = correction.corrected_prediction(maps, prediction, labels)
        return {"correction_cells": cells, "corrected_prediction": winner}
    cells, winner = np.zeros(len(maps), np.int64), prediction.copy()
    if len(wrong):
        cells[wrong], winner[wrong] = correction.corrected_prediction(maps[wrong], prediction[wrong], labels[wrong])
    return {"correction_cells": cells, "corrected_prediction": winner}


def joint_columns(description: RunDescription, columns: Columns, cached: Columns) -> Columns:
    """Path -> array of every dataset that needs all images: patterns, similarities, class columns, confusion, metrics.

    Args:
        columns: those of `JOINT_INPUTS`, (V, N) each.
        cached: true_class_map, true_class_scale, predicted_class_map, predicted_class_scale of all images.
    """
    labels, zero = description.labels.astype(np.int64), zero_point(description.signed)
    per_variant = []
    for v in range(len(columns["prediction"])):
        own = {name: column[v] for name, column in columns.items()}
        maps = {kind: decode(cached[f"{kind}_map"][v], cached[f"{kind}_scale"][v], zero_point=zero) for kind in CACHED}
        per_variant.append(_joint_of_variant(labels, own, maps, len(description.classes)))
    joint = {path: np.stack([found[path] for found in per_variant]) for path in per_variant[0]}
    # Recorded and not derived by readers: computing them took 450 ms for a run of 20 epochs, reading them takes 10 ms.
    return joint | variant_metric_columns({**columns, "similarity": joint["images/similarity"]}, labels)


def _joint_of_variant(labels: NDArray, columns: Columns, cached: Columns, classes: int) -> Columns:
    prediction = columns["prediction"].astype(np.int64)
    count = np.bincount(labels, minlength=classes)
    pattern = class_patterns(cached["true_class"], labels, classes)
    similarity = measures.cosine(cached["true_class"], pattern[labels])
    confusion = np.bincount(labels * classes + prediction, minlength=classes * classes).reshape(classes, classes)
    averaged = {
        "accuracy": prediction == labels,
        "mean_confidence": columns["confidence"],
        "mean_label_probability": columns["label_probability"],
        "spread": 1 - similarity,
    }
    return {
        "images/similarity": similarity,
        "images/predicted_similarity": measures.cosine(cached["predicted_class"], pattern[prediction]),
        "classes/pattern": pattern,
        "classes/count": count.astype(np.int32),
        **{f"classes/{name}": class_means(of, labels, classes).astype(np.float32) for name, of in averaged.items()},
        "classes/predicted_count": confusion.sum(0).astype(np.int32),
        "confusion": confusion.astype(np.int32),
    }


def class_patterns(true_class_maps: Float32, labels: NDArray, classes: int) -> Float32:
    """Class patterns (C, H, W): the mean map of each class; 0 for a class without images. Labels ascend."""
    pattern = np.zeros((classes, *true_class_maps.shape[1:]), np.float32)
    edges = np.searchsorted(labels, np.arange(classes + 1))
    for index, (first, last) in enumerate(pairwise(edges)):
        if last > first:
            pattern[index] = true_class_maps[first:last].mean(0, dtype=np.float64)
    return pattern
