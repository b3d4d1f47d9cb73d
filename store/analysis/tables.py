"""The analysis's tables of images, classes, cues, confused pairs and clusters of maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.gather import EpochRecord, FinalEpoch
from store.metrics import clusters, confusion, learning, localisation, maps
from store.metrics.learning import NEVER
from store.read.run import Run

Int64 = NDArray[np.int64]
MEASURED_PAIRS = 400  # an earth-mover distance takes 2 ms


def epoch_numbers(epochs: tuple[int, ...], positions: NDArray) -> Int64:
    """Epoch numbers of positions; NEVER stays NEVER."""
    positions = np.asarray(positions, np.int64)
    return np.where(positions == NEVER, NEVER, np.asarray(epochs, np.int64)[np.maximum(positions, 0)])


def epoch_tables(run: Run) -> dict[str, pd.DataFrame]:
    """What was recorded about the epochs: epoch_metrics (epoch, name, value), epoch_labels (epoch, label)."""
    labels = [(epoch, label) for epoch in run.epochs if (label := run.epoch_label(epoch))]
    return {
        "epoch_metrics": run.metrics().melt("epoch", var_name="name", value_name="value").dropna(),
        "epoch_labels": pd.DataFrame(labels, columns=["epoch", "label"]),
    }


def image_table(record: EpochRecord, final: FinalEpoch) -> pd.DataFrame:
    """A row per image, clean: when its map formed, when its prediction stabilised, what was forgotten, what persists.

    image, formation, stabilisation, learned, first_correct (epoch numbers, -1 = never), map_lead (epochs),
    forgetting_count, flips, history (see `store.metrics.learning`), self_confidence, error_run, error_run_confidence,
    agreement, persistence (see `Persistence` there), label_issue, cluster, and where the run knows the object
    evidence_on_object, object_area, evidence_on_others, peak_on_object, localisation_gain, possible_gain (see
    `store.metrics.localisation`; else NaN), cells_to_flip (see `gather`; -1 where maps of the runner-up are not kept).
    Of the untrained network, epoch 0, formation, stabilisation and map_lead alone take account.
    """
    labels, epochs = record.run.labels, record.epochs
    predictions = np.stack([found[0] for found in record.predictions]).astype(np.int64)
    first = record.first_trained
    trained, correct = epochs[first:], predictions[first:] == labels
    formed = epoch_numbers(epochs, learning.formation(np.stack(record.similarities), threshold=final.formed))
    stabilised = epoch_numbers(epochs, learning.stabilisation(predictions))
    agreement = learning.variant_agreement(record.predictions[-1])
    persistent = learning.persistence(predictions[first:], np.stack(record.confidences[first:]), labels, agreement)
    self_confidence = np.mean(np.stack(record.label_probabilities[first:]), axis=0, dtype=np.float64)
    half_of_epochs = max(2, (len(trained) + 1) // 2)
    table = pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "formation": formed,
            "stabilisation": stabilised,
            "learned": epoch_numbers(trained, learning.learned(correct)),
            "first_correct": epoch_numbers(trained, learning.first_correct(correct)),
            "map_lead": learning.map_lead(stabilised, formed),
            "forgetting_count": learning.forgetting_count(correct),
            "flips": learning.flip_count(predictions[first:]),
            "history": np.array(learning.HISTORIES, object)[learning.history(correct)],
            "self_confidence": self_confidence,
            "error_run": persistent.run,
            "error_run_confidence": persistent.confidence,
            "agreement": agreement,
            "persistence": persistent.score,
            "label_issue": learning.label_issue_candidates(self_confidence, persistent.run, min_run=half_of_epochs),
            "cluster": _clusters_of_images(record, final),
        }
    )
    flips = np.full(len(labels), NEVER) if final.cells_to_flip is None else final.cells_to_flip
    return table.assign(**_localisation_columns(record, final), cells_to_flip=flips)


def _clusters_of_images(record: EpochRecord, final: FinalEpoch) -> Int64:
    """Cluster of each image in its class; images left out of the clustering go to the nearest medoid."""
    member = np.zeros(len(record.run.labels), np.int64)
    for label, found in final.clusters.items():
        images, everyone = final.clustered_images[label], np.flatnonzero(record.run.labels == label)
        member[everyone] = clusters.assign(final.true_class_maps[everyone], final.true_class_maps[images[found.medoid]])
        member[images] = found.member
    return member


def _localisation_columns(record: EpochRecord, final: FinalEpoch) -> dict[str, NDArray]:
    labels = record.run.labels
    if final.cover is None:
        return {name: np.full(len(labels), np.nan) for name in localisation.ImageLocalisation.__annotations__}
    return vars(localisation.image_localisation(final.true_class_maps, final.cover, labels))


def class_table(record: EpochRecord, final: FinalEpoch, images: pd.DataFrame) -> pd.DataFrame:
    """A row per class, clean images: formation and learning epochs (numbers, -1 = never), shares of histories.

    formation: of the class pattern; image_formation and stabilisation: medians over the images, those that never form
    last of all; half_correct: first trained epoch with half of the images correct; accuracy: of the last epoch;
    within_class, between_classes: see `store.metrics.localisation.pair_similarity`; map_lead: mean of those that form;
    forgetting_count, evidence_on_object, object_area, evidence_on_others, persistence: means of the images;
    silent_share: share of the true class's maps without a positive cell; never_correct, forgotten: shares of the
    images; clusters: their number; object_following with its 95 % interval: see `store.metrics.localisation`.
    """
    run, epochs = record.run, record.epochs
    first, accuracy = record.first_trained, np.stack(record.class_accuracies)[:, 0]
    within, between = localisation.pair_similarity(final.true_class_maps, run.labels, len(run.classes))
    formed = images["formation"] != NEVER
    by_class = images.assign(
        silent_share=final.true_class_maps.max((1, 2)) <= 0, map_lead=images["map_lead"].where(formed).astype(float)
    ).groupby(run.labels)
    table = run.classes.reset_index().assign(
        formation=epoch_numbers(
            epochs, learning.formation(np.stack(record.pattern_similarities), threshold=final.formed)
        ),
        half_correct=epoch_numbers(epochs[first:], learning.first_correct(np.nan_to_num(accuracy[first:]) >= 0.5)),
        accuracy=accuracy[-1],
        within_class=within,
        between_classes=between,
    )
    summaries = {
        "image_formation": by_class["formation"].agg(_median_event),
        "stabilisation": by_class["stabilisation"].median(),
        "never_correct": by_class["history"].agg(lambda column: (column == "never correct").mean()),
        "forgotten": by_class["history"].agg(lambda column: (column == "forgotten").mean()),
        "clusters": by_class["cluster"].nunique(),
    }
    names = ["map_lead", "forgetting_count", "evidence_on_object", "object_area", "evidence_on_others"]
    means = by_class[[*names, "persistence", "silent_share"]].mean()
    table = table.join(pd.DataFrame(summaries)).join(means).fillna({"clusters": 0})
    return table.join(_object_following_by_class(by_class))


def _object_following_by_class(by_class: Any) -> pd.DataFrame:
    """A row per class: object_following with its 95 % interval, of the images grouped by class."""
    found = {
        label: localisation.object_following(rows["localisation_gain"], rows["possible_gain"], np.zeros(len(rows), int))
        for label, rows in by_class
    }
    columns = ["object_following", "object_following_low", "object_following_high"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns)


def _median_event(epochs: pd.Series) -> float:
    """Median epoch of an event, where an event that never happens counts as the latest; NEVER if that is the median."""
    median = float(epochs.where(epochs != NEVER, np.inf).astype(float).median())
    return median if np.isfinite(median) else NEVER


def cue_table(record: EpochRecord) -> pd.DataFrame:
    """A row per variant but clean and class, last epoch: variant, class_index, drop (sd), its error, accuracy_drop."""
    run, cues, accuracy = record.run, record.cues[-1], record.class_accuracies[-1]
    count = len(run.classes)
    return pd.DataFrame(
        {
            "variant": np.repeat(np.array(run.variants[1:], object), count),
            "class_index": np.tile(np.arange(count), len(run.variants) - 1),
            "drop": cues.drop[1:].ravel(),
            "error": cues.error[1:].ravel(),
            "accuracy_drop": (accuracy[0] - accuracy[1:]).ravel(),
        }
    )


def pair_tables(record: EpochRecord, final: FinalEpoch) -> tuple[pd.DataFrame, Int64]:
    """The confused pairs, clean, and their counts over the epochs (pairs, E).

    Pairs with 3 mistakes or more at any trained epoch, most mistakes at the peak first: true_class_index, true_class,
    predicted_class_index, predicted_class, onset, peak, resolved (epoch numbers, -1 = never or not yet), peak_count,
    last_count, slope, reverse, and of the last epoch similarity (cosine of the class patterns), overlap (of the
    two maps over the pair's mistakes, NaN without one: high = look-alikes, low = the evidence lies elsewhere) and
    distance (earth-mover, between the class patterns, in cells; NaN beyond the first 400 pairs).
    """
    run, epochs, first = record.run, record.epochs, record.first_trained
    count = len(run.classes)
    ever, series, reverse = pair_series(run.labels, [found[0] for found in record.predictions], count, first=first)
    events = confusion.pair_events(series[first:])
    names, true_class, predicted_class = run.classes["name"].to_numpy(), ever // count, ever % count
    overlap = confusion.pair_overlap(
        final.true_class_maps, final.predicted_class_maps, run.labels, record.predictions[-1][0], count
    )
    table = pd.DataFrame(
        {
            "true_class_index": true_class,
            "true_class": names[true_class],
            "predicted_class_index": predicted_class,
            "predicted_class": names[predicted_class],
            **{name: epoch_numbers(epochs[first:], getattr(events, name)) for name in ("onset", "peak", "resolved")},
            "peak_count": events.peak_count,
            "last_count": series[-1],
            "slope": events.slope,
            "reverse": reverse,
            "similarity": maps.cosine(final.patterns[true_class], final.patterns[predicted_class]),
            "overlap": overlap[true_class, predicted_class],
        }
    )
    order = np.argsort(-table["peak_count"].to_numpy(), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    distance = np.full(len(table), np.nan)
    measured = table.head(MEASURED_PAIRS)
    sides = (final.patterns[measured[side].to_numpy()] for side in ("true_class_index", "predicted_class_index"))
    distance[: len(measured)] = maps.earth_mover(*sides)
    return table.assign(distance=distance), series.T[order]


def pair_series(
    labels: NDArray, predictions: Sequence[NDArray], classes: int, *, first: int = 0
) -> tuple[Int64, Int64, Int64]:
    """Pairs (true class * classes + prediction) with 3 mistakes or more at any epoch that counts, their counts
    (E, pairs), and how often the last epoch has the reverse.

    Args:
        labels: (N,). predictions: of each epoch, (N,) class indices. first: position of the first epoch that counts.
    """
    keys = [labels * classes + found.astype(np.int64) for found in predictions]
    tallies = [
        np.unique(key[found != labels], return_counts=True) for key, found in zip(keys, predictions, strict=True)
    ]
    ever = np.unique(np.concatenate([pair[counts >= confusion.PRESENT] for pair, counts in tallies[first:]]))
    series = np.stack([_lookup(pair, counts, ever) for pair, counts in tallies])
    return ever, series, _lookup(*tallies[-1], ever % classes * classes + ever // classes)


def _lookup(pair: NDArray, counts: NDArray, wanted: NDArray) -> Int64:
    if not len(pair):
        return np.zeros(len(wanted), np.int64)
    index = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
    return np.where(pair[index] == wanted, counts[index], 0)


def cluster_table(record: EpochRecord, final: FinalEpoch) -> pd.DataFrame:
    """A row per cluster of each class's maps, largest first within the class; errors at the last epoch, clean.

    class_index, cluster, medoid (image), count, share, silhouette, error, lift, low, high (95 %).
    """
    wrong, rows = ~record.correct[0], []
    for label, found in final.clusters.items():
        images = final.clustered_images[label]
        columns = {
            "class_index": label,
            "cluster": np.arange(len(found.count)),
            "medoid": images[found.medoid],
            "count": found.count,
            "share": found.count / len(images),
            "silhouette": found.silhouette,
            **vars(clusters.error_lift(found.member, wrong[images])),
        }
        rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def survival_table(record: EpochRecord, final: FinalEpoch) -> pd.DataFrame:
    """A row per cluster of the classes that have several and per variant but clean, last epoch.

    class_index, cluster, variant, count, share (of its images whose map stays nearest to it), low, high (Wilson).
    """
    run, epoch = record.run, record.epochs[-1]
    split = {label: found for label, found in final.clusters.items() if len(found.count) > 1}
    rows = []
    for variant in run.variants[1:] if split else ():
        own = run.true_class_maps(epoch=epoch, variant=variant)
        for label, found in split.items():
            images = final.clustered_images[label]
            medoids = final.true_class_maps[images[found.medoid]]
            before, after = (clusters.assign(each[images], medoids) for each in (final.true_class_maps, own))
            stayed = clusters.survival(before, after, clusters=len(medoids))
            row = {"class_index": label, "cluster": np.arange(len(medoids)), "variant": variant, **vars(stayed)}
            rows.append(pd.DataFrame(row))
    columns = ["class_index", "cluster", "variant", "count", "share", "low", "high"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame({name: [] for name in columns})
