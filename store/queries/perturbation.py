"""What a perturbation does: does the map stay where the prediction stays, and which cue does a class live on?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from store.metrics.robustness import MOVED_BELOW, cue_profile, similarity_order_
from store.read.run import Run

OUTCOMES = ("stable", "different reason", "same mistake", "responsive", "unresponsive")


def evidence_under(run: Run, *, epoch: int, variant: str) -> pd.DataFrame:
    """A row per image: what became of its prediction and of the clean prediction's map under the variant.

    image, label, true class, group, clean and perturbed (class indices), clean_correct, perturbed_correct, held, consistency,
    label_probability_drop (clean minus perturbed probability of the true class) and outcome, moved meaning consistency below 0.5:
    "stable" right twice with its map, "lucky" right twice though it moved, "same mistake" the same mistake twice,
    "responsive" another prediction and a moved map, "unresponsive" another prediction though the map stayed.
    """
    clean = run.variants[0]
    before, after = (run.column("prediction", epoch=epoch, variant=state) for state in (clean, variant))
    chances = [run.column("label_probability", epoch=epoch, variant=state) for state in (clean, variant)]
    consistency = run.column("consistency", epoch=epoch, variant=variant)
    labels = run.labels
    held, right, moved = before == after, after == labels, consistency < MOVED_BELOW
    chosen = np.select([held & right & ~moved, held & right, held, moved], [0, 1, 2, 3], default=4)
    return pd.DataFrame(
        {
            "image": np.arange(len(labels)),
            "label": labels,
            "true_class": run.classes["name"].to_numpy()[labels],
            "group": run.classes["group"].to_numpy()[labels],
            "clean": before,
            "perturbed": after,
            "clean_correct": before == labels,
            "perturbed_correct": right,
            "held": held,
            "consistency": consistency,
            "label_probability_drop": chances[0] - chances[1],
            "outcome": np.array(OUTCOMES, object)[chosen],
        }
    )


def cue_profiles(run: Run, *, epoch: int) -> pd.DataFrame:
    """A row per variant but clean and class, how much of its score the class loses: its reliance on that cue.

    variant, class_index, name, group, drop (in standard deviations of the clean score; NaN without images), error
    (its standard error), order (place of the class when alike cue profiles stand together).
    """
    scores = np.stack([run.column("label_logit", epoch=epoch, variant=variant) for variant in run.variants])
    cues = cue_profile(scores, run.labels, len(run.classes))
    place = np.empty(len(run.classes), np.int64)
    place[similarity_order_(cues.drop[1:].T)] = np.arange(len(place))
    classes = run.classes.reset_index()[["class_index", "name", "group"]]
    tables = [
        classes.assign(variant=variant, drop=cues.drop[number], error=cues.error[number], order=place)
        for number, variant in enumerate(run.variants)
        if number > 0
    ]
    columns = ["variant", "class_index", "name", "group", "drop", "error", "order"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
