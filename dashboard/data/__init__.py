"""Cached calls into the store: the only package of the dashboard that caches.

A sealed epoch never changes, so an entry never goes stale: keys are the run's identity, the epoch, the variant and
what else was asked, never an array. See `kept.py` for how much is kept.
"""

from __future__ import annotations

from dashboard.data.across import (
    all_patterns,
    analysis_array,
    analysis_damage,
    analysis_epochs,
    analysis_table,
    anatomy,
    by_epoch_and_variant,
    calibration,
    class_accuracy,
    findings,
    group_history,
    look_alikes,
    nearest_pictures,
    pattern_index,
    place_verdict,
    risk_coverage,
    search_pattern,
)
from dashboard.data.kept import MEMORY
from dashboard.data.memory import run_ended
from dashboard.data.pictures import (
    all_maps,
    layers,
    own_maps,
    picture_atlas,
    predicted_maps,
    probabilities,
    stages,
    timeline,
)
from dashboard.data.runs import open_named_run, run_names, runs_folder
from dashboard.data.tables import (
    best_epoch,
    by_variant,
    class_groups,
    class_ids,
    class_names,
    class_order,
    class_table,
    confused_pairs,
    confusion,
    metrics,
    pair_history,
    patterns,
    predictions,
    variant_row,
)

__all__ = [
    "MEMORY",
    "all_maps",
    "all_patterns",
    "analysis_array",
    "analysis_damage",
    "analysis_epochs",
    "analysis_table",
    "anatomy",
    "best_epoch",
    "by_epoch_and_variant",
    "by_variant",
    "calibration",
    "class_accuracy",
    "class_groups",
    "class_ids",
    "class_names",
    "class_order",
    "class_table",
    "confused_pairs",
    "confusion",
    "findings",
    "group_history",
    "layers",
    "look_alikes",
    "metrics",
    "nearest_pictures",
    "open_named_run",
    "own_maps",
    "pair_history",
    "pattern_index",
    "patterns",
    "picture_atlas",
    "place_verdict",
    "predicted_maps",
    "predictions",
    "probabilities",
    "risk_coverage",
    "run_ended",
    "run_names",
    "runs_folder",
    "search_pattern",
    "stages",
    "timeline",
    "variant_row",
]
