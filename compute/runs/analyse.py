"""`python -m compute analyse RUN`: works out what spans the epochs of a run. It needs no network: no torch here."""

from __future__ import annotations

import time
from pathlib import Path

from store import DamagedFile, open_run
from store.analysis import from_table, read_analysis
from store.analysis.analyse import analyse as derive


def is_analysed(path: Path) -> bool:
    """Whether the analysis beside the run at `path` is there, whole, and of all its epochs."""
    run = open_run(path)
    try:
        found = read_analysis(run)
    except DamagedFile:
        return False
    return found is not None and not found.stale(run)


def analyse(path: Path) -> None:
    """Derives the analysis of the run at `path`, writes it beside the run and prints its findings.

    Raises:
        StoreError: there is no run, it has no epoch yet, or the disk refuses.
    """
    started = time.perf_counter()
    run = open_run(path)
    written = derive(run)
    seconds = time.perf_counter() - started
    print(f"Analysed '{run.path}', epochs: {len(run.epochs)}, in {seconds:.1f} s: {written.name}")
    analysis = read_analysis(run)
    findings = from_table(analysis.table("findings")) if analysis is not None else []
    for number, finding in enumerate(findings, start=1):
        print(f"{number:3d}. {finding.text}")
