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
    score_figures,
)
from store.queries.anatomy import Anatomy, answer_anatomy
from store.queries.confusion import (
    confused_pairs,
    group_confusion,
    group_history,
    likeness_against_confusion,
    pair_events,
    pair_history,
)
from store.queries.evidence import cue_fingerprints, evidence_under
from store.queries.failures import FailureFilter, failures, flips, select_failures, wrongly_accepted
from store.queries.ordering import class_order
from store.queries.patterns import PatternIndex, nearest_pictures, pattern_index, search_index, search_pattern

__all__ = [
    "Anatomy",
    "FailureFilter",
    "PatternIndex",
    "accuracy_by_variant",
    "answer_anatomy",
    "best_worst_classes",
    "calibration_table",
    "class_accuracy",
    "class_order",
    "confused_pairs",
    "corruption_errors",
    "cue_fingerprints",
    "evidence_under",
    "failures",
    "flips",
    "group_confusion",
    "group_history",
    "likeness_against_confusion",
    "nearest_pictures",
    "pair_events",
    "pair_history",
    "pattern_index",
    "risk_coverage",
    "score_figures",
    "search_index",
    "search_pattern",
    "select_failures",
    "wrongly_accepted",
]
