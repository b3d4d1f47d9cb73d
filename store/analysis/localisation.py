"""Localisation: do a network's maps locate the object, or only encode the class? That decides how pages show them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.analysis.findings import adjusted, significant
from store.metrics import localisation
from store.metrics.intervals import mean_interval, normal_p
from store.read.run import Run

if TYPE_CHECKING:  # reading the answer does not need the slow imports of gathering
    from store.analysis.gather import EpochRecord, FinalEpoch

SHIFT = "shift"  # the variant whose images are moved
SHIFT_SHARE = 0.125  # of each side, down and to the right
# A finer grid alone does not make maps locate the object: `grid` reached 0.10 on phantom and 0.035 on Tiny ImageNet.
CLASS_GAP = 0.1  # by which the maps of one class are the more similar ones: below, they hardly show the class
FOLLOWS = 0.1  # a tenth of what a map in the shape of the object would gain, or of the shift applied


def localisation_table(record: EpochRecord, final: FinalEpoch, images: pd.DataFrame) -> pd.DataFrame:
    """A row per quantity that the run allows: quantity, value, low, high (95 %); last epoch, clean, true class's maps.

    within_class, between_classes: mean cosine of the true class's maps of two images of one class, and of two classes
        (intervals over classes). class_gap: the first minus the second.
    evidence_on_object, object_area, evidence_on_others, peak_on_object: see
        `store.metrics.localisation.ImageLocalisation` (intervals over images).
    object_following: how far the maps follow their own object, 1 = as a map in its shape would (see there).
    shift_following: how far the maps' centres move with the images under the variant `shift`, 1 = with them.
    """
    within, between = localisation.pair_similarity(final.true_class_maps, record.run.labels, len(record.run.classes))
    columns = {"within_class": within, "between_classes": between, "class_gap": within - between}
    for name in ("evidence_on_object", "object_area", "evidence_on_others", "peak_on_object"):
        columns[name] = images[name].to_numpy()
    rows = [_row(name, values) for name, values in columns.items()]
    rows += [_follow(images, record.run.labels), _shift(record, final)]
    return pd.DataFrame([row for row in rows if row is not None], columns=["quantity", "value", "low", "high"])


def deciding_quantity(table: pd.DataFrame) -> str | None:
    """The quantity of `localisation_table` that decides; None where there is neither.

    object_following, or shift_following where the test of the first leaves the question open or the run has no objects.
    """
    tests = _tests(table)
    for rows in (tests[tests["p"].map(significant)], tests):
        if len(rows):
            return str(rows["quantity"].min())  # object_following comes before shift_following
    return None


def localisation_p(table: pd.DataFrame) -> float:
    """P-value of the side of 0.1 on which the deciding quantity lies, for both quantities jointly; NaN without any."""
    tests = _tests(table).set_index("quantity")["p"]
    return float(tests.get(deciding_quantity(table), math.nan))


def localisation_of(table: pd.DataFrame) -> str:
    """What the rows of `localisation_table` show of the maps: "locates", "encodes", "neither" or "unknown".

    "locates": the maps follow the object; the deciding quantity is clearly above 0.1, at the rate of every claim.
    "encodes": they show the class, not where it is; it is clearly below, and the maps of a class are clearly the more
    similar. "neither": they do not follow the object, and noise or flat maps would be no different. "unknown": the
    test leaves it open, or nothing decides.
    """
    if not significant(localisation_p(table)):
        return "unknown"
    if float(table.loc[table["quantity"] == deciding_quantity(table), "value"].iloc[0]) >= FOLLOWS:
        return "locates"
    return "encodes" if class_gap_is_clear(table) else "neither"


def _tests(table: pd.DataFrame) -> pd.DataFrame:
    """The quantities that can decide, with the p-value of the side of 0.1 on which each lies."""
    known = table[table["quantity"].isin(["object_following", "shift_following"])]
    ends = (known[["value", "low", "high"]] - FOLLOWS).mul(np.where(known["value"] < FOLLOWS, -1, 1), axis=0)
    return known.assign(p=[adjusted(normal_p(*row), len(known)) for row in ends.to_numpy()])


def class_gap_is_clear(table: pd.DataFrame) -> bool:
    """Whether maps of one class are clearly more similar than maps of two: the whole interval at 0.1 or above."""
    return bool((table.loc[table["quantity"] == "class_gap", "low"] >= CLASS_GAP).any())


def _row(quantity: str, values: NDArray) -> dict[str, str | float] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    mean, low, high = mean_interval(values)
    return {"quantity": quantity, "value": mean, "low": low, "high": high}


def _follow(images: pd.DataFrame, labels: NDArray) -> dict[str, str | float] | None:
    value, low, high = localisation.object_following(images["localisation_gain"], images["possible_gain"], labels)
    return None if math.isnan(value) else {"quantity": "object_following", "value": value, "low": low, "high": high}


def _shift(record: EpochRecord, final: FinalEpoch) -> dict[str, str | float] | None:
    run = record.run
    applied = shift_in_cells(run)
    if applied is None:
        return None
    moved = run.true_class_maps(epoch=record.epochs[-1], variant=SHIFT)
    before, after = localisation.centre_of_mass(final.true_class_maps), localisation.centre_of_mass(moved)
    return _row("shift_following", localisation.shift_following(before, after, applied))


def shift_in_cells(run: Run) -> NDArray[np.float64] | None:
    """Shift of the variant `shift` in map cells, (y, x); None where the run has no such variant or moves otherwise."""
    if SHIFT not in run.variants:
        return None
    height, width = run.image_shape
    down, right = (math.floor(SHIFT_SHARE * side + 0.5) for side in (height, width))
    clean, moved = run.pixels([0], run.variants[0])[0], run.pixels([0], SHIFT)[0]
    if not (down or right) or not np.array_equal(clean[: height - down, : width - right], moved[down:, right:]):
        return None
    return np.array([down * run.map_shape[0] / height, right * run.map_shape[1] / width])
