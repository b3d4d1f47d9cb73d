"""The whole analysis of a run: gather, derive, write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from store.analysis import answers, statements, stories
from store.analysis.events import class_events, cue_table, image_events, pair_tables
from store.analysis.file import write_analysis
from store.analysis.findings import as_table, select
from store.analysis.gather import Record, gather
from store.analysis.kinds import mode_table, survival_table
from store.analysis.league import league
from store.analysis.places import place_table
from store.analysis.purposes import best_epochs, ensembles
from store.analysis.resampled import resampled_figures
from store.errors import NotInRun
from store.measures.confusion import likeness_order
from store.measures.robustness import alike_order
from store.reader import Run

CANDIDATES = (
    statements.taken_for,
    statements.accuracy_lost,
    statements.cues,
    answers.betrayal,
    answers.undone,
    answers.maps_as_places,
    answers.alike_maps,
    answers.together,
    stories.forming,
    stories.leading,
    stories.forgetting,
    stories.entrenched,
    stories.pairs_overcome,
    stories.failing_modes,
)


def analyse(run: Run) -> Path:
    """Derive everything that spans a run's epochs and write it to analysis.h5 beside the run; returns its path.

    Reads summary columns, class tables, confusions and hot maps of every epoch; maps and probabilities of the last few
    only. Tables: epochs, images, classes, cues, pairs, modes, mode_survival, league, league_weights, league_epochs,
    best_epochs, ensembles, place, findings. Arrays: class_accuracy and class_confidence (E, V, C), cue_drop (E, V, C),
    pair_counts (pairs, E), mode_shares (modes, E), pattern_similarity (E, C), predictions (E, N) of the clean pictures,
    place_means (E, 4: inside, area, elsewhere, peak), likeness_order and cue_order (C,), league_reported (N,).

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
    found = league(record, final)
    figures = pd.concat(record.figures, ignore_index=True)
    tables = {
        "epochs": figures,
        "images": images,
        "classes": class_events(record, final, images),
        "cues": cue_table(record),
        "pairs": pairs,
        "modes": mode_table(record, final),
        "mode_survival": survival_table(record, final),
        "league": found.table,
        "league_weights": found.weights,
        "league_epochs": pd.concat(record.detections, ignore_index=True),
        "best_epochs": best_epochs(figures, len(run.labels), resampled_figures(record)),
        "ensembles": ensembles(record),
        "place": place_table(record, final, images),
    }
    material = statements.Tables(record, tables)
    candidates = [finding for candidate in CANDIDATES for finding in candidate(material)]
    tables["findings"] = as_table(select(candidates))
    arrays = _arrays(record) | {
        "pair_counts": pair_counts,
        "league_reported": found.reported,
        "likeness_order": likeness_order(final.patterns),
    }
    return write_analysis(run, record.epochs, tables, arrays)


def _arrays(record: Record) -> dict[str, np.ndarray]:
    return {
        "class_accuracy": np.stack(record.class_accuracies),
        "class_confidence": np.stack(record.class_confidences),
        "cue_drop": np.stack(record.cue_drops),
        "mode_shares": np.stack(record.mode_shares, axis=1),
        "predictions": np.stack([predictions[0] for predictions in record.predictions]),
        "cue_order": alike_order(record.cue_drops[-1][1:].T),
        "pattern_similarity": np.stack(record.pattern_similarities),
        "place_means": np.array([list(means.values()) for means in record.places]).reshape(len(record.places), 4),
    }
