"""Queries: a run in, a tidy table out, one function for each chart or table of the dashboard.

Rates and confidences are fractions 0..1, classes and images come with index and name. Where a run has an analysis
(`python -m compute analyse`), queries over all epochs use it and compute only the rest.
"""

from store.queries.accuracy import (
    accuracy_by_variant,
    balanced_accuracy,
    calibration_table,
    class_accuracy,
    clean_and_robust,
    epoch_churn,
    epoch_metrics,
    epoch_pairs,
    majority_share,
    risk_coverage,
)
from store.queries.confusion import (
    class_order,
    confused_pairs,
    group_history,
    pair_counts,
    pair_history,
    similarity_against_confusion,
)
from store.queries.failures import FailureFilter, accepted_errors, failures, select_failures
from store.queries.health import Degeneracy, degeneracies
from store.queries.minimal_correction import MinimalCorrection, minimal_correction
from store.queries.pattern_search import PatternIndex, pattern_index, search_index
from store.queries.perturbation import corruption_errors, cue_profiles, dose_curves, evidence_under
from store.queries.recalibration import prediction_sets, recalibration_table
from store.queries.recorded_epochs import epoch_label, recorded_metrics
from store.queries.removal_curves import removal_curves
from store.queries.replicates import (
    group_name,
    replicate_key,
    replicates,
    same_statement,
    spread_over_seeds,
    training_seed,
)
from store.queries.shared_images import repeated_images, shared_images
from store.queries.training_set import label_detection, suspects, training_images
