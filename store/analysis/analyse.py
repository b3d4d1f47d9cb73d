"""The whole analysis of a run: gather, derive, write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from store.analysis import findings_learning, findings_network, findings_perturbation
from store.analysis.analysis_file import write_analysis
from store.analysis.checkpoint_selection import best_epochs, ensembles
from store.analysis.clusters import cluster_table, survival_table
from store.analysis.events import class_events, cue_table, image_events, pair_tables
from store.analysis.failure_ranking import failure_ranking
from store.analysis.findings import as_table, select
from store.analysis.gather import EpochRecord, gather
from store.analysis.localisation import localisation_table
from store.analysis.resampled import resampled_metrics
from store.errors import NotInRun
from store.metrics.confusion import similarity_order
from store.metrics.robustness import similarity_order_
from store.read.run import Run

CANDIDATES = (
    findings_perturbation.predicted_as,
    findings_perturbation.accuracy_lost,
    findings_perturbation.cues,
    findings_network.error_detection,
    findings_network.corrections,
    findings_network.localisation_finding,
    findings_network.similar_maps,
    findings_network.together,
    findings_learning.forming,
    findings_learning.leading,
    findings_learning.forgetting,
    findings_learning.persistent,
    findings_learning.pairs_overcome,
    findings_learning.failing_clusters,
)


def analyse(run: Run) -> Path:
    """Derive everything that spans a run's epochs and write it to analysis.h5 beside the run; returns its path.

    Reads summary columns, class tables, confusions and cached maps of every epoch; maps and probabilities of the last few
    only. Tables: epochs, images, classes, cues, pairs, modes, cluster_survival, failure-detection ranking, league_weights, league_epochs,
    best_epochs, ensembles, place, findings. Arrays: class_accuracy and class_confidence (E, V, C), cue_drop (E, V, C),
    pair_counts (pairs, E), mode_shares (modes, E), pattern_similarity (E, C), predictions (E, N) of the clean images,
    similarity_order and cue_order (C,), league_reported (N,).

    Raises:
        NotInRun: the run has no sealed epoch yet.
        WriteFailed: the file system refuses.
    """
    if not run.epochs:
        raise NotInRun(
            f"The run {str(run.path)!r} has no epochs yet, so there is nothing to analyse. Record one first."
        )
    record, final = gather(run)
    images = image_events(record, final)
    pairs, pair_counts = pair_tables(record, final)
    found = failure_ranking(record, final)
    figures = pd.concat(record.figures, ignore_index=True)
    tables = {
        "epochs": figures,
        "images": images,
        "classes": class_events(record, final, images),
        "cues": cue_table(record),
        "pairs": pairs,
        "clusters": cluster_table(record, final),
        "cluster_survival": survival_table(record, final),
        "failure_ranking": found.table,
        "league_weights": found.weights,
        "league_epochs": pd.concat(record.detections, ignore_index=True),
        "best_epochs": best_epochs(figures, len(run.labels), resampled_metrics(record)),
        "ensembles": ensembles(record),
        "localisation": localisation_table(record, final, images),
    }
    material = findings_perturbation.FindingInputs(record, tables)
    candidates = [finding for candidate in CANDIDATES for finding in candidate(material)]
    tables["findings"] = as_table(select(candidates))
    arrays = _arrays(record) | {
        "pair_counts": pair_counts,
        "league_reported": found.reported,
        "similarity_order": similarity_order(final.patterns),
    }
    return write_analysis(run, record.epochs, tables, arrays)


def _arrays(record: EpochRecord) -> dict[str, np.ndarray]:
    return {
        "class_accuracy": np.stack(record.class_accuracies),
        "class_confidence": np.stack(record.class_confidences),
        "cue_drop": np.stack(record.cue_drops),
        "mode_shares": np.stack(record.mode_shares, axis=1),
        "predictions": np.stack([predictions[0] for predictions in record.predictions]),
        "cue_order": similarity_order_(record.cue_drops[-1][1:].T),
        "pattern_similarity": np.stack(record.pattern_similarities),
    }
