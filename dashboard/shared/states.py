"""A state is a run at an epoch under a variant: its name, its maps on a common grid, images in two states as tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dashboard import data
from dashboard.components.tiles import Tile, TileSet
from dashboard.images.maps import difference_kind, scale_maps
from dashboard.shared.image_tiles import Prediction, predictions
from dashboard.shared.theme import probability, role, signed_number, tick_or_cross
from dashboard.shell import url_state
from dashboard.shell.url_state import Selection
from store import Run


@dataclass(frozen=True)
class State:
    """One side of a comparison: a run at an epoch under a variant."""

    run: Run
    epoch: int
    variant: str

    @property
    def key(self) -> tuple[Run, int, str]:
        """The state as the arguments of the cached queries."""
        return self.run, self.epoch, self.variant

    @property
    def parameters(self) -> dict[str, str | int]:
        """The state as parameters of a link."""
        return {"run": data.run_name(self.run), "epoch": self.epoch, "variant": self.variant}


def state_names(states: Sequence[State]) -> list[str]:
    """The states in words, naming only what differs between them (epoch and variant if nothing does)."""
    runs = len({state.run.source.location for state in states}) > 1
    epochs = runs or len({state.epoch for state in states}) > 1
    variants = len({state.variant for state in states}) > 1
    names = []
    for state in states:
        parts = [data.run_name(state.run)] if runs else []
        parts += [f"epoch {data.epoch_name(state.run, state.epoch)}"] if epochs or not variants else []
        parts += [state.run.variant(state.variant).label] if variants or not epochs else []
        names.append(", ".join(parts))
    return names


def on_one_grid(maps: Sequence[np.ndarray]) -> np.ndarray:
    """The maps (..., H, W) of several states on one grid, (S, ..., H, W): coarse cells are repeated, means stay."""
    # The least common multiple, so that each cell is repeated a whole number of times.
    height, width = (int(np.lcm.reduce([part.shape[axis] for part in maps])) for axis in (-2, -1))
    return np.stack([part.repeat(height // part.shape[-2], -2).repeat(width // part.shape[-1], -1) for part in maps])


def flip_tiles(
    selection: Selection,
    before: State,
    after: State,
    images: ArrayLike,
    *,
    true_class: bool = False,
) -> TileSet:
    """Images in two states, with what the true class's map gained or lost in between.

    Args:
        selection: scale and colours.
        images: their numbers (n,), or (n, 2) those in the first and in the second state.
        before, after: the states, of one run or of two; if their variants differ, both images are shown.
        true_class: show the maps of the true class instead of those of both predictions.
    """
    states, numbers = (before, after), np.asarray(images, np.int64)
    orders = [tuple(column.tolist()) for column in (numbers.T if numbers.ndim == 2 else (numbers, numbers))]
    order, sides = orders[1], [(*each.key, rows) for each, rows in zip(states, orders, strict=True)]
    first, second = (data.predictions(*side[:3]).iloc[list(side[3])] for side in sides)
    gains = second["label_logit"].to_numpy() - first["label_logit"].to_numpy()  # S of the true class
    own = on_one_grid([data.true_class_maps(*side) for side in sides])
    maps = own if true_class else on_one_grid([data.predicted_class_maps(*side) for side in sides])
    variants = [name for name in dict.fromkeys(each.variant for each in states) if name in after.run.variants]
    tiles = [
        Tile(
            id=str(image),
            title=f"{_marked(one)} → {_marked(two)}",
            lines=_flip_lines(one, two, float(gains[row])),
            images=tuple(range(row * len(variants), (row + 1) * len(variants))),
            maps=(2 * row, 2 * row + 1),
            differences=(row,),
            role=role(two.correct),
            href=url_state.link("image", {**after.parameters, "image": image}),
        )
        for row, (image, one, two) in enumerate(zip(order, predictions(first), predictions(second), strict=True))
    ]
    return difference_tiles(
        selection,
        states,
        tiles,
        maps.swapaxes(0, 1),
        own[1] - own[0],
        images=data.image_atlas(
            after.run, tuple(np.repeat(order, len(variants)).tolist()), tuple(variants * len(order))
        ),
        difference_legend="map of the true class, second state minus first",
        size=72,
    )


def _flip_lines(one: Prediction, two: Prediction, gain: float) -> tuple[str, ...]:
    return (
        f"P {probability(one.confidence)} → {probability(two.confidence)}",
        f"true class {two.true_class}, S {signed_number(gain, 1)}",
    )


def _marked(row: Prediction) -> str:
    return f"{tick_or_cross(row.correct)} {row.predicted_class}"


def difference_tiles(
    selection: Selection,
    states: Sequence[State],
    tiles: Sequence[Tile],
    maps: np.ndarray,
    differences: np.ndarray,
    **options: Any,
) -> TileSet:
    """A grid of tiles with maps (..., H, W) and differences (..., H, W) of states; options as of `TileSet`."""
    if not all(each.run.has_maps for each in states):
        plain = tuple(replace(tile, maps=(), differences=()) for tile in tiles)
        return TileSet(tiles=plain, colours=selection.colours, **options)
    flat, change = (values.reshape(-1, *values.shape[-2:]) for values in (maps, differences))
    return TileSet(
        tiles=tuple(tiles),
        maps=scale_maps(flat, kind=selection.scale, signed=any(each.run.signed for each in states)),
        differences=scale_maps(change, kind=difference_kind(selection.scale), signed=True),
        colours=selection.colours,
        **options,
    )
