"""Candidates for findings about what happened over the epochs: forming, forgetting, lasting mistakes, pairs, modes."""

from __future__ import annotations

import numpy as np
import scipy.stats

from store.analysis.findings import Finding, adjusted, joint_level, percent
from store.analysis.statements import Tables
from store.measures.intervals import difference_of_means, exact_interval, wilson


def forming(tables: Tables) -> list[Finding]:
    """The classes whose pictures take their final form first and last."""
    images, labels = tables.tables["images"], tables.record.run.labels
    known = images["formation"] > 0
    means = images[known].groupby(labels[known])["formation"].agg(["mean", "count"])
    means = means[means["count"] > 1]
    if len(means) < 2 or len(tables.record.epochs) < 2:
        return []
    first, last = int(means["mean"].idxmin()), int(means["mean"].idxmax())
    early, late = (images.loc[known & (labels == label), "formation"].to_numpy(float) for label in (first, last))
    if early.std() == 0 and late.std() == 0:
        return []
    compared = len(means) * (len(means) - 1) // 2
    between = difference_of_means(late, early, level=joint_level(compared))
    text = (
        f"Half of the pictures of “{tables.names[first]}” have their final pattern by epoch {np.median(early):.0f}, "
        f"of “{tables.names[last]}” only by epoch {np.median(late):.0f}."
    )
    span = max(tables.record.epochs[-1] - tables.record.epochs[0], 1)
    return [
        Finding(
            "forming",
            text,
            between.value,
            between.low,
            between.high,
            "epochs",
            "learning",
            float(np.clip(between.low / span, 0, 1)),
            adjusted(between.p, compared),
            compared,
            {"class": str(tables.ids[last])},
        )
    ]


def leading(tables: Tables) -> list[Finding]:
    """Whether maps take their form before or after the answer settles."""
    lead = tables.tables["images"]["lead"].to_numpy()
    ahead, differing = int((lead > 0).sum()), int((lead != 0).sum())
    if not differing:
        return []
    low, high = (float(edge) for edge in wilson(ahead, differing))
    p = float(scipy.stats.binomtest(ahead, differing, 0.5).pvalue)
    share = ahead / differing
    order = "before" if share >= 0.5 else "after"
    shown = share if share >= 0.5 else 1 - share
    text = (
        f"The map has its final form {order} the answer settles in {percent(shown)} of the {differing} pictures "
        f"where the two do not coincide."
    )
    bounds = (low, high) if share >= 0.5 else (1 - high, 1 - low)
    return [Finding("lead", text, shown, *bounds, "share", "learning", float(np.clip(2 * bounds[0] - 1, 0, 1)), p)]


def forgetting(tables: Tables) -> list[Finding]:
    """How many of the final mistakes had been right before."""
    history = tables.tables["images"]["history"]
    forgotten, wrong = int((history == "forgotten").sum()), int(history.isin(["forgotten", "never right"]).sum())
    if not forgotten or len(tables.record.epochs) < 2:
        return []
    low, high = (float(edge) for edge in wilson(forgotten, wrong))
    text = f"{forgotten} of the {wrong} pictures that end up wrong had been answered rightly at an earlier epoch."
    return [Finding("forgetting", text, forgotten / wrong, low, high, "share", "learning", low / 2)]


def entrenched(tables: Tables) -> list[Finding]:
    """The most entrenched mistake."""
    images, record = tables.tables["images"], tables.record
    worst = int(images["entrenchment"].to_numpy().argmax())
    row = images.iloc[worst]
    if row["run"] < 2:
        return []
    truth, answer = record.run.labels[worst], int(record.predictions[-1][0][worst])
    text = (
        f"Picture {record.run.image_names[worst]} of “{tables.names[truth]}” has been called “{tables.names[answer]}” "
        f"for {int(row['run'])} epochs on end with a mean confidence of {percent(row['run_confidence'])}, and "
        f"{percent(row['agreement'])} of the variants agree."
    )
    share = float(row["run"] / len(record.epochs))
    strength = share * float(row["run_confidence"]) * float(row["agreement"]) / 2  # a count ranks below a tested claim
    run = float(row["run"])
    return [
        Finding(
            "entrenched",
            text,
            run,
            run,
            run,
            "epochs",
            "picture",
            strength,
            query={"image": worst, "epoch": tables.last},
        )
    ]


def pairs_overcome(tables: Tables) -> list[Finding]:
    """The confused pair that training overcame most clearly, by the pictures that changed."""
    table, record = tables.tables["pairs"], tables.record
    dead = table[(table["death"] > 0) & (table["last_count"] == 0)]
    if dead.empty:
        return []
    row = dead.loc[dead["peak_count"].idxmax()]
    truth, answer, peak = int(row["truth_index"]), int(row["predicted_index"]), int(row["peak"])
    mine = record.run.labels == truth
    before = record.predictions[record.epochs.index(peak)][0][mine] == answer
    now = record.predictions[-1][0][mine] == answer
    lost, won = int((before & ~now).sum()), int((~before & now).sum())
    compared = len(table) * len(record.epochs)
    p = float(scipy.stats.binomtest(lost, lost + won, 0.5).pvalue)
    low, high = (float(edge) for edge in exact_interval(before.sum(), len(before), level=joint_level(compared)))
    text = (
        f"At epoch {peak}, {int(row['peak_count'])} of {len(before)} pictures of “{tables.names[truth]}” were taken "
        f"for “{tables.names[answer]}”; at epoch {tables.last} none is."
    )
    query: dict[str, str | int] = {"class": str(tables.ids[truth]), "answer": str(tables.ids[answer]), "epoch": peak}
    return [
        Finding(
            "pair",
            text,
            float(before.mean()),
            low,
            high,
            "share",
            "confusion",
            low,
            adjusted(p, compared),
            compared,
            query,
        )
    ]


def failing_modes(tables: Tables) -> list[Finding]:
    """The mode of a class that fails most clearly against the rest of its class."""
    table, record = tables.tables["modes"], tables.record
    split = table[table.groupby("class_index")["mode"].transform("count") > 1]
    if split.empty:
        return []
    wrong = record.predictions[-1][0] != record.run.labels
    member = tables.tables["images"]["mode"].to_numpy()
    tests = []
    for row in split.itertuples():
        mine = record.run.labels == row.class_index
        inside, outside = wrong[mine & (member == row.mode)], wrong[mine & (member != row.mode)]
        square = [[inside.sum(), (~inside).sum()], [outside.sum(), (~outside).sum()]]
        tests.append((float(scipy.stats.fisher_exact(square, alternative="greater").pvalue), inside, outside, row))
    p, inside, outside, row = min(tests, key=lambda entry: entry[0])
    low, high = (float(edge) for edge in exact_interval(inside.sum(), len(inside), level=joint_level(len(tests))))
    text = (
        f"“{tables.names[row.class_index]}” has {int((split['class_index'] == row.class_index).sum())} kinds of maps, "
        f"and one of them fails: {int(inside.sum())} of its {len(inside)} pictures are wrong, {int(outside.sum())} "
        f"of the other {len(outside)}."
    )
    return [
        Finding(
            "mode",
            text,
            float(inside.mean()),
            low,
            high,
            "share",
            "gallery",
            float(max(low - outside.mean(), 0)),
            adjusted(p, len(tests)),
            len(tests),
            {"class": str(tables.ids[row.class_index])},
        )
    ]
