"""The anatomy of an answer: the strongest cells of the difference are taken out with a slider and the scores move.

Everything for all steps travels once, so the slider needs no round trip; where it comes to rest is told to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from dashboard.components.assets import encoded, identity, packed, script, style
from dashboard.images import COMMON, DIVERGING, Atlas, ScaledMaps, colour_map, scale_maps
from store.queries import Anatomy

_ANATOMY = st.components.v2.component("classprint_anatomy", js=script("anatomy"), css=style("anatomy"))


@dataclass(frozen=True)
class Dissection:
    """What the anatomy shows.

    Attributes:
        anatomy: order of the cells, scores and winners after each removal.
        photograph: an atlas of one picture.
        maps: (2, H, W) display codes: map of the answer, map of the class that it is held against.
        names: of all classes.
        colours: name of the colour map of the two maps.
        start: how many cells are out at first.
    """

    anatomy: Anatomy
    photograph: Atlas
    maps: ScaledMaps
    names: Sequence[str]
    colours: str
    start: int


def strongest_other(anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray]:
    """The strongest class but the two held against each other, after each removal: class (cells + 1,) and score.

    With two classes there is none: class -1 and score 0.
    """
    others = np.delete(np.arange(anatomy.scores.shape[1]), [anatomy.prediction, anatomy.against])
    if not len(others):
        return np.full(len(anatomy.scores), -1), np.zeros(len(anatomy.scores), np.float32)
    best = anatomy.scores[:, others].argmax(1)
    return others[best], anatomy.scores[:, others].max(1)


def payload(shown: Dissection) -> dict[str, Any]:
    """What travels to the browser; JSON-able."""
    anatomy = shown.anatomy
    other, other_score = strongest_other(anatomy)
    third = anatomy.winners.copy()
    third[(third == anatomy.prediction) | (third == anatomy.against)] = -1
    used = sorted({anatomy.prediction, anatomy.against, *other[other >= 0].tolist(), *third[third >= 0].tolist()})
    place = {number: position for position, number in enumerate(used)} | {-1: -1}
    difference = scale_maps(anatomy.difference.astype(np.float32)[None], kind=COMMON, signed=True)
    scores = np.stack([anatomy.scores[:, anatomy.prediction], anatomy.scores[:, anatomy.against], other_score], axis=1)
    height, width = anatomy.difference.shape
    data: dict[str, Any] = {
        "height": height,
        "width": width,
        "photo": vars(shown.photograph),
        "maps": encoded(shown.maps.codes),
        "table": encoded(colour_map(DIVERGING if shown.maps.signed else shown.colours)),
        "difference": encoded(difference.codes),
        "reach": f"{float(np.abs(anatomy.difference).max(initial=0)):.3g}",
        "order": [int(cell) for cell in anatomy.order],
        "scores": encoded(scores.astype("<f4")),
        "names": [shown.names[number] for number in used],
        "answer": place[anatomy.prediction],
        "against": place[anatomy.against],
        "other": [place[number] for number in other.tolist()],
        "winners": [place[number] for number in anatomy.winners.tolist()],
        "wrong": anatomy.prediction != anatomy.truth,
        "truth": anatomy.against == anatomy.truth,
        "fewest": anatomy.cells,
        "low": anatomy.low,
        "high": anatomy.high,
        "start": shown.start,
    }
    return data | {"identity": identity({name: value for name, value in data.items() if name != "start"})}


def dissection(shown: Dissection, *, key: str, on_rest: Callable[[int], None]) -> None:
    """Draw the anatomy of an answer.

    Args:
        shown: anatomy, picture and maps.
        key: of the element.
        on_rest: called with the number of cells taken out when the slider comes to rest.
    """

    def rested() -> None:
        cells = st.session_state[key].get("cells")
        if cells is not None:
            on_rest(int(cells))

    _ANATOMY(key=key, data=packed(payload(shown)), on_cells_change=rested)
