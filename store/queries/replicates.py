"""Replicates: trainings that differ in their seed alone. What differs between them is chance, not the method."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pandas as pd

from store.analysis.findings import Finding
from store.queries.accuracy import epoch_metrics
from store.read.run import Run

MEASURES = ("validation_top1", "validation_top5", "validation_loss", "train_top1", "train_loss")


def training_seed(run: Run) -> int | None:
    """The seed of a run's training; None where it was not trained here.

    >>> queries.training_seed(demo)
    0
    """
    training = run.configuration.get("training")
    seed = training.get("seed") if isinstance(training, dict) else None
    return seed if isinstance(seed, int) else None


def replicate_key(run: Run) -> str:
    """A text that runs share that differ in their training's seed alone; empty where a run has no such seed.

    >>> queries.replicate_key(demo) == queries.replicate_key(demo) != queries.replicate_key(run)
    True
    """
    if training_seed(run) is None:
        return ""
    training = {name: value for name, value in run.configuration["training"].items() if name != "seed"}
    return json.dumps({**run.configuration, "training": training}, sort_keys=True, default=str)


def group_name(run: Run) -> str:
    """The name that the runs of one `--seeds` command share; that of the folder where there is none.

    >>> queries.group_name(run)
    'tiny'
    """
    group = run.provenance.get("group")
    return group if isinstance(group, str) and group else run.path.name


def replicates(run: Run, others: Iterable[Run]) -> list[Run]:
    """The run and those of `others` that are the same training with another seed, by seed; one run for each seed.

    A run alone is a list of one: then nothing is known about other trainings.

    >>> queries.replicates(run, [run]) == [run]
    True
    """
    key, found = replicate_key(run), {training_seed(run): run}
    if key:
        for other in others:
            if replicate_key(other) == key:
                found.setdefault(training_seed(other), other)
    return sorted(found.values(), key=lambda each: training_seed(each) or 0)


def same_statement(finding: Finding, others: Iterable[Finding]) -> Finding | None:
    """What another training's findings say of the same: of the same kind, class and variant; None where they do not.

    >>> from store.analysis import Finding
    >>> gray = Finding("accuracy", "It falls.", 0.6, 0.5, 0.7, "share", "robustness", 0.5, query={"variant": "gray"})
    >>> queries.same_statement(gray, [gray]) is gray
    True
    """
    subject = {**finding.query, "epoch": None}
    for other in others:
        if other.kind == finding.kind and {**other.query, "epoch": None} == subject:
            return other
    return None


def spread_over_seeds(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per measure and epoch that all runs have: epoch, measure, trainings, mean, sd, lowest, highest.

    Args:
        runs: of `replicates`.

    The measures are MEASURES, those that were recorded. sd is that of the sample (n - 1), NaN for a single training.

    >>> queries.spread_over_seeds([run])["trainings"].unique().tolist()
    [1]
    """
    tables = [epoch_metrics(run).assign(training=number) for number, run in enumerate(runs)]
    names = [name for name in MEASURES if all(name in table for table in tables)]
    long = pd.concat(tables, ignore_index=True).melt(["epoch", "training"], names, "measure", "value").dropna()
    groups = long.groupby(["epoch", "measure"], sort=True)["value"]
    found = groups.agg(trainings="count", mean="mean", sd="std", lowest="min", highest="max").reset_index()
    return found[found["trainings"] == len(runs)].reset_index(drop=True)
