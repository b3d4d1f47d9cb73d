"""Statements about the epochs: what was forgotten, overcome or stays wrong, and what an ensemble would have gained."""

from __future__ import annotations

from typing import Any

import numpy as np

from store.analysis.finding_inputs import FindingInputs, joint_interval, tested, widening
from store.analysis.findings import Finding, joint_level
from store.metrics.intervals import wilson
from store.metrics.learning import NEVER
from store.metrics.significance import paired_p, widest_difference
from store.rates import percent, rate_among

SURE = 0.2  # the paper: wrong predictions hardly reach a confidence of 20 % (sec. 5.2)


def ensembles(inputs: FindingInputs) -> list[Finding]:
    """What an ensemble of recorded epochs or variants would have gained."""
    table = inputs.tables["ensembles"].iloc[1:]
    if table.empty:
        return []
    best = table.loc[table["gain"].idxmax()]
    if not np.isfinite(best["gain_low"]) or not best["newly_correct"] + best["newly_wrong"]:
        return []
    gain, p = float(best["gain"]), paired_p(best["newly_correct"], best["newly_wrong"])
    wider = widening(len(table)) * (best["gain_high"] - best["gain_low"]) / 2
    members = best["label"][0].lower() + best["label"][1:].replace(", all", " under all")
    members = members if best["name"] == "variants" else f"the {members}"
    of = f"Averaging the probabilities of {members}"
    text = (
        f"{of} raises the accuracy by {100 * gain:.1f} points, compared with the last epoch alone."
        if gain > 0
        else f"No average of probabilities helps: even the best, of {members}, lowers the accuracy by "
        f"{-100 * gain:.1f} points, compared with the last epoch alone."
    )
    low, high, strength = float(gain - wider), float(gain + wider), float(np.clip(5 * (abs(gain) - wider), 0, 1))
    fields = tested(p, len(table), {})
    return [Finding("ensemble", text, gain, low, high, "share", "learning", strength, no_effect=0.0, **fields)]


def formation(inputs: FindingInputs) -> list[Finding]:
    """The classes whose images' maps take their final form first and last."""
    epochs, labels = inputs.tables["images"]["formation"].to_numpy(), inputs.record.run.labels
    enough = np.bincount(labels[epochs != NEVER], minlength=len(inputs.names)) > 1
    known = (epochs != NEVER) & enough[labels]
    classes = np.unique(labels[known])
    if len(classes) < 2 or np.ptp(epochs[known]) == 0:
        return []
    widest = widest_difference(epochs[known], labels[known], level=joint_level(1))
    first, last = (epochs[known & (labels == label)] for label in (widest.lowest, widest.highest))
    text = (
        f"The maps of “{inputs.names[widest.lowest]}” keep their final form from epoch {first.mean():.1f} on, "
        f"those of “{inputs.names[widest.highest]}” from epoch {last.mean():.1f} on "
        f"(means of {len(first)} and {len(last)} images)."
    )
    span = max(inputs.record.epochs[-1] - inputs.record.epochs[0], 1)
    fields: dict[str, Any] = {
        "p": widest.p,  # needs no adjustment: the relabelled differences are the widest ones, too
        "comparisons": len(classes) * (len(classes) - 1) // 2,
        "no_effect": 0.0,
        "query": {"class": str(inputs.ids[widest.highest])},
    }
    strength = float(np.clip(widest.low / span, 0, 1))
    return [Finding("formation", text, widest.value, widest.low, widest.high, "epochs", "learning", strength, **fields)]


def forgetting(inputs: FindingInputs) -> list[Finding]:
    """How many of the final errors were correct before."""
    history = inputs.tables["images"]["history"]
    forgotten, wrong = int((history == "forgotten").sum()), int(history.isin(["forgotten", "never correct"]).sum())
    if not forgotten or len(inputs.record.epochs) < 2:
        return []
    low, high = map(float, wilson(forgotten, wrong))
    text = f"{forgotten} of the {wrong} images that end up wrong were predicted correctly at an earlier epoch."
    return [Finding("forgetting", text, forgotten / wrong, low, high, "share", "learning", strength=low / 2)]


def sure_mistakes(inputs: FindingInputs) -> list[Finding]:
    """How many wrong predictions reach the confidence that the paper says they hardly reach."""
    record = inputs.record
    wrong = ~record.correct[0]
    count, sure = int(wrong.sum()), int((record.confidences[-1][wrong] >= SURE).sum())
    if not count or len(inputs.names) * SURE <= 1:  # a prediction's confidence is at least one over the classes
        return []
    low, high = map(float, wilson(sure, count))
    mean, have = float(record.confidences[-1][wrong].mean()), "prediction has" if count == 1 else "predictions have"
    text = (
        f"{rate_among(sure / count, count)} wrong {have} a confidence of {percent(SURE, 0)} or more, which the paper, "
        f"of gray images, says is hardly reached; the mean is {percent(mean, 0)}."
    )
    query = {"epoch": inputs.last, "sort": "confident"}
    return [Finding("sure mistakes", text, sure / count, low, high, "share", "failures", low / 4, query=query)]


def persistent_error(inputs: FindingInputs) -> list[Finding]:
    """The most persistent error."""
    images, record = inputs.tables["images"], inputs.record
    worst = int(images["persistence"].to_numpy().argmax())
    row = images.iloc[worst]
    run, confidence, agreement = (float(row[name]) for name in ("error_run", "error_run_confidence", "agreement"))
    if run < 2:
        return []
    true_class, prediction = record.run.labels[worst], int(record.predictions[-1][0][worst])
    perturbed = len(record.run.variants) - 1
    variants = f"{perturbed} perturbation{'' if perturbed == 1 else 's'}"
    agree = f", and so it is under {round(agreement * perturbed)} of {variants}" if perturbed else ""
    text = (
        f"Image {record.run.image_names[worst]} of “{inputs.names[true_class]}” has been predicted as "
        f"“{inputs.names[prediction]}” for {int(run)} epochs in a row with a mean confidence of "
        f"{percent(confidence, 0)}{agree}."
    )
    strength = run / len(record.epochs) * confidence * agreement / 2  # a count ranks below a tested statement
    query = {"image": worst, "epoch": inputs.last}
    return [Finding("persistence", text, run, run, run, "epochs", "image", strength, query=query)]


def resolved_pairs(inputs: FindingInputs) -> list[Finding]:
    """The confused pair that training resolved most clearly, by the images that changed."""
    table, record = inputs.tables["pairs"], inputs.record
    resolved = table[(table["resolved"] > 0) & (table["last_count"] == 0)]
    if resolved.empty:
        return []
    row = resolved.loc[resolved["peak_count"].idxmax()]
    true_class, prediction, peak = int(row["true_class_index"]), int(row["predicted_class_index"]), int(row["peak"])
    mine = record.run.labels == true_class
    before = record.predictions[record.epochs.index(peak)][0][mine] == prediction
    now = record.predictions[-1][0][mine] == prediction
    # Every pair that ever had three mistakes, at every epoch it could have peaked at; fewer could not pass the test.
    comparisons = len(table) * max(len(record.epochs) - record.first_trained - 1, 1)
    p = paired_p(int((before & ~now).sum()), int((~before & now).sum()))
    low, high = joint_interval(before.sum(), len(before), comparisons)
    text = (
        f"At epoch {peak}, {int(row['peak_count'])} of {len(before)} images of “{inputs.names[true_class]}” were "
        f"predicted as “{inputs.names[prediction]}”; at epoch {inputs.last} none is."
    )
    query = {"class": str(inputs.ids[true_class]), "prediction": str(inputs.ids[prediction]), "epoch": peak}
    fields, share = tested(p, comparisons, query) | {"no_effect": float(now.mean())}, float(before.mean())
    return [Finding("pair", text, share, low, high, "share", "confusion", float(np.sqrt(low * share)), **fields)]
