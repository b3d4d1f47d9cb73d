"""One pass over a run's epochs, collecting what the analysis needs; reads columns, class tables and cached maps only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.confidence_scores import column_scores
from store.metrics import clusters, failure_detection, localisation, maps, persistence, robustness
from store.metrics.clusters import Clusters
from store.metrics.variants import COLUMNS, variant_metrics
from store.read.run import Run

Float32 = NDArray[np.float32]
CLUSTER_IMAGES = 1300  # a class beyond it is clustered by an even sample: the distances grow with the square


@dataclass
class EpochRecord:
    """What one pass over the epochs collected; E epochs, V variants, N images, C classes, clean where no V is named."""

    run: Run
    epochs: tuple[int, ...]
    figures: list[pd.DataFrame] = field(default_factory=list)  # a row per variant for each epoch
    predictions: list[NDArray] = field(default_factory=list)  # E x (V, N)
    confidences: list[Float32] = field(default_factory=list)  # E x (N,)
    label_probabilities: list[Float32] = field(default_factory=list)  # E x (N,)
    similarities: list[Float32] = field(default_factory=list)  # E x (N,), own map to its final form
    pattern_similarities: list[Float32] = field(default_factory=list)  # E x (C,), pattern to its final form
    class_accuracies: list[Float32] = field(default_factory=list)  # E x (V, C)
    class_confidences: list[Float32] = field(default_factory=list)  # E x (V, C)
    cue_drops: list[Float32] = field(default_factory=list)  # E x (V, C)
    detections: list[pd.DataFrame] = field(default_factory=list)  # a row per score for each epoch, last: and variant
    mode_shares: list[Float32] = field(default_factory=list)  # E x (modes,)

    @property
    def clean(self) -> str:
        """Name of the clean variant."""
        return self.run.variants[0]


@dataclass(frozen=True)
class FinalEpoch:
    """The last epoch's clean maps, and what is defined by them."""

    true_class_maps: Float32  # (N, H, W)
    predicted_class_maps: Float32  # (N, H, W)
    patterns: Float32  # (C, H, W)
    cover: NDArray[np.float64] | None  # (N, H, W), share of each cell on the object
    clusters: dict[int, Clusters]  # by class
    mode_images: dict[int, NDArray[np.int64]]  # by class, the images that were clustered


def gather(run: Run) -> tuple[EpochRecord, FinalEpoch]:
    """The record of all epochs of a run that has one at least, and its last epoch's maps."""
    record, final = EpochRecord(run, run.epochs), _final(run)
    for epoch in record.epochs:
        _add_variants(record, epoch)
        _add_clean(record, final, epoch)
    return record, final


def object_cover(run: Run) -> NDArray[np.float64] | None:
    """Share of each map cell that the object takes, (N, H, W), from masks or else boxes; None without either."""
    masks = run.masks() if run.has_masks else None
    if masks is not None:
        return localisation.mask_cover(masks, run.map_shape)
    boxes = run.boxes() if run.has_boxes else None
    return None if boxes is None else localisation.box_cover(boxes, run.image_shape, run.map_shape)


def _final(run: Run) -> FinalEpoch:
    epoch, clean = run.epochs[-1], run.variants[0]
    own = run.true_class_maps(epoch=epoch, variant=clean)
    found, images = {}, {}
    for label in np.unique(run.labels):
        members = np.flatnonzero(run.labels == label)
        step = -(-len(members) // CLUSTER_IMAGES)
        images[int(label)] = members[::step]
        found[int(label)] = clusters.find_clusters(own[members[::step]])
    return FinalEpoch(
        true_class_maps=own,
        predicted_class_maps=run.predicted_class_maps(epoch=epoch, variant=clean),
        patterns=run.patterns(epoch=epoch, variant=clean),
        cover=object_cover(run),
        clusters=found,
        mode_images=images,
    )


def _add_variants(record: EpochRecord, epoch: int) -> None:
    run = record.run
    columns = {
        variant: {name: run.column(name, epoch=epoch, variant=variant) for name in (*COLUMNS, "label_logit")}
        for variant in run.variants
    }
    predictions = np.stack([columns[variant]["prediction"] for variant in run.variants])
    rows = [
        {"epoch": epoch, "variant": variant, **variant_metrics(columns[variant], predictions[0], run.labels)}
        for variant in run.variants
    ]
    record.figures.append(pd.DataFrame(rows))
    record.predictions.append(predictions.astype(np.uint16))
    record.confidences.append(columns[record.clean]["confidence"])
    record.label_probabilities.append(columns[record.clean]["label_probability"])
    scores = np.stack([columns[variant]["label_logit"] for variant in run.variants])
    cues = robustness.cue_profile(scores, run.labels, len(run.classes))
    record.cue_drops.append(cues.drop.astype(np.float32))
    tables = [run.class_table(epoch=epoch, variant=variant) for variant in run.variants]
    record.class_accuracies.append(np.stack([table["accuracy"].to_numpy(np.float32) for table in tables]))
    record.class_confidences.append(np.stack([table["mean_confidence"].to_numpy(np.float32) for table in tables]))


def _add_clean(record: EpochRecord, final: FinalEpoch, epoch: int) -> None:
    run, last = record.run, epoch == record.epochs[-1]
    own = final.true_class_maps if last else run.true_class_maps(epoch=epoch, variant=record.clean)
    record.similarities.append(maps.cosine(own, final.true_class_maps))
    record.pattern_similarities.append(maps.cosine(run.patterns(epoch=epoch, variant=record.clean), final.patterns))
    record.mode_shares.append(_cluster_shares(own, final))
    for number, variant in enumerate(run.variants if last else run.variants[:1]):
        record.detections.append(_detections(record, epoch, number, variant))


def _detections(record: EpochRecord, epoch: int, number: int, variant: str) -> pd.DataFrame:
    """Failure detection of every score on all images of one epoch and variant."""
    run = record.run
    scores = column_scores(run, epoch=epoch, variant=variant)
    if number == 0:
        clean = np.stack([predictions[0] for predictions in record.predictions])
        scores["stability"] = persistence.final_run(clean).astype(np.float64)
        scores["agreement"] = persistence.variant_agreement(record.predictions[-1])
    right = record.predictions[-1][number] == run.labels
    rows = []
    for name, values in scores.items():
        found = failure_detection.detection(values, right)
        figures = {figure: float(getattr(found, figure)) for figure in failure_detection.VARIANT_METRICS}
        rows.append({"epoch": epoch, "variant": variant, "score": name, **figures})
    return pd.DataFrame(rows)


def _cluster_shares(own: Float32, final: FinalEpoch) -> Float32:
    """Share of its class's images that each mode holds, modes in the order of classes, then modes."""
    shares = []
    for label, found in final.clusters.items():
        images = final.mode_images[label]
        if len(found.count) == 1:
            shares.append(np.ones(1))
            continue
        member = clusters.assign(own[images], final.true_class_maps[images[found.medoid]])
        shares.append(np.bincount(member, minlength=len(found.count)) / len(images))
    return np.concatenate(shares).astype(np.float32)
