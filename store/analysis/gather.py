"""One pass over a run's epochs, collecting what the analysis needs; reads columns, class tables and hot maps only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.scores import column_scores
from store.figures import COLUMNS, variant_figures
from store.measures import failure, maps, mistakes, modes, place, robustness
from store.measures.modes import Modes
from store.reader import Run

Float32 = NDArray[np.float32]
MODE_PICTURES = 1300  # a class beyond it is clustered by an even sample: the distances grow with the square


@dataclass
class Record:
    """What one pass over the epochs collected; E epochs, V variants, N images, C classes, clean where no V is named."""

    run: Run
    epochs: tuple[int, ...]
    figures: list[pd.DataFrame] = field(default_factory=list)  # a row per variant for each epoch
    predictions: list[NDArray] = field(default_factory=list)  # E x (V, N)
    confidences: list[Float32] = field(default_factory=list)  # E x (N,)
    truth_probabilities: list[Float32] = field(default_factory=list)  # E x (N,)
    similarities: list[Float32] = field(default_factory=list)  # E x (N,), own map to its final form
    pattern_similarities: list[Float32] = field(default_factory=list)  # E x (C,), pattern to its final form
    class_accuracies: list[Float32] = field(default_factory=list)  # E x (V, C)
    class_confidences: list[Float32] = field(default_factory=list)  # E x (V, C)
    cue_drops: list[Float32] = field(default_factory=list)  # E x (V, C)
    detections: list[pd.DataFrame] = field(default_factory=list)  # a row per score for each epoch, last: and variant
    mode_shares: list[Float32] = field(default_factory=list)  # E x (modes,)
    places: list[dict[str, float]] = field(default_factory=list)  # E x means over the images

    @property
    def clean(self) -> str:
        """Name of the clean variant."""
        return self.run.variants[0]


@dataclass(frozen=True)
class Final:
    """The last epoch's clean maps, and what is defined by them."""

    own_maps: Float32  # (N, H, W)
    predicted_maps: Float32  # (N, H, W)
    patterns: Float32  # (C, H, W)
    cover: NDArray[np.float64] | None  # (N, H, W), share of each cell on the object
    modes: dict[int, Modes]  # by class
    mode_images: dict[int, NDArray[np.int64]]  # by class, the images that were clustered


def gather(run: Run) -> tuple[Record, Final]:
    """The record of all epochs of a run that has one at least, and its last epoch's maps."""
    record, final = Record(run, run.epochs), _final(run)
    for epoch in record.epochs:
        _add_variants(record, epoch)
        _add_clean(record, final, epoch)
    return record, final


def object_cover(run: Run) -> NDArray[np.float64] | None:
    """Share of each map cell that the object takes, (N, H, W), from masks or else boxes; None without either."""
    masks = run.masks() if run.has_masks else None
    if masks is not None:
        return place.mask_cover(masks, run.map_shape)
    boxes = run.boxes() if run.has_boxes else None
    return None if boxes is None else place.box_cover(boxes, run.picture_shape, run.map_shape)


def _final(run: Run) -> Final:
    epoch, clean = run.epochs[-1], run.variants[0]
    own = run.own_maps(epoch=epoch, variant=clean)
    found, images = {}, {}
    for label in np.unique(run.labels):
        members = np.flatnonzero(run.labels == label)
        step = -(-len(members) // MODE_PICTURES)
        images[int(label)] = members[::step]
        found[int(label)] = modes.find_modes(own[members[::step]])
    return Final(
        own_maps=own,
        predicted_maps=run.predicted_maps(epoch=epoch, variant=clean),
        patterns=run.patterns(epoch=epoch, variant=clean),
        cover=object_cover(run),
        modes=found,
        mode_images=images,
    )


def _add_variants(record: Record, epoch: int) -> None:
    run = record.run
    columns = {
        variant: {name: run.column(name, epoch=epoch, variant=variant) for name in (*COLUMNS, "truth_score")}
        for variant in run.variants
    }
    predictions = np.stack([columns[variant]["prediction"] for variant in run.variants])
    rows = [
        {"epoch": epoch, "variant": variant, **variant_figures(columns[variant], predictions[0], run.labels)}
        for variant in run.variants
    ]
    record.figures.append(pd.DataFrame(rows))
    record.predictions.append(predictions.astype(np.uint16))
    record.confidences.append(columns[record.clean]["confidence"])
    record.truth_probabilities.append(columns[record.clean]["truth_probability"])
    scores = np.stack([columns[variant]["truth_score"] for variant in run.variants])
    cues = robustness.cue_fingerprint(scores, run.labels, len(run.classes))
    record.cue_drops.append(cues.drop.astype(np.float32))
    tables = [run.class_table(epoch=epoch, variant=variant) for variant in run.variants]
    record.class_accuracies.append(np.stack([table["accuracy"].to_numpy(np.float32) for table in tables]))
    record.class_confidences.append(np.stack([table["mean_confidence"].to_numpy(np.float32) for table in tables]))


def _add_clean(record: Record, final: Final, epoch: int) -> None:
    run, last = record.run, epoch == record.epochs[-1]
    own = final.own_maps if last else run.own_maps(epoch=epoch, variant=record.clean)
    record.similarities.append(maps.cosine(own, final.own_maps))
    record.pattern_similarities.append(maps.cosine(run.patterns(epoch=epoch, variant=record.clean), final.patterns))
    record.mode_shares.append(_mode_shares(own, final))
    if final.cover is not None:
        found = place.place_scores(own, final.cover, run.labels)
        record.places.append({name: _mean(getattr(found, name)) for name in ("inside", "area", "elsewhere", "peak")})
    for number, variant in enumerate(run.variants if last else run.variants[:1]):
        record.detections.append(_detections(record, epoch, number, variant))


def _detections(record: Record, epoch: int, number: int, variant: str) -> pd.DataFrame:
    """Failure detection of every score on all pictures of one epoch and variant."""
    run = record.run
    scores = column_scores(run, epoch=epoch, variant=variant)
    if number == 0:
        clean = np.stack([predictions[0] for predictions in record.predictions])
        scores["stability"] = mistakes.final_run(clean).astype(np.float64)
        scores["agreement"] = mistakes.variant_agreement(record.predictions[-1])
    right = record.predictions[-1][number] == run.labels
    rows = []
    for name, values in scores.items():
        found = failure.detection(values, right)
        figures = {figure: float(getattr(found, figure)) for figure in failure.FIGURES}
        rows.append({"epoch": epoch, "variant": variant, "score": name, **figures})
    return pd.DataFrame(rows)


def _mode_shares(own: Float32, final: Final) -> Float32:
    """Share of its class's pictures that each mode holds, modes in the order of classes, then modes."""
    shares = []
    for label, found in final.modes.items():
        images = final.mode_images[label]
        if len(found.count) == 1:
            shares.append(np.ones(1))
            continue
        member = modes.assign(own[images], final.own_maps[images[found.medoid]])
        shares.append(np.bincount(member, minlength=len(found.count)) / len(images))
    return np.concatenate(shares).astype(np.float32)


def _mean(values: NDArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
