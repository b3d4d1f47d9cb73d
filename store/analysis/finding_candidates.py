"""Candidates for findings: every statement that a run allows, from the record and the analysis's tables."""

from __future__ import annotations

from store.analysis import epoch_findings, map_findings, variant_findings
from store.analysis.finding_inputs import FindingInputs
from store.analysis.findings import Finding
from store.queries.health import degeneracies


def degenerate_network(inputs: FindingInputs) -> list[Finding]:
    """What makes the last epoch unfit to be described, as findings; where there is any, no other may be made."""
    found = []
    for problem in degeneracies(inputs.record.run, epoch=inputs.last, variant=inputs.record.clean):
        share, query = problem.images / len(inputs.record.run.labels), {"epoch": inputs.last}
        found.append(Finding("degenerate", problem.text, share, share, share, "share", "overview", 1.0, query=query))
    return found


_OF_PREDICTIONS = (
    variant_findings.predicted_as,
    variant_findings.accuracy_drops,
    variant_findings.cues,
    epoch_findings.ensembles,
    epoch_findings.forgetting,
    epoch_findings.sure_mistakes,
    epoch_findings.persistent_error,
    epoch_findings.resolved_pairs,
)
_OF_MAPS = (
    map_findings.error_detection,
    map_findings.surer_maps,
    map_findings.corrections,
    map_findings.localisation,
    map_findings.similar_maps,
    map_findings.seed,
    map_findings.map_lead,
    map_findings.failing_clusters,
    epoch_findings.formation,
)


def candidates(inputs: FindingInputs) -> list[Finding]:
    """Every statement that the run allows, before the selection; none about maps where it has none."""
    asked = (*_OF_PREDICTIONS, *_OF_MAPS) if inputs.record.run.has_maps else _OF_PREDICTIONS
    return [finding for candidate in asked for finding in candidate(inputs)]
