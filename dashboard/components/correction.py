"""The minimal correction of a prediction: a slider removes the strongest cells, and the logits follow.

Everything for all steps travels once, so the slider needs no round trip; only where it comes to rest is sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.components.assets import identity, on_trigger, register, to_base64, to_json
from dashboard.images.maps import COMMON, ScaledMaps, colour_map, map_colours, scale_maps
from dashboard.images.sheet import Atlas
from store.queries import MinimalCorrection

_CORRECTION = register("correction")


@dataclass(frozen=True)
class CorrectionPanels:
    """What the component shows.

    Attributes:
        correction: order of the cells, logits and winners after each removal.
        photograph: an atlas of one image.
        maps: (2, H, W) display codes: map of the prediction, map of the class that it is compared with.
        names: of all classes.
        colours: name of the colour map of the two maps.
        start: how many cells are removed at first.
        exact: whether k* is exact and not an estimate.
    """

    correction: MinimalCorrection
    photograph: Atlas
    maps: ScaledMaps
    names: Sequence[str]
    colours: str
    start: int
    exact: bool = True


def strongest_other(correction: MinimalCorrection) -> tuple[np.ndarray, np.ndarray]:
    """The strongest class except the two that are compared, after each removal: class and logit, (cells + 1,) each.

    With two classes there is none: class -1 and logit 0.
    """
    others = np.delete(np.arange(correction.logits.shape[1]), [correction.prediction, correction.against])
    others = others[np.isfinite(correction.logits[0, others])]  # of the classes whose maps the run keeps
    if not len(others):
        return np.full(len(correction.logits), -1), np.zeros(len(correction.logits), np.float32)
    best = correction.logits[:, others].argmax(1)
    return others[best], correction.logits[:, others].max(1)


def payload(shown: CorrectionPanels) -> dict[str, Any]:
    """What travels to the browser; JSON-able."""
    correction = shown.correction
    other, other_logit = strongest_other(correction)
    # The browser shows three bars: the two classes compared, and the strongest of all others.
    third = correction.winners.copy()
    third[(third == correction.prediction) | (third == correction.against)] = -1
    # Names travel for the few classes that are ever shown, not for all.
    used = sorted({correction.prediction, correction.against, *other[other >= 0].tolist(), *third[third >= 0].tolist()})
    place = {number: position for position, number in enumerate(used)} | {-1: -1}
    difference = scale_maps(correction.difference.astype(np.float32)[None], kind=COMMON, signed=True)
    logits = np.stack(
        [correction.logits[:, correction.prediction], correction.logits[:, correction.against], other_logit], axis=1
    )
    height, width = correction.difference.shape
    data: dict[str, Any] = {
        "height": height,
        "width": width,
        "photo": vars(shown.photograph),
        "maps": to_base64(shown.maps.codes),
        "table": to_base64(colour_map(map_colours(shown.maps, shown.colours))),
        "difference": to_base64(difference.codes),
        "largest": f"{float(np.abs(correction.difference).max(initial=0)):.3g}",
        "order": [int(cell) for cell in correction.order],
        "logits": to_base64(logits.astype("<f4")),
        "names": [shown.names[number] for number in used],
        "prediction": place[correction.prediction],
        "against": place[correction.against],
        "other": [place[number] for number in other.tolist()],
        "winners": [place[number] for number in correction.winners.tolist()],
        "wrong": correction.prediction != correction.true_class,
        "true_class": correction.against == correction.true_class,
        "fewest": correction.cells,
        "sign": "=" if shown.exact else "≈",
        "low": correction.low,
        "high": correction.high,
        "start": shown.start,
    }
    return data | {"identity": identity({name: value for name, value in data.items() if name != "start"})}


def correction_panels(shown: CorrectionPanels, *, key: str, on_rest: Callable[[int], None]) -> None:
    """Draw the minimal correction of a prediction.

    Args:
        shown: correction, image and maps.
        key: of the element.
        on_rest: called with the number of removed cells when the slider comes to rest.
    """
    _CORRECTION(key=key, data=to_json(payload(shown)), on_cells_change=on_trigger(key, "cells", on_rest))
