"""Which pixels of an image a cell of a recorded layer sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from store.metrics.receptive_field import DOUBLING, KEEPING, STEMS, Convolution, field, resnet18
from store.read.run import Run

MAPS = "class maps"
_DEFAULT_STEMS = {"paper": "imagenet", "grid": "stride1", "cam": "imagenet"}


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that one cell sees: rows top to bottom and columns left to right, ends excluded, inside the image.

    `side` is how many rows it would see in an image without an end.
    """

    top: int
    bottom: int
    left: int
    right: int
    side: int


def receptive_field(run: Run, layer: str, row: int, column: int) -> ReceptiveField | None:
    """What the cell of a stage, a layer or the class maps sees; None where the network is not one of this program's."""
    layers = _layers(run).get(layer)
    if layers is None:
        return None
    height, width = run.image_shape
    top, bottom = field(layers, row, row)
    left, right = field(layers, column, column)
    return ReceptiveField(
        max(0, top), min(height, bottom + 1), max(0, left), min(width, right + 1), side=bottom - top + 1
    )


def _layers(run: Run) -> Mapping[str, tuple[Convolution, ...]]:
    """The layers up to each part of a run's network, by its configuration; empty where that does not say."""
    model = run.configuration.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    options = model.get("options", {}) if isinstance(model, dict) else {}
    if name not in _DEFAULT_STEMS or not isinstance(options, dict) or "layer" in (model or {}):
        return {}
    stem = options.get("stem", _DEFAULT_STEMS[name])
    if stem not in STEMS:
        return {}
    found = dict(resnet18(stem))
    if name == "cam":
        return found | {MAPS: found["layer4"]}
    found["encoder"] = found["layer4"]  # a 1x1 convolution sees what its input sees
    found["decoder"] = (*found["encoder"], DOUBLING if name == "paper" else KEEPING)
    found[MAPS] = (*found["decoder"], KEEPING if name == "grid" and stem != "stride2" else DOUBLING)
    return found
