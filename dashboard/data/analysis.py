"""What spans the epochs: patterns, curves, flips, and the tables that the analysis of a run has derived."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.data.query_cache import cached_query
from dashboard.data.runs import frozen
from dashboard.data.tables import patterns
from store import DamagedFile, Run, queries
from store.analysis import Analysis, Finding, from_table, read_analysis
from store.analysis.analysis_file import ANALYSIS_FILE
from store.analysis.localisation import verdict
from store.queries.table1 import recorded_result

_SHOWN = "variant", "top1", "top5", "mean_confidence", "flip_rate"


def analysed(run: Run) -> int:
    """When the run's analysis was written, nanoseconds; 0 where there is none."""
    path = run.path / ANALYSIS_FILE
    return path.stat().st_mtime_ns if path.is_file() else 0


@cached_query
def _analysis(run: Run, stamp: int) -> tuple[Analysis | None, str]:
    try:
        return read_analysis(run), ""
    except DamagedFile as error:  # a derived file must not take the pages with it that can do without
        return None, str(error)


def analysis_epochs(run: Run) -> tuple[int, ...]:
    """The epochs that the run's analysis was made from; empty where there is none."""
    analysis, _ = _analysis(run, analysed(run))
    return () if analysis is None else analysis.epochs


def analysis_damage(run: Run) -> str:
    """Why the analysis that is there cannot be read; empty where it can, or where there is none."""
    return _analysis(run, analysed(run))[1]


@cached_query
def _analysis_table(run: Run, name: str, stamp: int) -> pd.DataFrame | None:
    analysis, _ = _analysis(run, stamp)
    return analysis.table(name) if analysis is not None and name in analysis.tables else None


def analysis_table(run: Run, name: str) -> pd.DataFrame | None:
    """A table that was derived from all epochs; None where the run has no analysis."""
    return _analysis_table(run, name, analysed(run))


def findings(run: Run) -> list[Finding]:
    """The most striking true statements about the run, strongest first; empty without an analysis."""
    return _findings(run, analysed(run))


@cached_query
def _findings(run: Run, stamp: int) -> list[Finding]:
    table = _analysis_table(run, "findings", stamp)
    return [] if table is None else from_table(table)


def localisation_verdict(run: Run) -> str:
    """Whether the run's maps are places in the image: 'place', 'code' or 'unknown'."""
    return _localisation_verdict(run, analysed(run))


@cached_query
def _localisation_verdict(run: Run, stamp: int) -> str:
    table = _analysis_table(run, "place", stamp)
    return "unknown" if table is None else verdict(table)


@cached_query
def _all_patterns(run: Run, variant: str, epochs: tuple[int, ...]) -> np.ndarray:
    return frozen(np.stack([patterns(run, epoch, variant) for epoch in epochs]))


def all_patterns(run: Run, variant: str) -> np.ndarray:
    """Every class's pattern at every epoch, (E, C, H, W) float32."""
    return _all_patterns(run, variant, run.epochs)


@cached_query
def _class_accuracy(run: Run, variant: str, epochs: tuple[int, ...], stamp: int) -> pd.DataFrame:
    return queries.class_accuracy(run, variant=variant)


def class_accuracy(run: Run, variant: str) -> pd.DataFrame:
    """A row per epoch and class: epoch, class_index, name, group, accuracy, mean_confidence."""
    return _class_accuracy(run, variant, run.epochs, analysed(run))


@cached_query
def _by_epoch(run: Run, epochs: tuple[int, ...], stamp: int) -> pd.DataFrame:
    return queries.accuracy_by_variant(run)


def by_epoch_and_variant(run: Run) -> pd.DataFrame:
    """A row per epoch and variant with every figure of `store.queries.accuracy_by_variant`."""
    return _by_epoch(run, run.epochs, analysed(run))


@cached_query
def _by_variant(run: Run, epoch: int, epochs: tuple[int, ...], stamp: int) -> pd.DataFrame:
    table = _by_epoch(run, epochs, stamp)
    return table[table["epoch"] == epoch].reset_index(drop=True)[list(_SHOWN)]


def by_variant(run: Run, epoch: int) -> pd.DataFrame:
    """A row per variant at one epoch: variant, top1, top5, mean_confidence, flip_rate."""
    return _by_variant(run, epoch, run.epochs, analysed(run))


def variant_row(run: Run, epoch: int, variant: str) -> dict[str, float]:
    """Accuracy, confidence and flips of one variant at one epoch."""
    return by_variant(run, epoch).set_index("variant").loc[variant].to_dict()


@cached_query
def _table1_row(run: Run, epochs: tuple[int, ...], stamp: int) -> dict[str, object]:
    return recorded_result(run, best=True)


def table1_row(run: Run) -> dict[str, object]:
    """The run's row of Table 1 at its best epoch: see `store.queries.table1.recorded_result`."""
    return _table1_row(run, run.epochs, analysed(run))


@cached_query
def similar_classes(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """Similarity of patterns against confusion: see `store.queries.similarity_against_confusion`."""
    return queries.similarity_against_confusion(run, epoch=epoch, variant=variant, k=1200)


@cached_query
def calibration(run: Run, epoch: int, variant: str, edges: str, label: int | None = None) -> pd.DataFrame:
    """A row per reliability bin, of all images or one class's: see `store.queries.calibration_table`."""
    return queries.calibration_table(
        run,
        epoch=epoch,
        variant=variant,
        edges=edges,  # type: ignore[arg-type]
        label=label,
    )


@cached_query
def risk_coverage(run: Run, epoch: int, variant: str, score: str) -> pd.DataFrame:
    """The risk-coverage curve of a score: see `store.queries.risk_coverage`."""
    return queries.risk_coverage(run, epoch=epoch, variant=variant, score=score)


@cached_query
def nearest_images(run: Run, image: int, epoch: int, variant: str) -> pd.DataFrame:
    """The images whose prediction's map is most like this one's: see `store.queries.nearest_images`."""
    index = pattern_index(run, epoch, variant, "predicted_class")
    found = queries.search_index(index, index.units[image].reshape(run.map_shape), k=11)
    return found[found["image"] != image].head(10).reset_index(drop=True)


def search_pattern(run: Run, pattern: np.ndarray, epoch: int, variant: str) -> pd.DataFrame:
    """The images whose prediction's map is most like a pattern (H, W): see `store.queries.search_pattern`."""
    return queries.search_pattern(run, pattern, epoch=epoch, variant=variant, k=10)


@cached_query
def pattern_index(run: Run, epoch: int, variant: str, kind: str) -> queries.PatternIndex:
    """All predicted or own maps of a state, ready to be searched: see `store.queries.pattern_index`."""
    index = queries.pattern_index(run, epoch=epoch, variant=variant, kind=kind)  # type: ignore[arg-type]
    frozen(index.units)
    return index


@cached_query
def correction(run: Run, image: int, epoch: int, variant: str, against: int | None) -> queries.MinimalCorrection:
    """Which cells made one prediction, and how few undo it: see `store.queries.minimal_correction`."""
    return queries.minimal_correction(run, image, epoch=epoch, variant=variant, against=against)


@cached_query
def _analysis_array(run: Run, name: str, stamp: int) -> np.ndarray | None:
    analysis, _ = _analysis(run, stamp)
    return frozen(analysis.array(name)) if analysis is not None and name in analysis.arrays else None


def analysis_array(run: Run, name: str) -> np.ndarray | None:
    """An array that was derived from all epochs; None where the run has no analysis."""
    return _analysis_array(run, name, analysed(run))


@cached_query
def _group_history(run: Run, variant: str, epochs: tuple[int, ...]) -> pd.DataFrame:
    return queries.group_history(run, variant=variant)


def group_history(run: Run, variant: str) -> pd.DataFrame:
    """How often groups were predicted as each other, a row per epoch and pair: see `store.queries.group_history`."""
    return _group_history(run, variant, run.epochs)


@cached_query
def evidence_under(run: Run, epoch: int, variant: str) -> pd.DataFrame:
    """What became of each prediction and its map under a variant: see `store.queries.evidence_under`."""
    return queries.evidence_under(run, epoch=epoch, variant=variant)


@cached_query
def evidence_outcomes(run: Run, epoch: int) -> pd.DataFrame:
    """A row per variant but clean and outcome: variant, outcome, images, share."""
    parts = []
    for variant in run.variants[1:]:
        counts = queries.evidence_under(run, epoch=epoch, variant=variant)["outcome"].value_counts()
        counts = counts.rename_axis("outcome").reset_index(name="images")
        parts.append(counts.assign(variant=variant, share=counts["images"] / len(run.labels)))
    return pd.concat(parts, ignore_index=True)[["variant", "outcome", "images", "share"]]


@cached_query
def cue_profiles(run: Run, epoch: int) -> pd.DataFrame:
    """How much of its score each class loses under each variant: see `store.queries.cue_profiles`."""
    return queries.cue_profiles(run, epoch=epoch)
