"""One pass over a run's epochs that collects what the analysis needs: columns, class tables and cached maps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.metrics import correction, learning, localisation, maps, robustness
from store.metrics.clusters import Clusters, find_clusters
from store.read.run import Run

Float32 = NDArray[np.float32]
MAP_BLOCK = 256  # images whose maps of all classes are in memory at once
CLUSTER_IMAGES = 1300  # larger classes are clustered by an even sample: the number of distances grows with the square


@dataclass
class EpochRecord:
    """What one pass over the epochs collected; E epochs, V variants, N images, C classes, clean where no V is named."""

    run: Run
    epochs: tuple[int, ...]
    metrics: list[pd.DataFrame] = field(default_factory=list)  # a row per variant for each epoch
    predictions: list[NDArray] = field(default_factory=list)  # E x (V, N)
    confidences: list[Float32] = field(default_factory=list)  # E x (N,)
    label_probabilities: list[Float32] = field(default_factory=list)  # E x (N,)
    similarities: list[Float32] = field(default_factory=list)  # E x (N,), the true class's map to its final form
    pattern_similarities: list[Float32] = field(default_factory=list)  # E x (C,), pattern to its final form
    class_accuracies: list[Float32] = field(default_factory=list)  # E x (V, C)
    class_confidences: list[Float32] = field(default_factory=list)  # E x (V, C)
    cues: list[robustness.CueProfile] = field(default_factory=list)  # E x (V, C)

    @property
    def clean(self) -> str:
        """Name of the clean variant."""
        return self.run.variants[0]

    @property
    def first_trained(self) -> int:
        """Position of the first epoch that counts: what an untrained network predicts is neither learned nor chosen."""
        return int(self.epochs[0] == 0 and len(self.epochs) > 1)

    @property
    def label_logit_drops(self) -> NDArray[np.float64]:
        """How much the true class's logit falls under each variant but clean at the last epoch, (V - 1, N)."""
        logits = [
            self.run.column("label_logit", epoch=self.epochs[-1], variant=variant).astype(np.float64)
            for variant in self.run.variants
        ]
        return np.stack([logits[0] - each for each in logits])[1:]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Correct predictions of the last epoch, (V, N) bool."""
        return self.predictions[-1] == self.run.labels


@dataclass(frozen=True)
class FinalEpoch:
    """The last epoch's clean maps, and what follows from them."""

    true_class_maps: Float32  # (N, H, W)
    predicted_class_maps: Float32  # (N, H, W)
    patterns: Float32  # (C, H, W)
    cover: NDArray[np.float64] | None  # (N, H, W), share of each cell on the object
    formed: float  # cosine to its final form from which a map counts as formed, see `learning.form_limit`
    cells_to_flip: NDArray[np.int64] | None  # (N,), None where the runner-up's map is not kept
    clusters: dict[int, Clusters]  # by class
    clustered_images: dict[int, NDArray[np.int64]]  # by class


def gather(run: Run) -> tuple[EpochRecord, FinalEpoch]:
    """What one pass over all epochs of a run collects, and the last epoch's maps; the run needs at least one epoch."""
    record, final = EpochRecord(run, run.epochs), _final_epoch(run)
    for epoch in record.epochs:
        _add_columns(record, epoch)
        last = epoch == record.epochs[-1]
        own = final.true_class_maps if last else run.true_class_maps(epoch=epoch, variant=record.clean)
        record.similarities.append(maps.cosine(own, final.true_class_maps))
        record.pattern_similarities.append(maps.cosine(run.patterns(epoch=epoch, variant=record.clean), final.patterns))
    return record, final


def object_cover(run: Run) -> NDArray[np.float64] | None:
    """Share of each map cell that the object takes, (N, H, W), from masks or else boxes; None without either."""
    masks = run.masks()
    if masks is not None:
        return localisation.mask_cover(masks, run.map_shape)
    boxes = run.boxes()
    return None if boxes is None else localisation.box_cover(boxes, run.image_shape, run.map_shape)


def _final_epoch(run: Run) -> FinalEpoch:
    epoch, clean = run.epochs[-1], run.variants[0]
    own = run.true_class_maps(epoch=epoch, variant=clean)
    found, images = {}, {}
    for label in np.unique(run.labels):
        members = np.flatnonzero(run.labels == label)
        step = -(-len(members) // CLUSTER_IMAGES)
        images[int(label)] = members[::step]
        found[int(label)] = find_clusters(own[members[::step]])
    return FinalEpoch(
        true_class_maps=own,
        predicted_class_maps=run.predicted_class_maps(epoch=epoch, variant=clean),
        patterns=run.patterns(epoch=epoch, variant=clean),
        cover=object_cover(run),
        formed=learning.form_limit(_mean_within_class(own, run)),
        cells_to_flip=cells_to_flip(run) if run.has_maps and run.kept_maps != 1 else None,
        clusters=found,
        clustered_images=images,
    )


def _mean_within_class(own: Float32, run: Run) -> float:
    within, _ = localisation.pair_similarity(own, run.labels, len(run.classes))
    known = within[np.isfinite(within)]
    return float(known.mean()) if len(known) else float("nan")


def cells_to_flip(run: Run) -> NDArray[np.int64]:
    """Fewest cells whose removal lets the runner-up tie, (N,) int64, last epoch, clean: k* without the true class."""
    epoch, clean = run.epochs[-1], run.variants[0]
    prediction, runner_up = (run.column(name, epoch=epoch, variant=clean) for name in ("prediction", "runner_up"))
    cells = np.zeros(len(prediction), np.int64)
    for start in range(0, len(prediction), MAP_BLOCK):
        rows = np.arange(start, min(start + MAP_BLOCK, len(prediction)))
        classes, index = np.unique(np.stack([prediction[rows], runner_up[rows]]), return_inverse=True)
        found = run.maps(epoch=epoch, variant=clean, images=rows, classes=classes)
        first, second = index.reshape(2, -1)
        each = np.arange(len(rows))
        cells[rows] = correction.correction_cells(found[each, first], found[each, second])
    return cells


def _add_columns(record: EpochRecord, epoch: int) -> None:
    run, clean = record.run, record.clean

    def of_variants(column: str) -> NDArray:
        return np.stack([run.column(column, epoch=epoch, variant=variant) for variant in run.variants])

    record.metrics.append(run.variant_metrics(epoch=epoch))
    record.predictions.append(of_variants("prediction").astype(np.uint16))
    record.confidences.append(run.column("confidence", epoch=epoch, variant=clean))
    record.label_probabilities.append(run.column("label_probability", epoch=epoch, variant=clean))
    record.cues.append(robustness.cue_profile(of_variants("label_logit"), run.labels, len(run.classes)))
    tables = [run.class_table(epoch=epoch, variant=variant) for variant in run.variants]
    record.class_accuracies.append(np.stack([table["accuracy"].to_numpy(np.float32) for table in tables]))
    record.class_confidences.append(np.stack([table["mean_confidence"].to_numpy(np.float32) for table in tables]))
