"""The anatomy of a prediction: the strongest cells of the difference are taken out with a slider and the scores move.

Everything for all steps travels once, so the slider needs no round trip; where it comes to rest is told to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from dashboard.components.assets import encoded, identity, packed, script, style
from dashboard.images.maps import COMMON, DIVERGING, ScaledMaps, colour_map, scale_maps
from dashboard.images.sheet import Atlas
from store.queries import MinimalCorrection

_ANATOMY = st.components.v2.component("classprint_anatomy", js=script("correction"), css=style("correction"))


@dataclass(frozen=True)
class Dissection:
    """What the anatomy shows.

    Attributes:
        anatomy: order of the cells, scores and winners after each removal.
        photograph: an atlas of one image.
        maps: (2, H, W) display codes: map of the prediction, map of the class that it is held against.
        names: of all classes.
        colours: name of the colour map of the two maps.
        start: how many cells are out at first.
    """

    correction: MinimalCorrection
    photograph: Atlas
    maps: ScaledMaps
    names: Sequence[str]
    colours: str
    start: int


def strongest_other(correction: MinimalCorrection) -> tuple[np.ndarray, np.ndarray]:
    """The strongest class but the two held against each other, after each removal: class (cells + 1,) and score.

    With two classes there is none: class -1 and score 0.
    """
    others = np.delete(np.arange(correction.logits.shape[1]), [correction.prediction, correction.against])
    if not len(others):
        return np.full(len(correction.logits), -1), np.zeros(len(correction.logits), np.float32)
    best = correction.logits[:, others].argmax(1)
    return others[best], correction.logits[:, others].max(1)


def payload(shown: Dissection) -> dict[str, Any]:
    """What travels to the browser; JSON-able."""
    correction = shown.correction
    other, other_score = strongest_other(correction)
    third = correction.winners.copy()
    third[(third == correction.prediction) | (third == correction.against)] = -1
    used = sorted({correction.prediction, correction.against, *other[other >= 0].tolist(), *third[third >= 0].tolist()})
    place = {number: position for position, number in enumerate(used)} | {-1: -1}
    difference = scale_maps(correction.difference.astype(np.float32)[None], kind=COMMON, signed=True)
    scores = np.stack(
        [correction.logits[:, correction.prediction], correction.logits[:, correction.against], other_score], axis=1
    )
    height, width = correction.difference.shape
    data: dict[str, Any] = {
        "height": height,
        "width": width,
        "photo": vars(shown.photograph),
        "maps": encoded(shown.maps.codes),
        "table": encoded(colour_map(DIVERGING if shown.maps.signed else shown.colours)),
        "difference": encoded(difference.codes),
        "reach": f"{float(np.abs(correction.difference).max(initial=0)):.3g}",
        "order": [int(cell) for cell in correction.order],
        "scores": encoded(scores.astype("<f4")),
        "names": [shown.names[number] for number in used],
        "prediction": place[correction.prediction],
        "against": place[correction.against],
        "other": [place[number] for number in other.tolist()],
        "winners": [place[number] for number in correction.winners.tolist()],
        "wrong": correction.prediction != correction.true_class,
        "true_class": correction.against == correction.true_class,
        "fewest": correction.cells,
        "low": correction.low,
        "high": correction.high,
        "start": shown.start,
    }
    return data | {"identity": identity({name: value for name, value in data.items() if name != "start"})}


def dissection(shown: Dissection, *, key: str, on_rest: Callable[[int], None]) -> None:
    """Draw the anatomy of a prediction.

    Args:
        shown: anatomy, image and maps.
        key: of the element.
        on_rest: called with the number of cells taken out when the slider comes to rest.
    """

    def rested() -> None:
        cells = st.session_state[key].get("cells")
        if cells is not None:
            on_rest(int(cells))

    _ANATOMY(key=key, data=packed(payload(shown)), on_cells_change=rested)
