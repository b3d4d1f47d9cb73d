"""Candidates for findings about what happened over the epochs: forming, forgetting, lasting mistakes, pairs, modes."""

from __future__ import annotations

import numpy as np
import scipy.stats

from store.analysis.findings import Finding, adjusted, joint_level, percent
from store.analysis.findings_perturbation import FindingInputs
from store.metrics.intervals import exact_interval, wilson
from store.metrics.learning import FORMED
from store.metrics.permutation import widest_difference


def forming(tables: FindingInputs) -> list[Finding]:
    """The classes whose images take their final form first and last."""
    formation, labels = tables.tables["images"]["formation"].to_numpy(), tables.record.run.labels
    several = np.bincount(labels[formation > 0], minlength=len(tables.names)) > 1
    known = (formation > 0) & several[labels]
    classes = np.unique(labels[known])
    if len(classes) < 2 or np.ptp(formation[known]) == 0:
        return []
    widest = widest_difference(formation[known], labels[known], level=joint_level(1))
    first, last = (formation[known & (labels == label)].mean() for label in (widest.lowest, widest.highest))
    text = (
        f"The images of “{tables.names[widest.lowest]}” have their final pattern from epoch {first:.1f} on, "
        f"of “{tables.names[widest.highest]}” from epoch {last:.1f} on (means)."
    )
    span = max(tables.record.epochs[-1] - tables.record.epochs[0], 1)
    return [
        Finding(
            kind="formation",
            text=text,
            value=widest.value,
            low=widest.low,
            high=widest.high,
            unit="epochs",
            page="learning",
            strength=float(np.clip(widest.low / span, 0, 1)),
            p=widest.p,  # the relabelled differences are the widest ones, too
            comparisons=len(classes) * (len(classes) - 1) // 2,
            query={"class": str(tables.ids[widest.highest])},
        )
    ]


def leading(tables: FindingInputs) -> list[Finding]:
    """Whether maps take their form before or after the prediction settles.

    Nothing where even the maps of two classes have that form: a CAM has a constant under it that makes all maps alike.
    """
    place = tables.tables["localisation"].set_index("quantity")["value"]
    if place.get("between_classes", 0.0) >= FORMED:
        return []
    lead = tables.tables["images"]["map_lead"].to_numpy()
    ahead, differing = int((lead > 0).sum()), int((lead != 0).sum())
    if not differing:
        return []
    order = "before" if 2 * ahead >= differing else "after"
    shown = ahead if order == "before" else differing - ahead
    low, high = (float(edge) for edge in wilson(shown, differing))
    text = (
        f"The map of the true class has its final form (cosine of {FORMED}) {order} the prediction settles in "
        f"{percent(shown / differing)} of the {differing} images where the two do not coincide."
    )
    return [
        Finding(
            kind="formation before prediction",
            text=text,
            value=shown / differing,
            low=low,
            high=high,
            unit="share",
            page="learning",
            strength=float(np.clip(2 * low - 1, 0, 1)) / 2,  # it is about all classes: those about one come first
        )
    ]


def forgetting(tables: FindingInputs) -> list[Finding]:
    """How many of the final mistakes had been right before."""
    history = tables.tables["images"]["history"]
    forgotten, wrong = int((history == "forgotten").sum()), int(history.isin(["forgotten", "never correct"]).sum())
    if not forgotten or len(tables.record.epochs) < 2:
        return []
    low, high = (float(edge) for edge in wilson(forgotten, wrong))
    text = f"{forgotten} of the {wrong} images that end up wrong had been answered rightly at an earlier epoch."
    return [
        Finding(
            kind="forgetting",
            text=text,
            value=forgotten / wrong,
            low=low,
            high=high,
            unit="share",
            page="learning",
            strength=low / 2,
        )
    ]


def persistent(tables: FindingInputs) -> list[Finding]:
    """The most entrenched mistake."""
    images, record = tables.tables["images"], tables.record
    worst = int(images["persistence"].to_numpy().argmax())
    row = images.iloc[worst]
    if row["error_run"] < 2:
        return []
    true_class, prediction = record.run.labels[worst], int(record.predictions[-1][0][worst])
    text = (
        f"Image {record.run.image_names[worst]} of “{tables.names[true_class]}” has been called “{tables.names[prediction]}” "
        f"for {int(row['error_run'])} epochs on end with a mean confidence of {percent(row['error_run_confidence'])}, and "
        f"{percent(row['agreement'])} of the variants agree."
    )
    share = float(row["error_run"] / len(record.epochs))
    strength = (
        share * float(row["error_run_confidence"]) * float(row["agreement"]) / 2
    )  # a count ranks below a tested claim
    run = float(row["error_run"])
    return [
        Finding(
            kind="persistence",
            text=text,
            value=run,
            low=run,
            high=run,
            unit="epochs",
            page="image",
            strength=strength,
            query={"image": worst, "epoch": tables.last},
        )
    ]


def pairs_overcome(tables: FindingInputs) -> list[Finding]:
    """The confused pair that training overcame most clearly, by the images that changed."""
    table, record = tables.tables["pairs"], tables.record
    dead = table[(table["resolved"] > 0) & (table["last_count"] == 0)]
    if dead.empty:
        return []
    row = dead.loc[dead["peak_count"].idxmax()]
    true_class, prediction, peak = int(row["true_class_index"]), int(row["predicted_class_index"]), int(row["peak"])
    mine = record.run.labels == true_class
    before = record.predictions[record.epochs.index(peak)][0][mine] == prediction
    now = record.predictions[-1][0][mine] == prediction
    lost, won = int((before & ~now).sum()), int((~before & now).sum())
    # Every pair that ever had three mistakes, at every epoch it could have peaked at; fewer could not pass the test.
    compared = len(table) * max(len(record.epochs) - 1, 1)
    p = float(scipy.stats.binomtest(lost, lost + won, 0.5).pvalue)
    low, high = (float(edge) for edge in exact_interval(before.sum(), len(before), level=joint_level(compared)))
    text = (
        f"At epoch {peak}, {int(row['peak_count'])} of {len(before)} images of “{tables.names[true_class]}” were predicted "
        f"as “{tables.names[prediction]}”; at epoch {tables.last} none is."
    )
    query: dict[str, str | int] = {
        "class": str(tables.ids[true_class]),
        "prediction": str(tables.ids[prediction]),
        "epoch": peak,
    }
    return [
        Finding(
            kind="pair",
            text=text,
            value=float(before.mean()),
            low=low,
            high=high,
            unit="share",
            page="confusion",
            strength=float(np.sqrt(low * before.mean())),
            p=adjusted(p, compared),
            comparisons=compared,
            query=query,
        )
    ]


def failing_clusters(tables: FindingInputs) -> list[Finding]:
    """The mode of a class that fails most clearly against the rest of its class."""
    table, record = tables.tables["clusters"], tables.record
    split = table[table.groupby("class_index")["cluster"].transform("count") > 1]
    if split.empty:
        return []
    wrong = record.predictions[-1][0] != record.run.labels
    member = tables.tables["images"]["cluster"].to_numpy()
    tests = []
    for row in split.itertuples():
        mine = record.run.labels == row.class_index
        inside, outside = wrong[mine & (member == row.cluster)], wrong[mine & (member != row.cluster)]
        # Fisher's exact test, one-sided: so many wrong ones or more, drawn from the class without looking.
        drawn = (len(inside) + len(outside), inside.sum() + outside.sum(), len(inside))
        tests.append((float(scipy.stats.hypergeom.sf(inside.sum() - 1, *drawn)), inside, outside, row))
    p, inside, outside, row = min(tests, key=lambda entry: entry[0])
    low, high = (float(edge) for edge in exact_interval(inside.sum(), len(inside), level=joint_level(len(tests))))
    text = (
        f"“{tables.names[row.class_index]}” has {int((split['class_index'] == row.class_index).sum())} kinds of maps, "
        f"and one of them fails: {int(inside.sum())} of its {len(inside)} images are wrong, {int(outside.sum())} "
        f"of the other {len(outside)}."
    )
    return [
        Finding(
            kind="cluster",
            text=text,
            value=float(inside.mean()),
            low=low,
            high=high,
            unit="share",
            page="gallery",
            strength=float(max(low - outside.mean(), 0)),
            p=adjusted(p, len(tests)),
            comparisons=len(tests),
            query={"class": str(tables.ids[row.class_index])},
        )
    ]
