"""What the Failures page lists: the figures that mistakes are filtered and sorted by, and the rows that remain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from dashboard import data
from dashboard.shared.theme import probability
from dashboard.shell.url_state import Selection
from store.queries.failures import ACROSS_EPOCHS


@dataclass(frozen=True)
class Measure:
    """A figure of a mistake. `column`: of the predictions; `label`: of its axis; `of_all`: correct predictions have it, too;
    `whole`: it is a whole number.
    """

    column: str
    name: str
    label: str
    of_all: bool = False
    whole: bool = False


MEASURES: Mapping[str, Measure] = {
    "confidence": Measure("confidence", "confidence", "confidence P of the prediction", of_all=True),
    "margin": Measure("margin", "margin", "margin: P of the first minus P of the second", of_all=True),
    "cells": Measure(
        "correction_cells", "cells to undo", "k*: fewest cells whose removal undoes the mistake", whole=True
    ),
    "persistence": Measure(
        "persistence", "persistence", "entrenchment: epochs × confidence × agreement of the variants, clean"
    ),
}
SORTS: Mapping[str, tuple[str, bool, str]] = {
    "confidence": ("confidence", False, "most confident first"),
    "doubtful": ("confidence", True, "least confident first"),
    "close": ("margin", True, "closest call first"),
    "clear": ("margin", False, "clearest call first"),
    "far": ("label_rank", False, "true class furthest down first"),
    "few": ("correction_cells", True, "fewest cells to undo first"),
    "cells": ("correction_cells", False, "most cells to undo first"),
    "persistent": ("persistence", False, "most entrenched first"),
    "label": ("self_confidence", True, "least belief in the label first"),
    "number": ("image", True, "as recorded"),
}


def predictions(selection: Selection) -> pd.DataFrame:
    """The predictions with what the analysis knows of each image over the epochs, where there is one.

    Further columns: then (name of the class that wins once k* cells are out) and third (whether that is neither the
    prediction nor the true class).
    """
    frame = data.predictions(selection.run, selection.epoch, selection.variant)
    names = np.asarray(data.class_names(selection.run), object)
    frame["then"] = np.where(frame["correct"], "", names[frame["corrected_prediction"].to_numpy()])
    frame["third"] = ~frame["correct"] & (frame["corrected_prediction"] != frame["label"])
    known = data.analysis_table(selection.run, "images")
    if known is None or len(known) != len(frame):
        return frame
    return frame.join(known[[column for column in ACROSS_EPOCHS if column in known]])


def limits(selection: Selection, frame: pd.DataFrame, measure: str) -> tuple[float, float]:
    """The lowest and highest value that a figure can take (of entrenchment: that it takes)."""
    if measure == "cells":
        return 0.0, float(selection.run.map_shape[0] * selection.run.map_shape[1])
    if measure == "persistence":
        return 0.0, max(1.0, float(ceil(frame["persistence"].max())))
    return 0.0, 1.0


# The columns that `extra_line` may ask for.
EXTRA = ("correction_cells", "then", "margin", "error_run", "persistence", "self_confidence")


def extra_line(row: pd.Series, sort: str) -> str:
    """What a tile says beyond its caption: the figure that the mistakes are sorted by; empty where it says so."""
    if sort in ("few", "cells"):
        return f"k* {row.correction_cells}, then {row.then}"
    if sort in ("close", "clear"):
        return f"margin {row.margin:.3f}"
    if sort == "persistent":
        return f"{row.error_run} epochs, entrenchment {row.persistence:.2f}"
    if sort == "label":
        return f"mean P(true class) {probability(row.self_confidence)}"
    return ""
