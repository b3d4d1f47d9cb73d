"""A state is a run at an epoch under a variant; its name, its maps on a common grid, and image tiles of two states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dashboard import data
from dashboard.components import Tile, TileSet
from dashboard.images import difference_kind, scale_maps
from dashboard.shared.image_tiles import predictions
from dashboard.shared.theme import probability, role, variant_name, verdict
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
        return {"run": self.run.path.name, "epoch": self.epoch, "variant": self.variant}


def state_names(states: Sequence[State]) -> list[str]:
    """The states in words, naming only what differs between them (or epoch and variant, where nothing does)."""
    runs = len({state.run.path for state in states}) > 1
    epochs = runs or len({state.epoch for state in states}) > 1
    variants = len({state.variant for state in states}) > 1
    names = []
    for state in states:
        parts = [state.run.path.name] if runs else []
        parts += [f"epoch {state.epoch}"] if epochs or not variants else []
        parts += [variant_name(state.variant)] if variants or not epochs else []
        names.append(", ".join(parts))
    return names


def on_one_grid(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Maps of several states with as many cells each, (S, ..., H, W): coarse ones repeat their cells, means stay."""
    height, width = (int(np.lcm.reduce([part.shape[axis] for part in parts])) for axis in (-2, -1))
    return np.stack([part.repeat(height // part.shape[-2], -2).repeat(width // part.shape[-1], -1) for part in parts])


def flip_tiles(
    selection: Selection,
    before: State,
    after: State,
    images: Sequence[int],
    *,
    true_class: bool = False,
    size: int = 72,
) -> TileSet:
    """Images in two states, with what the true class's map gained or lost in between.

    Args:
        selection: scale and colours.
        before, after: the states, which may be of two runs; where their variants differ, both images are shown.
        images: image numbers.
        true class: show the maps of the true class instead of those of both predictions.
        size: edge of an image in CSS pixels.
    """
    order = tuple(int(image) for image in images)
    states = (before, after)
    first, second = (data.predictions(*each.key).iloc[list(order)] for each in states)
    gains = (second["label_logit"].to_numpy() - first["label_logit"].to_numpy()).tolist()
    own = on_one_grid([data.true_class_maps(*each.key, order) for each in states])
    maps = own if true_class else on_one_grid([data.predicted_class_maps(*each.key, order) for each in states])
    variants = [name for name in dict.fromkeys(each.variant for each in states) if name in after.run.variants]
    many = len(variants)
    tiles = tuple(
        Tile(
            id=str(image),
            title=f"{verdict(one.correct)} {one.predicted_class} → {verdict(two.correct)} {two.predicted_class}",
            lines=(
                f"P {probability(one.confidence)} → {probability(two.confidence)}",
                f"true class {two.true_class}, S {signed_number(gains[place], 1)}",
            ),
            images=tuple(range(place * many, (place + 1) * many)),
            maps=(2 * place, 2 * place + 1),
            differences=(place,),
            role=role(two.correct),
            href=url_state.link("image", {**after.parameters, "image": image}),
        )
        for place, (image, one, two) in enumerate(zip(order, predictions(first), predictions(second), strict=True))
    )
    each_image = tuple(image for image in order for _ in variants)
    atlas = data.image_atlas(after.run, each_image, tuple(variants * len(order)))
    legend = "map of the true class, second state minus first"
    return difference_tiles(
        selection, states, tiles, maps.swapaxes(0, 1), own[1] - own[0], size=size, legend=legend, images=atlas
    )


def signed_number(value: float, digits: int) -> str:
    """A number with its sign, the minus as long as the plus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def any_signed(states: Sequence[State]) -> bool:
    return any(each.run.signed for each in states)


def difference_tiles(
    selection: Selection,
    states: Sequence[State],
    tiles: tuple[Tile, ...],
    maps: np.ndarray,
    differences: np.ndarray,
    **more: object,
) -> TileSet:
    """A grid of tiles with maps (n, S, H, W) and differences (n, ..., H, W)."""
    legend = more.pop("legend")
    flat = maps.reshape(-1, *maps.shape[-2:])
    change = differences.reshape(-1, *differences.shape[-2:])
    return TileSet(
        tiles=tiles,
        maps=scale_maps(flat, kind=selection.scale, signed=any_signed(states)),
        differences=scale_maps(change, kind=difference_kind(selection.scale), signed=True),
        difference_legend=str(legend),
        colours=selection.colours,
        **more,  # type: ignore[arg-type]
    )
