"""What the Failures page lists: the measures that mistakes are filtered and sorted by, and their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.shared import random_order
from dashboard.shared.run_facts import MAP_COLUMNS, correction_name
from dashboard.shared.theme import probability
from dashboard.shell.url_state import Selection
from store.queries.failures import ACROSS_EPOCHS


@dataclass(frozen=True)
class Measure:
    """A measure of a mistake.

    Attributes:
        column: of the predictions.
        name: in a few words.
        label: of its axis.
        of_all: correct predictions have it, too.
        whole: it is a whole number.
    """

    column: str
    name: str
    label: str
    of_all: bool = False
    whole: bool = False


MEASURES: Mapping[str, Measure] = {
    "confidence": Measure("confidence", "confidence", "confidence: P of the prediction", of_all=True),
    "margin": Measure("margin", "margin", "margin: P of the prediction minus P of the second class", of_all=True),
    "cells": Measure(
        "correction_cells", "minimal correction", "minimal correction k*: fewest cells to remove", whole=True
    ),
    "persistence": Measure(
        "persistence", "persistence", "persistence: epochs × confidence × agreement of the variants, clean"
    ),
}
SORTS: Mapping[str, tuple[str, bool, str]] = {
    "confidence": ("confidence", False, "most confident first"),
    "least_confident": ("confidence", True, "least confident first"),
    "smallest_margin": ("margin", True, "smallest margin first"),
    "largest_margin": ("margin", False, "largest margin first"),
    "lowest_rank": ("label_rank", False, "lowest-ranked true class first"),
    "fewest_cells": ("correction_cells", True, "smallest correction first"),
    "most_cells": ("correction_cells", False, "largest correction first"),
    "persistence": ("persistence", False, "most persistent first"),
    "label": ("self_confidence", True, "most doubtful label first"),
    "number": ("image", True, "as recorded"),
    random_order.RANDOM: random_order.SORT,
}


def measure(selection: Selection, name: str) -> Measure:
    """A measure of MEASURES as it is called in this run: an estimate is called one."""
    found, symbol = MEASURES[name], correction_name(selection.run)
    return replace(found, label=found.label.replace("k*", symbol)) if name == "cells" else found


def predictions(selection: Selection) -> pd.DataFrame:
    """The predictions, joined with the analysis of each image over the epochs if there is one; no columns of maps in a
    run without maps.

    Further columns: then (name of the class that wins once k* cells are removed) and third (whether that is neither the
    prediction nor the true class).
    """
    frame = data.predictions(*selection.key)
    names = np.asarray(data.class_names(selection.run), object)
    if not selection.run.has_maps:
        return _with_history(selection, frame.drop(columns=list(MAP_COLUMNS)))
    frame["then"] = np.where(frame["correct"], "", names[frame["corrected_prediction"].to_numpy()])
    frame["third"] = ~frame["correct"] & (frame["corrected_prediction"] != frame["label"])
    return _with_history(selection, frame)


def _with_history(selection: Selection, frame: pd.DataFrame) -> pd.DataFrame:
    known = data.analysis_table(selection.run, "images")
    if known is None or len(known) != len(frame):
        return frame
    return frame.join(known[[column for column in ACROSS_EPOCHS if column in known]])


def limits(selection: Selection, frame: pd.DataFrame, measure: str) -> tuple[float, float]:
    """The lowest and highest value that a measure can take (of persistence: the highest that occurs)."""
    if measure == "cells":
        return 0.0, float(selection.run.map_shape[0] * selection.run.map_shape[1])
    if measure == "persistence":
        return 0.0, max(1.0, float(ceil(frame["persistence"].max())))
    return 0.0, 1.0


# The columns that `extra_line` reads.
EXTRA = ("correction_cells", "then", "margin", "error_run", "persistence", "self_confidence")


def extra_line(row: pd.Series, sort: str, *, symbol: str) -> str:
    """The measure that the mistakes are sorted by, as a line of a tile; empty if the caption has it already.

    `symbol` names the minimal correction.
    """
    if sort in ("fewest_cells", "most_cells"):
        return f"{symbol} {row.correction_cells}, then {row.then}"
    if sort in ("smallest_margin", "largest_margin"):
        return f"margin {row.margin:.3f}"
    if sort == "persistence":
        return f"{row.error_run} epochs, persistence {row.persistence:.2f}"
    return f"mean P(true class) {probability(row.self_confidence)}" if sort == "label" else ""
