"""Queries: a run in, a tidy table out, one function for each chart or table of the dashboard.

Rates and confidences are fractions 0..1, epochs are numbers from 1, classes and images come with index and name.
Where a run has an analysis (`python -m compute analyse`), queries over all epochs take what it holds and compute only
the rest.
"""

from store.queries.accuracy import (
    accuracy_by_variant,
    best_worst_classes,
    calibration_table,
    class_accuracy,
    corruption_errors,
    risk_coverage,
    score_metrics,
)
from store.queries.class_order import class_order
from store.queries.confusion import (
    confused_pairs,
    group_confusion,
    group_history,
    pair_events,
    pair_history,
    similarity_against_confusion,
)
from store.queries.failures import FailureFilter, accepted_errors, failures, flips, select_failures
from store.queries.minimal_correction import MinimalCorrection, minimal_correction
from store.queries.pattern_search import PatternIndex, nearest_images, pattern_index, search_index, search_pattern
from store.queries.perturbation import cue_profiles, evidence_under

__all__ = [
    "FailureFilter",
    "MinimalCorrection",
    "PatternIndex",
    "accuracy_by_variant",
    "best_worst_classes",
    "calibration_table",
    "class_accuracy",
    "class_order",
    "confused_pairs",
    "corruption_errors",
    "cue_profiles",
    "evidence_under",
    "failures",
    "flips",
    "group_confusion",
    "group_history",
    "minimal_correction",
    "nearest_images",
    "pair_events",
    "pair_history",
    "pattern_index",
    "risk_coverage",
    "score_metrics",
    "search_index",
    "search_pattern",
    "select_failures",
    "similarity_against_confusion",
    "accepted_errors",
]
