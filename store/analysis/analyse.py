"""The whole analysis of a run: gather, compute, write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from store.analysis import tables
from store.analysis.analysis_file import write_analysis
from store.analysis.checkpoint_selection import best_epochs, ensembles
from store.analysis.collapse import collapse_table
from store.analysis.confidence_scores import failure_ranking, map_confidence
from store.analysis.finding_candidates import candidates, degenerate_network
from store.analysis.finding_inputs import FindingInputs
from store.analysis.findings import as_table, select
from store.analysis.gather import gather
from store.analysis.localisation import localisation_table
from store.analysis.map_points import map_points
from store.errors import NotInRun
from store.read.run import Run


def analyse(run: Run) -> Path:
    """Compute the cross-epoch analysis of a run and write it to analysis.h5 in its folder; returns that path.

    Reads the columns, class tables and cached maps of every epoch, maps and probabilities of the last few only.
    Tables: epochs (metrics per epoch and variant), epoch_metrics and epoch_labels (as recorded), images, classes, cues,
    pairs, clusters, cluster_survival, failure_ranking, map_confidence, best_epochs, ensembles, localisation, collapse,
    map_points, findings. Arrays: class_accuracy and class_confidence (E, V, C), cue_drop (E, V, C), pair_counts
    (pairs, E), pattern_similarity (E, C) and predictions (E, N) of the clean images.

    Raises:
        NotInRun: the run has no complete epoch yet.
        WriteFailed: the file system refuses to write.
    """
    if not run.epochs:
        raise NotInRun(
            f"The run {str(run.path)!r} has no epochs yet, so there is nothing to analyse. Record one first."
        )
    record, final = gather(run)
    metrics, images = pd.concat(record.metrics, ignore_index=True), tables.image_table(record, final)
    pairs, pair_counts = tables.pair_tables(record, final)
    derived = {
        "epochs": metrics,
        **tables.epoch_tables(run),
        "images": images,
        "classes": tables.class_table(record, final, images),
        "cues": tables.cue_table(record),
        "pairs": pairs,
        "clusters": tables.cluster_table(record, final),
        "cluster_survival": tables.survival_table(record, final),
        "failure_ranking": failure_ranking(record, final),
        "map_confidence": map_confidence(record),
        "best_epochs": best_epochs(record),
        "ensembles": ensembles(record),
        "localisation": localisation_table(record, final, images),
        "collapse": collapse_table(record),
        "map_points": map_points(final.predicted_class_maps),
    }
    inputs = FindingInputs(record, final, derived)
    if found := degenerate_network(inputs):
        derived["localisation"] = derived["localisation"].iloc[:0]
    derived["findings"] = as_table(found or select(candidates(inputs)))
    arrays = {
        "class_accuracy": np.stack(record.class_accuracies),
        "class_confidence": np.stack(record.class_confidences),
        "cue_drop": np.stack([cues.drop for cues in record.cues]).astype(np.float32),
        "predictions": np.stack([predictions[0] for predictions in record.predictions]),
        "pattern_similarity": np.stack(record.pattern_similarities),
        "pair_counts": pair_counts,
    }
    return write_analysis(run, record.epochs, derived, arrays)
