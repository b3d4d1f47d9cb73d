"""Tables of what happened over the epochs: to each image, to each class, to each confused pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.gather import EpochRecord, FinalEpoch
from store.metrics import clusters, confusion, earth_mover, learning, localisation, maps, persistence, robustness
from store.metrics.learning import NEVER

Int64 = NDArray[np.int64]
MEASURED_PAIRS = 400  # an earth-mover distance takes 2 ms


def epoch_numbers(epochs: tuple[int, ...], positions: NDArray) -> Int64:
    """Epoch numbers of positions; NEVER stays NEVER."""
    positions = np.asarray(positions, np.int64)
    return np.where(positions == NEVER, NEVER, np.asarray(epochs, np.int64)[np.maximum(positions, 0)])


def image_events(record: EpochRecord, final: FinalEpoch) -> pd.DataFrame:
    """A row per image, clean: when its map formed and its prediction settled, what was forgotten, how deep it errs.

    formation, settling, learned, first_correct (epoch numbers, -1 = never), lead (epochs), forgetting_count, flips, history
    (see `store.metrics.learning`), self_confidence, run, error_run_confidence, agreement, entrenchment, label_issue, mode,
    and where the run knows the object inside, area, elsewhere, peak_on_object, gained, possible (see
    `store.metrics.localisation`; else NaN).
    """
    labels, epochs = record.run.labels, record.epochs
    predictions = np.stack([found[0] for found in record.predictions]).astype(np.int64)
    right = predictions == labels
    formed, stabilised = learning.formation(np.stack(record.similarities)), learning.stabilisation(predictions)
    agreement = persistence.variant_agreement(record.predictions[-1])
    persistent = persistence.persistence(predictions, np.stack(record.confidences), labels, agreement)
    self_confidence = np.mean(np.stack(record.label_probabilities), axis=0, dtype=np.float64)
    table = pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "formation": epoch_numbers(epochs, formed),
            "stabilisation": epoch_numbers(epochs, stabilised),
            "learned": epoch_numbers(epochs, learning.learned(right)),
            "first_correct": epoch_numbers(epochs, learning.first_correct(right)),
            "map_lead": learning.map_lead(epoch_numbers(epochs, stabilised), epoch_numbers(epochs, formed)),
            "forgetting_count": learning.forgetting_count(right),
            "flips": learning.flip_count(predictions),
            "history": np.array(learning.HISTORIES, object)[learning.history(right)],
            "self_confidence": self_confidence,
            "error_run": persistent.run,
            "error_run_confidence": persistent.confidence,
            "agreement": agreement,
            "persistence": persistent.score,
            "label_issue": persistence.label_issue_candidates(
                self_confidence, persistent.run, min_error_run=max(2, (len(epochs) + 1) // 2)
            ),
            "cluster": _clusters_of_images(record, final),
        }
    )
    return table.assign(**_places(record, final))


def _clusters_of_images(record: EpochRecord, final: FinalEpoch) -> Int64:
    """Mode of each image in its class; images left out of the clustering go to the nearest medoid."""
    member = np.zeros(len(record.run.labels), np.int64)
    for label, found in final.clusters.items():
        images, everyone = final.mode_images[label], np.flatnonzero(record.run.labels == label)
        member[everyone] = clusters.assign(final.true_class_maps[everyone], final.true_class_maps[images[found.medoid]])
        member[images] = found.member
    return member


def _places(record: EpochRecord, final: FinalEpoch) -> dict[str, NDArray]:
    labels = record.run.labels
    if final.cover is None:
        names = (
            "evidence_on_object",
            "object_area",
            "evidence_on_others",
            "peak_on_object",
            "localisation_gain",
            "possible_gain",
        )
        return {name: np.full(len(labels), np.nan) for name in names}
    found = localisation.localisation_scores(final.true_class_maps, final.cover, labels)
    gains = localisation.gains(final.true_class_maps, final.cover, labels)
    where = {
        "evidence_on_object": found.evidence_on_object,
        "object_area": found.object_area,
        "evidence_on_others": found.evidence_on_others,
        "peak_on_object": found.peak_on_object,
    }
    return {**where, "localisation_gain": gains.localisation_gain, "possible_gain": gains.possible_gain}


def class_events(record: EpochRecord, final: FinalEpoch, images: pd.DataFrame) -> pd.DataFrame:
    """A row per class, clean images: formation and learning epochs (numbers, -1 = never), shares of histories.

    formation: of the class pattern; image_formation and settling: medians over the images, those that never form
    last of all; half: first epoch with half of the images right; lead: mean over the images that form; forgetting_count:
    mean; never_correct, forgotten: shares of the images; within and between: mean cosine of own maps of two images of
    the class, and of one inside and one outside; inside, area, elsewhere: means of the images; follow with object_following_low
    and object_following_high (95 %): see `store.metrics.localisation.object_following`; modes: their number; silent: share of own maps without a
    positive cell.
    """
    run, epochs = record.run, record.epochs
    count = len(run.classes)
    accuracy = np.stack(record.class_accuracies)[:, 0]
    similar = localisation.pair_similarity(final.true_class_maps, run.labels, count)
    formed = images["formation"] != NEVER
    by_class = images.assign(
        silent_share=final.true_class_maps.max((1, 2)) <= 0, map_lead=images["map_lead"].where(formed).astype(float)
    ).groupby(run.labels)
    table = run.classes.reset_index().assign(
        formation=epoch_numbers(epochs, learning.formation(np.stack(record.pattern_similarities))),
        half_correct=epoch_numbers(epochs, learning.first_correct(np.nan_to_num(accuracy) >= 0.5)),
        accuracy=accuracy[-1],
        within_class=similar.within_class,
        between_classes=similar.between_classes,
    )
    medians = pd.DataFrame(
        {
            "image_formation": by_class["formation"].agg(_median_event),
            "stabilisation": by_class["stabilisation"].median(),
        }
    )
    means = by_class[
        [
            "map_lead",
            "forgetting_count",
            "evidence_on_object",
            "object_area",
            "evidence_on_others",
            "persistence",
            "silent_share",
        ]
    ].mean()
    shares = pd.DataFrame(
        {
            "never_correct": by_class["history"].agg(lambda column: (column == "never correct").mean()),
            "forgotten": by_class["history"].agg(lambda column: (column == "forgotten").mean()),
            "clusters": by_class["cluster"].nunique(),
        }
    )
    table = table.join(medians).join(means).join(shares).fillna({"clusters": 0})
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
    """Median epoch of an event, where what never happens comes after everything; NEVER if that is the median."""
    median = float(epochs.where(epochs != NEVER, np.inf).astype(float).median())
    return median if np.isfinite(median) else NEVER


def pair_tables(record: EpochRecord, final: FinalEpoch) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The confused pairs, clean, and their counts over the epochs (pairs, E).

    Pairs with 3 mistakes or more at any epoch, most mistakes at the peak first: true_class_index, true class, predicted_class_index,
    predicted, birth, peak, death (epoch numbers, -1 = never or still alive), peak_count, last_count, slope, reverse,
    mutual, and of the last epoch similarity (cosine of the class patterns), overlap (of the two maps over the pair's
    mistakes, NaN without one: high = look-alikes, low = the evidence lies elsewhere) and distance (earth-mover, between
    the class patterns, in cells; NaN beyond the first 400 pairs).
    """
    run, epochs = record.run, record.epochs
    count = len(run.classes)
    ever, series, reverse = pair_series(run.labels, [found[0] for found in record.predictions], count)
    events = confusion.pair_events(series) if len(ever) else None
    names, true_class, predicted_class = run.classes["name"].to_numpy(), ever // count, ever % count
    both = series[-1] + reverse
    overlap = confusion.pair_overlap(
        final.true_class_maps, final.predicted_class_maps, run.labels, record.predictions[-1][0], count
    )
    table = pd.DataFrame(
        {
            "true_class_index": true_class,
            "true_class": names[true_class],
            "predicted_class_index": predicted_class,
            "predicted_class": names[predicted_class],
            "onset": epoch_numbers(epochs, events.onset) if events else ever,
            "peak": epoch_numbers(epochs, events.peak) if events else ever,
            "resolved": epoch_numbers(epochs, events.resolved) if events else ever,
            "peak_count": events.peak_count if events else ever,
            "last_count": series[-1],
            "slope": events.slope if events else ever.astype(np.float64),
            "reverse": reverse,
            "mutual": np.divide(2 * np.minimum(series[-1], reverse), both, out=np.zeros(len(ever)), where=both > 0),
            "similarity": maps.cosine(final.patterns[true_class], final.patterns[predicted_class]),
            "overlap": overlap[true_class, predicted_class],
        }
    )
    order = np.argsort(-table["peak_count"].to_numpy(), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    distance = np.full(len(table), np.nan)
    first = table.head(MEASURED_PAIRS)
    sides = (final.patterns[first[side].to_numpy()] for side in ("true_class_index", "predicted_class_index"))
    distance[: len(first)] = earth_mover.earth_mover(*sides)
    return table.assign(distance=distance), series.T[order]


def pair_series(
    labels: NDArray, predictions: Sequence[NDArray], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (true class * classes + prediction) with 3 mistakes or more at any epoch, their counts (E, pairs), and how often
    the last epoch has the reverse.

    Args:
        labels: (N,). predictions: of each epoch, (N,) class indices.
    """
    keys = [labels * classes + found.astype(np.int64) for found in predictions]
    tallies = [
        np.unique(key[found != labels], return_counts=True) for key, found in zip(keys, predictions, strict=True)
    ]
    ever = np.unique(np.concatenate([pair[counts >= 3] for pair, counts in tallies]))
    series = np.stack([_lookup(pair, counts, ever) for pair, counts in tallies])
    return ever, series, _lookup(*tallies[-1], ever % classes * classes + ever // classes)


def _lookup(pair: NDArray, counts: NDArray, wanted: NDArray) -> NDArray[np.int64]:
    if not len(pair):
        return np.zeros(len(wanted), np.int64)
    place_of = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
    return np.where(pair[place_of] == wanted, counts[place_of], 0)


def cue_table(record: EpochRecord) -> pd.DataFrame:
    """A row per variant but clean and class, last epoch: variant, class_index, drop (sd), its error, accuracy_drop."""
    run, epoch = record.run, record.epochs[-1]
    scores = np.stack([run.column("label_logit", epoch=epoch, variant=variant) for variant in run.variants])
    cues = robustness.cue_profile(scores, run.labels, len(run.classes))
    accuracy = record.class_accuracies[-1]
    rows = [
        pd.DataFrame(
            {
                "variant": variant,
                "class_index": np.arange(len(run.classes)),
                "drop": cues.drop[place_of],
                "error": cues.error[place_of],
                "accuracy_drop": accuracy[0] - accuracy[place_of],
            }
        )
        for place_of, variant in enumerate(run.variants)
        if place_of > 0
    ]
    columns = ["variant", "class_index", "drop", "error", "accuracy_drop"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame({name: [] for name in columns})
